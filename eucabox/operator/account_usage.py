"""How much each account has, beside how much it may have; changes nothing."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eucabox.config import LimitsSection
from eucabox.state import State

MIB = 1 << 20
COUNTS = {
    "instances": "count(*) from instances where state <> 'terminated'",
    "vcpus": "sum(vcpus) from instances where state <> 'terminated'",
    "images": "count(*) from images where state not in ('deregistered', 'failed')",
    "security_groups": "count(*) from security_groups where true",
    "users": "count(*) from users where is_root = 0",
    "groups": "count(*) from groups where true",
    "roles": "count(*) from roles where true",
}


@dataclass(frozen=True)
class OwnedBytes:
    """A bucket with the account that owns it, and the bytes in it."""

    owner_id: str
    bytes: int


@dataclass(frozen=True)
class AccountQuota:
    """How much of something an account has, and may have, 0 for no limit; `is_own` where that is
    a limit of its own policies. What is limited in one bucket, group or object is not counted."""

    name: str
    used: int
    limit: int
    is_own: bool


def count_usage(state: State, buckets: Sequence[OwnedBytes]) -> dict[str, dict[str, int]]:
    """Return by account how many of everything it has, and by the names of [limits] what of it
    is limited; an account that has nothing may be left out."""
    usage: dict[str, dict[str, int]] = {}
    for name, rest in COUNTS.items():
        what, _, where = rest.partition(" from ")
        sql = f"select account_id, {what} as number from {where} group by account_id"
        for row in state.query(sql):
            usage.setdefault(row["account_id"], {})[name] = int(row["number"] or 0)
    counts = Counter(each.owner_id for each in buckets)
    for owner_id, number in counts.items():
        total = sum(each.bytes for each in buckets if each.owner_id == owner_id)
        usage.setdefault(owner_id, {}).update(buckets=number, account_mb=-(-total // MIB))
    return usage


def list_quotas(
    limits: LimitsSection, own: Mapping[str, int], usage: Mapping[str, int]
) -> Iterator[AccountQuota]:
    """Yield what is limited, by the names of [limits], then what is only counted; `own` has the
    limits of the account's own policies."""
    most = {**dataclasses.asdict(limits), **own}
    for name in dict.fromkeys([*most, *COUNTS]):
        yield AccountQuota(name, usage.get(name, 0), most.get(name, 0), name in own)
