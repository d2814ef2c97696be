"""What instances used in the last hour, for whoever may list them."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.domains.usage_sampler import MOST_SAMPLES, UsageSample
from eucabox.ec2 import instances
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.errors import InvalidParameterValue

MIB = 2**20
MOST_ANSWERED = 20_000  # samples of all instances together


@action(service="bootstrap")
def describe_usage(call: Call, *, instance_ids: Sequence[str] = (), max_samples: int = 0) -> Result:
    """Return the newest samples of these instances, or of all of the account, each with its oldest
    sample first: by default the last hour of those that are named, else the newest one.

    Raises InstanceNotFound, InstanceIdMalformed, InvalidParameterValue.
    """
    if not 0 <= max_samples <= MOST_SAMPLES:
        reason = f"It is at most {MOST_SAMPLES}."
        raise InvalidParameterValue(parameter="MaxSamples", value=max_samples, reason=reason)
    rows = instances.list_for(call.cloud.state, call.user, instance_ids)
    most = max_samples or (MOST_SAMPLES if instance_ids else 1)
    if len(rows) * most > MOST_ANSWERED:
        reason = f"Of {len(rows)} instances at most {MOST_ANSWERED // len(rows)} are answered."
        raise InvalidParameterValue(parameter="MaxSamples", value=most, reason=reason)
    disk_reason = call.cloud.node.capabilities.block_statistics
    usage = call.cloud.node.usage
    return {
        "usage": [
            _to_api(row, usage.list_samples(row["instance_id"], most), disk_reason) for row in rows
        ]
    }


def _to_api(
    row: ListedInstance, samples: Sequence[UsageSample], disk_reason: str
) -> dict[str, object]:
    return {
        "instance_id": row["instance_id"],
        "vcpus": row["vcpus"],
        "memory_bytes": row["memory_mb"] * MIB,
        "disk_reason": disk_reason,
        "samples": [_sample_to_api(each, row["vcpus"]) for each in samples],
    }


def _sample_to_api(sample: UsageSample, vcpus: int) -> dict[str, object]:
    facts: dict[str, object] = {
        "time": sample.time,
        "cpu_percent": round(min(100.0, 100 * sample.cpus / max(1, vcpus)), 1),
        "memory_bytes": sample.memory_bytes,
        "disk_read_bytes": sample.disk_read,
        "disk_write_bytes": sample.disk_write,
        "network_in_bytes": sample.network_in,
        "network_out_bytes": sample.network_out,
    }
    return {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in facts.items()
        if value is not None
    }
