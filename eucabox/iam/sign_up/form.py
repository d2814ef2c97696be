"""What a person who asks for an account fills in, and its bounds; looks nobody up."""

import json
import re
from dataclasses import dataclass

from eucabox.config import SIGN_UP_FIELDS, SignUpSection, words
from eucabox.errors import InvalidParameterValue
from eucabox.iam import passwords
from eucabox.mail.letter import domain_of, parse_address

USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}", re.ASCII)
ACCOUNT_ID = re.compile(r"[0-9]{12}", re.ASCII)
RESERVED = ("eucalyptus", "eucabox", "admin", "administrator", "root", "aws", "anonymous")
LONGEST_LINE, LONGEST_TEXT = 128, 1000  # characters of a field, and of the description
LONGEST_SHOWN = 60


@dataclass(frozen=True)
class AccountForm:
    """The fields as a person sent them."""

    user_name: str
    password: str
    full_name: str
    email: str
    telephone: str = ""
    project_leader: str = ""
    affiliation: str = ""
    description: str = ""

    def information(self) -> str:
        """Return what is kept of the person beside name, address and password, as JSON."""
        names = ("full_name", *SIGN_UP_FIELDS)
        return json.dumps({name: text for name in names if (text := getattr(self, name))})


def check_form(form: AccountForm, settings: SignUpSection) -> AccountForm:
    """Return the form with blanks around its fields removed.

    Raises InvalidParameterValue, BadMailAddress or PasswordPolicyViolation.
    """
    _check_user_name(form.user_name)
    email = _check_email(form.email, settings)
    if not form.full_name.strip():
        raise _error("FullName", form.full_name, "Give your full name.")
    passwords.check_quality(form.password, form.user_name, form.full_name, email)
    asked = words(settings.fields)
    kept = {name: _check_text(name, getattr(form, name)) for name in ("full_name", *asked)}
    return AccountForm(form.user_name, form.password, email=email, **kept)


def check_text(member: str, text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text of several lines without control characters; raises InvalidParameterValue."""
    lines = text.replace("\r\n", "\n").strip()
    plain = all(each.isprintable() or each in "\n\t" for each in lines)
    if not plain or len(lines) > longest:
        reason = f"Write at most {longest} characters, none of them a control character."
        raise _error(member, text, reason)
    return lines


def _check_text(name: str, text: str) -> str:
    member = "".join(word.capitalize() for word in name.split("_"))
    if name == "description":
        return check_text(member, text)
    line = check_text(member, text, LONGEST_LINE)
    if "\n" in line or "\t" in line:
        raise _error(member, text, "Write one line.")
    return line


def _check_user_name(name: str) -> None:
    if not USER_NAME.fullmatch(name):
        reason = "Use 1 to 63 letters, digits or -_.@, and begin with a letter or digit."
        raise _error("UserName", name, reason)
    if name.lower() in RESERVED or ACCOUNT_ID.fullmatch(name):
        raise _error("UserName", name, "This name can't be had. Choose another.")


def _check_email(text: str, settings: SignUpSection) -> str:
    address = parse_address(text)
    domains = words(settings.domains.lower())
    if domains and domain_of(address) not in domains:
        reason = f"Addresses that may ask for an account are those of {', '.join(domains)}."
        raise _error("Email", address, reason)
    return address


def _error(member: str, value: str, reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(parameter=member, value=value[:LONGEST_SHOWN], reason=reason)
