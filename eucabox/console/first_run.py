"""Gives the administrator a first password; never a second one."""

from typing import TYPE_CHECKING

from eucabox import ids
from eucabox.console import first_code
from eucabox.iam.accounts import ADMINISTRATOR
from eucabox.iam.passwords import check_quality, hash_password

if TYPE_CHECKING:
    from eucabox.cloud import Cloud


def set_first_password(cloud: "Cloud", password: str) -> str:
    """Set the administrator's password, spend the code, and return the user's id.

    Raises PasswordPolicyViolation and PasswordsBusy.
    """
    user = cloud.accounts.user("/".join(ADMINISTRATOR))
    check_quality(password, user.user_name)
    columns = {"password": hash_password(password), "password_created": ids.now()}
    cloud.state.update("users", {"user_id": user.user_id, "password": ""}, **columns)
    first_code.get_file(cloud.config).unlink(missing_ok=True)
    return user.user_id
