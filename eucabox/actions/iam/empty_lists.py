"""IAM: lists of what no user and no account has here; Terraform and Ansible ask for them."""

from eucabox.actions import Call, Result, action
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.users import find_user_or_caller


@action("iam", ignored=("path_prefix",))
def list_server_certificates(
    call: Call, *, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the server certificates of the account: none."""
    return _list_none("server_certificate_metadata_list", max_items, marker)


@action("iam", "ListSAMLProviders")
def list_saml_providers(call: Call) -> Result:
    """List the SAML providers of the account: none."""
    return {"saml_provider_list": []}


@action("iam", "ListSSHPublicKeys")
def list_ssh_public_keys(
    call: Call, *, user_name: str = "", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List a user's SSH keys: none."""
    find_user_or_caller(call.cloud.state, call.user, user_name)
    return _list_none("ssh_public_keys", max_items, marker)


@action("iam", ignored=("service_name", "all_users"))
def list_service_specific_credentials(
    call: Call, *, user_name: str = "", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List a user's credentials of single services: none."""
    find_user_or_caller(call.cloud.state, call.user, user_name)
    return _list_none("service_specific_credentials", max_items, marker)


def _list_none(member: str, max_items: int, marker: str) -> Result:
    nothing: list[str] = []
    page, more = cut_page(nothing, str, max_items, marker)
    return {member: page, **more}
