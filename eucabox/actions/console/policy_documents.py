"""Checks the document of a policy before it is stored, and tells where it is wrong."""

from eucabox.actions import Call, Result, action
from eucabox.errors import AccessDenied
from eucabox.iam.constraints import check_choice
from eucabox.iam.document_faults import KINDS, TRUST, find_fault

MAKING_TRUST = ("iam:CreateRole", "iam:UpdateAssumeRolePolicy")


@action(service="console")
def get_document_fault(call: Call, *, document: str, kind: str) -> Result:
    """Tell why IAM would refuse a document, with line and column from 1 or 0; `message` is "" for
    one that it takes.

    `kind` is `user`, `group` or `role` for an inline policy of one, `managed` or `trust`.
    """
    check_choice("kind", kind, KINDS)
    policies = call.find_policies()
    if kind == TRUST and not any(map(policies.may_permit, MAKING_TRUST)):
        # the answer tells whether the users and roles are there that the document names
        raise AccessDenied(reason=f"A trust policy needs {' or '.join(MAKING_TRUST)}.")
    fault = find_fault(call.cloud.state, kind, document)
    if fault is None:
        return {"message": "", "line": 0, "column": 0}
    return {"message": fault.message, "line": fault.line, "column": fault.column}
