"""The administrator's limits for accounts: counts rows, reserves nothing."""

from eucabox.config import LimitsSection
from eucabox.errors import (
    ImageLimitExceeded,
    InstanceLimitExceeded,
    RulesLimitExceeded,
    SecurityGroupLimitExceeded,
    VcpuLimitExceeded,
)
from eucabox.instance_states import COUNTED, sql_list
from eucabox.state import State

UNLIMITED = 2**31


def count_allowed(
    state: State, limits: LimitsSection, account_id: str, vcpus: int, least: int, most: int
) -> int:
    """Return how many of `most` instances of so many vCPUs the account may start now.

    Call inside the transaction that starts them. Raises InstanceLimitExceeded or
    VcpuLimitExceeded if it is fewer than `least`.
    """
    sql = f"""select count(*) instances, coalesce(sum(vcpus), 0) vcpus from instances
      where account_id = ? and state in {sql_list(COUNTED)}"""
    used = state.one(sql, (account_id,)) or {"instances": 0, "vcpus": 0}
    by_count: int = (limits.instances or UNLIMITED) - used["instances"]
    if by_count < least:
        raise InstanceLimitExceeded(most=limits.instances, used=used["instances"], asked=least)
    by_vcpus: int = ((limits.vcpus or UNLIMITED) - used["vcpus"]) // vcpus
    if by_vcpus < least:
        raise VcpuLimitExceeded(most=limits.vcpus, used=used["vcpus"], asked=least * vcpus)
    return min(most, by_count, by_vcpus)


def check_images(state: State, limits: LimitsSection, account_id: str) -> None:
    """Raise ImageLimitExceeded if the account may have no further image."""
    sql = """select count(*) images from images where account_id = ?
      and state not in ('deregistered', 'failed')"""
    used = state.one(sql, (account_id,))
    if limits.images and used and used["images"] >= limits.images:
        raise ImageLimitExceeded(most=limits.images)


def check_security_groups(limits: LimitsSection, count: int) -> None:
    """Raise SecurityGroupLimitExceeded if an account with `count` groups may have no further."""
    if limits.security_groups and count >= limits.security_groups:
        raise SecurityGroupLimitExceeded(most=limits.security_groups)


def check_rules(limits: LimitsSection, count: int) -> None:
    """Raise RulesLimitExceeded if a security group may not have `count` rules."""
    if limits.rules and count > limits.rules:
        raise RulesLimitExceeded(most=limits.rules)
