"""Why a request is allowed or refused: what the evaluator says, told for people; judges nothing."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from eucabox import actions
from eucabox.console.iam_pages import Item, try_list
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault
from eucabox.iam.policy.s3_vocabulary import ACTIONS as S3_ACTIONS

SERVICES = ("ec2", "iam", "sts")
BUCKET = "arn:aws:s3:::"
VERDICTS = {
    "allowed": "Allowed",
    "explicitDeny": "Refused: a policy denies it",
    "implicitDeny": "Refused: no policy allows it",
}
MOST_LINES = 60  # of a statement that are shown


@dataclass(frozen=True)
class Question:
    """Who wants to do what, to which resource; `context` has values of condition keys."""

    who: str
    verb: str
    resource: str = "*"
    context: Item = field(default_factory=dict)


@dataclass(frozen=True)
class MatchedText:
    """A statement that decided, with the policy that it is of; `text` is "" where the visitor may
    not read that."""

    policy: str
    first_line: int
    text: str


@dataclass(frozen=True)
class Verdict:
    """What the evaluator says; `missing` are condition keys that a value would help."""

    decision: str
    matched: Sequence[MatchedText]
    missing: Sequence[str]
    is_bounded: bool  # a permissions boundary does not allow it

    @property
    def is_allowed(self) -> bool:
        """Whether the request would be let in."""
        return self.decision == "allowed"

    @property
    def title(self) -> str:
        """The decision in words."""
        return VERDICTS.get(self.decision, self.decision)


def list_verbs() -> list[str]:
    """Return the verbs that policies can name here, sorted."""
    served = [f"{service}:{name}" for service, name in actions.load() if service in SERVICES]
    return sorted([*served, *(f"s3:{name}" for name in S3_ACTIONS)])


def ask(question: Question) -> Verdict:
    """Ask the evaluator, with the bucket's policy where the resource is of a bucket.

    Raises the Fault that a client would get.
    """
    members: dict[str, object] = {
        "policy_source_arn": question.who,
        "action_names": [question.verb],
        "resource_arns": [question.resource or "*"],
        **_read_bucket_policy(question),
    }
    if question.context:
        members["context_entries"] = [
            {"context_key_name": key, "context_key_values": [value], "context_key_type": "string"}
            for key, value in question.context.items()
        ]
    answer = perform("iam", "SimulatePrincipalPolicy", **members)
    results = answer["evaluation_results"]
    assert isinstance(results, list)
    return _to_verdict(question, results[0], members)


def decode(message: str) -> Item:
    """Return what a refusal's sealed message says: who, what, which resource, by which policies.

    Raises the Fault that a client would get.
    """
    decoded = perform("sts", "DecodeAuthorizationMessage", encoded_message=message)
    told = json.loads(str(decoded["decoded_message"]))
    context = told["context"]
    return {
        "who": context["principal"]["arn"],
        "verb": context["action"],
        "resource": context["resource"],
        "is_explicit": told["explicitDeny"],
        "matched": [
            {"policy": each["sourcePolicyId"], "kind": each["sourcePolicyType"], "sid": each["sid"]}
            for each in told["matchedStatements"]["items"]
        ],
    }


def _read_bucket_policy(question: Question) -> dict[str, object]:
    """Return the members of a simulation that are about a bucket: its policy and its owner."""
    if not question.resource.startswith(BUCKET) or ":role/" in question.who:
        return {}
    bucket = question.resource.removeprefix(BUCKET).partition("/")[0]
    try:
        policy = perform("s3", "GetBucketPolicy", bucket=bucket)["policy"]
    except Fault:
        return {}
    caller = current_visitor().caller
    assert caller is not None
    return {
        "resource_policy": str(policy),
        "caller_arn": question.who,
        "resource_owner": f"arn:aws:iam::{caller.account_id}:root",
    }


def _to_verdict(question: Question, result: Item, members: Item) -> Verdict:
    statements, missing = result["matched_statements"], result["missing_context_values"]
    assert isinstance(statements, list)
    assert isinstance(missing, list)
    boundary = result.get("permissions_boundary_decision_detail")
    allowed = not isinstance(boundary, dict) or boundary["allowed_by_permissions_boundary"]
    given = str(members.get("resource_policy", ""))
    return Verdict(
        decision=str(result["eval_decision"]),
        matched=[_read_statement(question, each, given) for each in statements],
        missing=[str(each) for each in missing],
        is_bounded=not allowed,
    )


def _read_statement(question: Question, statement: Item, bucket_policy: str) -> MatchedText:
    label = str(statement["source_policy_id"])
    document = bucket_policy if label == "ResourcePolicy" else _read_policy(question, label)
    start, end = statement["start_position"], statement["end_position"]
    assert isinstance(start, dict)
    assert isinstance(end, dict)
    first, last = int(start["line"]), int(end["line"])
    lines = document.split("\n")[first - 1 : last][:MOST_LINES]
    if lines and first == last:
        lines = [lines[0][int(start["column"]) - 1 : int(end["column"]) - 1]]
    elif lines:
        lines[0] = lines[0][int(start["column"]) - 1 :]
    text = "\n".join(lines).lstrip(" ,\n")
    name = "the bucket's policy" if label == "ResourcePolicy" else label
    return MatchedText(name, first, text)


def _read_policy(question: Question, label: str) -> str:
    """Return the document of a policy that the evaluator names, "" for none to be read."""
    try:
        if label.startswith("arn:"):
            return _read_managed(label)
        for kind, owner in _list_owners(question.who):
            head = f"{kind}_{owner}_"
            if label.startswith(head):
                members = {f"{kind}_name": owner, "policy_name": label.removeprefix(head)}
                answer = perform("iam", f"Get{kind.capitalize()}Policy", **members)
                return str(answer["policy_document"])
    except Fault:
        return ""
    return ""


def _read_managed(arn: str) -> str:
    policy = perform("iam", "GetPolicy", policy_arn=arn)["policy"]
    assert isinstance(policy, dict)
    version = policy["default_version_id"]
    answer = perform("iam", "GetPolicyVersion", policy_arn=arn, version_id=version)
    shown = answer["policy_version"]
    assert isinstance(shown, dict)
    return str(shown["document"])


def _list_owners(arn: str) -> Iterator[tuple[str, str]]:
    """Yield kind and name of those whose policies an entity has: its own, and its groups'."""
    kind, name = arn.rpartition(":")[2].partition("/")[0], arn.rpartition("/")[2]
    yield kind, name
    if kind == "user":
        for each in try_list("ListGroupsForUser", "groups", user_name=name) or []:
            yield "group", str(each["group_name"])
