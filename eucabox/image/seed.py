"""A NoCloud seed: the CD-ROM from which cloud-init takes its data; knows no metadata service."""

import io
import json
from pathlib import Path

from eucabox.atomic_files import write_atomic
from eucabox.schema import InstanceRow

LABEL = "cidata"
NAMES = {"user-data": "/USERDATA.;1", "meta-data": "/METADATA.;1"}


def write(target: Path, instance: InstanceRow) -> None:
    """Write the seed of an instance's row, readable for its hypervisor alone."""
    import pycdlib  # 2 MiB, for guests that can't reach the metadata service

    files = {"user-data": instance["user_data"] or b"", "meta-data": _meta_data(instance)}
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for name, content in files.items():
        iso.add_fp(
            io.BytesIO(content), len(content), NAMES[name], rr_name=name, joliet_path=f"/{name}"
        )
    whole = io.BytesIO()
    iso.write_fp(whole)
    iso.close()
    write_atomic(target, whole.getvalue(), 0o600)


def _meta_data(instance: InstanceRow) -> bytes:
    """Return what cloud-init wants to know, as JSON, which is YAML too."""
    key = instance["public_key"]
    facts = {
        "instance-id": instance["instance_id"],
        "local-hostname": instance["private_dns_name"],
        "public-keys": [key.strip()] if key else [],
        "availability-zone": instance["availability_zone"],
        "ami-id": instance["image_id"],
        "instance-type": instance["instance_type"],
        "local-ipv4": instance["private_ip_address"],
    }
    return json.dumps(facts, indent=1).encode() + b"\n"
