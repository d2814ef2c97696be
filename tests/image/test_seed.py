import io
import json
from pathlib import Path

import pycdlib
import pytest

from eucabox.image import seed
from eucabox.schema import InstanceRow
from tests.rows import whole_row

ROW = whole_row(
    InstanceRow,
    instance_id="i-0a1b2c3d",
    image_id="emi-0a1b2c3d",
    instance_type="m1.small",
    private_dns_name="ip-172-30-64-4.eucabox.internal",
    private_ip_address="172.30.64.4",
    availability_zone="eucabox-1a",
    public_key="ssh-ed25519 AAAA me@here\n",
    user_data=bytes(range(256)) * 64,
)


def files(path: Path) -> dict[str, bytes]:
    """Read a CD-ROM by its long names, in both of the ways a guest may know them."""
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    found = {}
    for name in ("user-data", "meta-data"):
        contents = []
        for place in ({"joliet_path": f"/{name}"}, {"rr_path": f"/{name}"}):
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, **place)
            contents.append(content.getvalue())
        assert contents[0] == contents[1]
        found[name] = contents[0]
    iso.close()
    return found


def test_the_seed_has_what_the_instance_is_told(tmp_path: Path) -> None:
    seed.write(tmp_path / "seed.iso", ROW)
    found = files(tmp_path / "seed.iso")
    assert found["user-data"] == ROW["user_data"]
    facts = json.loads(found["meta-data"])
    assert facts["instance-id"] == "i-0a1b2c3d"
    assert facts["local-hostname"] == "ip-172-30-64-4.eucabox.internal"
    assert facts["public-keys"] == ["ssh-ed25519 AAAA me@here"]


def test_it_is_labelled_and_for_the_hypervisor_alone(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    seed.write(path, ROW)
    assert path.read_bytes()[0x8000 + 40 : 0x8000 + 72].rstrip() == b"cidata"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [None, b""])
def test_without_key_and_user_data_it_is_a_seed_all_the_same(
    tmp_path: Path, data: bytes | None
) -> None:
    seed.write(tmp_path / "seed.iso", {**ROW, "public_key": None, "user_data": data})
    found = files(tmp_path / "seed.iso")
    assert found["user-data"] == b""
    assert json.loads(found["meta-data"])["public-keys"] == []
