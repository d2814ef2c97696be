"""The operator's look at the bucket store: what it holds, and reading it again; never objects."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action


@action(service="bootstrap", admin=True)
def describe_buckets(call: Call) -> Result:
    """Every bucket of every account with its objects and their bytes."""
    counted = call.cloud.store.usage()["buckets"]
    owners = {each.name: each.owner for each in call.cloud.store.buckets()}
    return {
        "buckets": [
            {"bucket": name, "owner_id": owners.get(name, ""), **counted[name]}
            for name in sorted(counted)
        ]
    }


@action(service="bootstrap", admin=True)
def rescan_buckets(call: Call, *, buckets: Sequence[str] = ()) -> Result:
    """Begin to read the folders of buckets, or of all, into the index again."""
    store = call.cloud.store
    store.rescans.begin(store.scan_folders(buckets))
    return describe_rescans(call)


@action(service="bootstrap", admin=True)
def describe_rescans(call: Call) -> Result:
    """How far the rescans since the start have come."""
    return {"rescans": [vars(each) for each in call.cloud.store.rescans.all()]}
