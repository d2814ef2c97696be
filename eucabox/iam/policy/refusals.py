"""The sentences in which AWS's services refuse a request, made from a decision."""

from eucabox.iam.policy.decision import Decision, Outcome
from eucabox.iam.policy.request import AuthorizationRequest

EVERYTHING = ("*", "arn:aws:s3:::*")  # of an action on no resource that has a name


def describe_refusal(
    decision: Decision, request: AuthorizationRequest, quote_resource: bool = False
) -> str:
    """Return who may not do what, and which policy refuses, as AWS writes it.

    S3 puts the resource between quotes. EC2 has a sentence before this one.
    """
    resource = f'"{request.resource}"' if quote_resource else request.resource
    where = "" if request.resource in EVERYTHING else f" on resource: {resource}"
    who = f"User: {_name_caller(request)} is not authorized to perform: {request.action}"
    return f"{who}{where} {describe_cause(decision, request.action)}"


def describe_cause(decision: Decision, action: str) -> str:
    """Return the end of a refusal: which kind of policy denies, and its name, or does not allow."""
    assert decision.kind is not None, "an allowed request has no cause of a refusal"
    kind = decision.kind.value
    if decision.outcome is not Outcome.EXPLICIT_DENY:
        return f"because no {kind} allows the {action} action"
    article = "an" if kind.startswith("i") else "a"
    name = decision.matched[0].policy.name
    return f"with an explicit deny in {article} {kind}" + (f": {name}" if name else "")


def _name_caller(request: AuthorizationRequest) -> str:
    if request.service or request.federated:
        return request.service or request.federated
    return str(request.principal.arn) if request.principal is not None else "anonymous"
