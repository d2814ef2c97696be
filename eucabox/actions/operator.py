"""The operator's actions on the bucket store: usage of buckets, and rescans."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action


@action(service="bootstrap", admin=True)
def describe_buckets(call: Call) -> Result:
    """List the buckets of all accounts with their numbers of objects and bytes."""
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
    """Start to rebuild the index of these buckets, or of all, from their folders."""
    store = call.cloud.store
    store.rescans.begin(store.scan_folders(buckets))
    return describe_rescans(call)


@action(service="bootstrap", admin=True)
def describe_rescans(call: Call) -> Result:
    """Return the progress of all rescans since the start."""
    return {"rescans": [vars(each) for each in call.cloud.store.rescans.all()]}
