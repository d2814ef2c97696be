"""Holds what IAM's verbs are sent to the limits of its model, in its words; looks nothing up."""

import json
import re
from collections.abc import Collection, Sequence

from eucabox.errors import ValidationError

NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
PATH = re.compile(r"/|/[\x21-\x7e]+/")
PATH_PREFIX = re.compile(r"/[\x21-\x7f]*")
DOCUMENT = re.compile(r"[\t\n\r\x20-\xff]+")
DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]*")
LONGEST_NAME = {"user": 64, "role": 64}  # of others 128
LONGEST_PATH, LONGEST_DOCUMENT, LONGEST_DESCRIPTION = 512, 131_072, 1000
ARN_LENGTHS = 20, 2048
SHOWN = 60  # characters of a value that an answer repeats


def check_name(kind: str, name: str, most: int = 0) -> str:
    """Return the name of a `kind` of entity ("role", "instanceProfile"), else ValidationError.

    `most` characters are allowed where it is more than a new entity of the kind may have.
    """
    member = f"{kind}Name"
    check_length(member, name, most or LONGEST_NAME.get(kind, 128), 1)
    if not NAME.fullmatch(name):
        needed = "It must contain only alphanumeric characters and/or the following: +=,.@_-"
        raise ValidationError(reason=f"The specified value for {member} is invalid. {needed}")
    return name


def check_path(path: str, member: str = "path") -> str:
    """Return a path, which begins and ends with a slash, else ValidationError."""
    check_length(member, path, LONGEST_PATH, 1)
    if not PATH.fullmatch(path) or any(each in path for each in ":*?"):
        needed = (
            "It must begin and end with / and contain only alphanumeric characters and/or /"
            " characters."
        )
        raise ValidationError(reason=f"The specified value for {member} is invalid. {needed}")
    return path


def check_path_prefix(prefix: str) -> str:
    """Return what paths begin with, else ValidationError."""
    check_length("pathPrefix", prefix, LONGEST_PATH, 1)
    return check_pattern("pathPrefix", prefix, PATH_PREFIX, r"\u002F[\u0021-\u007F]*")


def check_document(document: str, member: str = "policyDocument") -> str:
    """Return a policy's text, not yet read, else ValidationError."""
    check_length(member, document, LONGEST_DOCUMENT, 1)
    return check_pattern(member, document, DOCUMENT, r"[\u0009\u000A\u000D\u0020-\u00FF]+")


def count_characters(document: str) -> int:
    """Return how long a policy is for its limit: white space between its words does not count."""
    return len(_compact(document))


def trim_document(document: str, most: int) -> str:
    """Return a policy, whose limit is `most` characters, as it is to be stored: as it was sent,
    but without white space where that would take more room than the limit once more."""
    return document if len(document) <= 2 * most else _compact(document)


def _compact(document: str) -> str:
    return json.dumps(json.loads(document), ensure_ascii=False, separators=(",", ":"))


def check_description(description: str) -> str:
    """Return a description, else ValidationError."""
    check_length("description", description, LONGEST_DESCRIPTION)
    needed = r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*"
    return check_pattern("description", description, DESCRIPTION, needed)


def check_arn(member: str, arn: str) -> str:
    """Return what may be an ARN by its length, else ValidationError."""
    least, most = ARN_LENGTHS
    return check_length(member, arn, most, least)


def check_length(member: str, value: str, most: int, least: int = 0) -> str:
    """Return a text of `least` to `most` characters, else ValidationError."""
    if len(value) < least:
        raise _violates(member, value, f"Member must have length greater than or equal to {least}")
    if len(value) > most:
        raise _violates(member, value, f"Member must have length less than or equal to {most}")
    return value


def check_count(member: str, values: Sequence[object], most: int) -> None:
    """Raise ValidationError for a list of more than `most`."""
    if len(values) > most:
        needed = f"Member must have length less than or equal to {most}"
        raise _violates(member, str(len(values)), needed)


def check_pattern(member: str, value: str, pattern: re.Pattern[str], shown: str) -> str:
    """Return a text that fits a pattern, which the model writes as `shown`; ValidationError."""
    if not pattern.fullmatch(value):
        needed = f"Member must satisfy regular expression pattern: {shown}"
        raise _violates(member, value, needed)
    return value


def check_number(member: str, value: int, least: int, most: int) -> int:
    """Return a number of the range, else ValidationError."""
    if value < least:
        needed = f"Member must have value greater than or equal to {least}"
        raise _violates(member, str(value), needed)
    if value > most:
        raise _violates(member, str(value), f"Member must have value less than or equal to {most}")
    return value


def check_choice(member: str, value: str, choices: Collection[str]) -> str:
    """Return a word that is one of the choices, else ValidationError."""
    if value not in choices:
        needed = f"Member must satisfy enum value set: [{', '.join(choices)}]"
        raise _violates(member, value, needed)
    return value


def _violates(member: str, value: str, needed: str) -> ValidationError:
    where = f"Value '{value[:SHOWN]}' at '{member}' failed to satisfy constraint: {needed}"
    return ValidationError(reason=f"1 validation error detected: {where}")
