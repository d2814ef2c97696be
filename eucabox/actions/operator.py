"""The operator's actions: usage of buckets, rescans, and who asks for an account."""

import json
from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.iam.sign_up.sign_ups import to_api

LONGEST_NAME = 256  # more than a bucket can have; so much of another is in the refusal


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


@action(service="bootstrap", admin=True)
def describe_bucket_changes(call: Call, *, bucket: str, position: str = "") -> Result:
    """List the keys of a bucket, as JSON, that changed after the position of an earlier answer.

    Without a position, or where it is too old, the answer is not complete and has no keys: its
    position is where to go on once all objects were looked at.
    """
    changes = call.cloud.store.list_changes(bucket[:LONGEST_NAME], position)
    return {
        "changes": [
            {
                "position": changes.position,
                "is_complete": changes.is_complete,
                "keys": json.dumps(changes.keys),
            }
        ]
    }


@action(service="bootstrap", admin=True)
def list_sign_ups(call: Call) -> Result:
    """List the requests for accounts that wait for a decision or for their confirmation."""
    return {"sign_ups": [to_api(row) for row in call.cloud.sign_ups.list_all()]}


@action(service="bootstrap", admin=True)
def approve_sign_up(call: Call, *, sign_up_id: str, skip_confirmation: bool = False) -> Result:
    """Approve a request; `sign_up_id` may also be its user name. Answers its state from then on."""
    state = call.cloud.sign_ups.approve(sign_up_id, skip_confirmation=skip_confirmation)
    return {"state": state}


@action(service="bootstrap", admin=True)
def reject_sign_up(call: Call, *, sign_up_id: str, reason: str = "") -> Result:
    """Drop a request; `sign_up_id` may also be its user name. The person gets the reason."""
    call.cloud.sign_ups.reject(sign_up_id, reason)
    return {}
