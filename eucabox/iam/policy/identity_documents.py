"""Documents of IAM: policies of users, groups, roles and sessions, boundaries, and trust policies.

They are held to IAM's rules and refused in its words.
"""

import re
from dataclasses import replace

from eucabox.errors import MalformedPolicy, MalformedPolicyDocument
from eucabox.iam.policy.document import PROHIBITED, VERSIONS, Grammar, parse
from eucabox.iam.policy.principals import TRUST_KINDS, PrincipalDirectory
from eucabox.iam.policy.statements import Policy
from eucabox.iam.policy.wildcards import VARIABLE

LARGEST = 128 * 1024  # bytes of the longest document that IAM's API takes
IDENTITY = Grammar(
    principals=(), plain_sids=True, completes_arns=True, takes_empty=True, largest=LARGEST
)
MANAGED = replace(IDENTITY, versions=VERSIONS[-1:])
RESOURCE = Grammar(plain_sids=True, takes_empty=True, largest=LARGEST)
TRUST = replace(RESOURCE, principals=TRUST_KINDS, has_resource=False)
# IAM's own sentences; where they tell nothing, our reason stands behind them
SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
OUTDATED = "Policy document must be version 2012-10-17 or greater."
MISSING = {
    "Action": "Policy statement must contain actions.",
    "Resource": "Policy statement must contain resources.",
}
COMPLETE = (PROHIBITED, "Statement IDs", "Invalid principal in policy", "Has prohibited field")
OF_LEGACY = re.compile(r"Invalid effect: (?i:allow|deny)\.|The condition [A-Za-z:]*Date")
UNPREFIXED = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
COLONS = "Actions/Condition can contain only one colon."
UNQUALIFIED = "Resource vendor must be fully qualified and cannot contain regexes."
VENDOR = re.compile(r"[A-Za-z0-9.-]+|\*")
PARTITION = re.compile(r"aws[a-z-]*|\*")
IAM_PATHS = (
    "user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/",
    "server-certificate/", "policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/",
    "access-report/",
)  # fmt: skip


class _IdentityVocabulary:
    """Actions and keys of any service, and the ARNs that IAM takes.

    As in AWS an action or a key that no service has is no error: it matches nothing.
    """

    def action(self, pattern: str) -> bool:
        vendor, *names = pattern.split(":")
        reason = ""
        if pattern != "*" and not names:
            reason = UNPREFIXED
        elif len(names) > 1:
            reason = COLONS
        elif not VENDOR.fullmatch(vendor):
            reason = f"Vendor {vendor[:60]} is not valid"
        if reason:
            raise MalformedPolicyDocument(reason=reason, detail="")
        return True

    def resource(self, pattern: str) -> bool:
        if pattern != "*" and (reason := _find_fault(pattern)):
            detail = f"The ARN {pattern[:200]} leaves out fields." if reason == LEGACY else ""
            raise MalformedPolicyDocument(reason=reason, detail=detail)
        return True

    def key(self, name: str) -> bool:
        return True


def _find_fault(pattern: str) -> str:
    """Return why a text is no ARN for IAM, in its words, or ""."""
    parts = VARIABLE.sub("*", pattern).split(":", 5)
    if len(parts) == 1:
        return f'Resource {pattern[:200]} must be in ARN format or "*".'
    if not PARTITION.fullmatch(parts[1]):
        whole = ":".join(["arn", *parts[1:], *["*"] * (6 - len(parts))])
        return f'Partition "{parts[1][:60]}" is not valid for resource "{whole[:200]}".'
    if parts[0] != "arn":
        return f'Resource {pattern[:200]} must be in ARN format or "*".'
    if len(parts) == 2 or "*" in parts[2] or "?" in parts[2]:
        return UNQUALIFIED
    if not parts[2] or (len(parts) < 6 and "" in parts):
        return LEGACY
    return _find_fault_of_service(pattern, parts)


def _find_fault_of_service(pattern: str, parts: list[str]) -> str:
    service, region, path = parts[2], parts[3] if len(parts) > 3 else "", parts[-1]
    if service == "s3" and region not in ("", "*") and len(parts) == 6 and not parts[4]:
        return f"Resource {pattern[:200]} can not contain region information."
    if service == "iam" and region not in ("", "*"):
        return f"IAM resource {pattern[:200]} cannot contain region information."
    if service == "iam" and len(parts) == 6 and not path.startswith((*IAM_PATHS, "*", "root")):
        return f'IAM resource path must either be "*" or start with {", ".join(IAM_PATHS)}.'
    return ""


class _TrustVocabulary(_IdentityVocabulary):
    """The actions of STS by which a role is assumed."""

    def action(self, pattern: str) -> bool:
        super().action(pattern)
        if not pattern.lower().startswith("sts:"):
            reason = "AssumeRole policy may only specify STS AssumeRole actions."
            raise MalformedPolicyDocument(reason=reason, detail="")
        return True


def parse_identity_policy(text: str, managed: bool = False) -> Policy:
    """Read a policy of a user, group, role or session, or a boundary; MalformedPolicyDocument.

    One that is `managed` must be of the newer version.
    """
    return _parse(text, _IdentityVocabulary(), None, MANAGED if managed else IDENTITY)


def parse_resource_policy(text: str) -> Policy:
    """Read the policy of a resource of any service; MalformedPolicyDocument. A bucket's policy is
    put by S3's rules instead, see s3_vocabulary.py."""
    return _parse(text, _IdentityVocabulary(), None, RESOURCE)


def parse_trust_policy(text: str, directory: PrincipalDirectory | None = None) -> Policy:
    """Read who may assume a role; MalformedPolicyDocument, with a directory also for principals
    that do not exist."""
    return _parse(text, _TrustVocabulary(), directory, TRUST)


def _parse(
    text: str,
    vocabulary: _IdentityVocabulary,
    directory: PrincipalDirectory | None,
    grammar: Grammar,
) -> Policy:
    try:
        return parse(text, vocabulary, directory, grammar)
    except MalformedPolicy as problem:
        sentence, detail = _translate(problem)
        raise MalformedPolicyDocument(reason=sentence, detail=detail) from None


def _translate(problem: MalformedPolicy) -> tuple[str, str]:
    """Return what is wrong with a document in IAM's words, and what these leave out."""
    reason = str(problem.facts["reason"])
    if problem.facts.get("missing") in MISSING:
        return MISSING[problem.facts["missing"]], ""
    if problem.facts.get("outdated"):
        return OUTDATED, ""
    if reason.startswith(COMPLETE):
        return reason, ""
    return LEGACY if OF_LEGACY.match(reason) else SYNTAX, reason
