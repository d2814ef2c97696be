"""What others wrote for browsers is as they made it, and the packages name its licences."""

import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "eucabox" / "console" / "static" / "vendor"
SCRIPT = runpy.run_path(str(ROOT / "setup" / "vendor.py"))
ASSETS = SCRIPT["ASSETS"]


def test_each_folder_is_as_its_package_has_it() -> None:
    assert {each.name for each in VENDOR.iterdir()} == {each.folder for each in ASSETS}
    for asset in ASSETS:
        SCRIPT["look_over"](asset)
        assert list((VENDOR / asset.folder).glob("LICENSE*"))


def test_a_file_that_somebody_edited_is_found(tmp_path: Path) -> None:
    shutil.copytree(VENDOR, tmp_path, dirs_exist_ok=True)
    asset = ASSETS[-1]
    SCRIPT["look_over"](asset, tmp_path)
    with (tmp_path / asset.folder / asset.files[0][1]).open("a") as file:
        file.write(";")
    with pytest.raises(SCRIPT["VendorError"], match="is not what"):
        SCRIPT["look_over"](asset, tmp_path)


def test_a_package_that_is_another_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "other.tgz").write_bytes(b"another")
    with pytest.raises(SCRIPT["VendorError"], match="not sha512"):
        SCRIPT["check"](ASSETS[0], tmp_path / "other.tgz")


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.folder)
def test_the_packages_name_its_licence(asset: object) -> None:
    name, licence = getattr(asset, "name", ""), getattr(asset, "licence", "")
    text = (ROOT / "packaging" / "debian" / "copyright").read_text()
    assert name in text
    spec = (ROOT / "packaging" / "rpm" / "eucabox.spec").read_text()
    named = next(line for line in spec.splitlines() if line.startswith("License:"))
    for each in licence.split(" AND "):
        assert each in text
        assert each in named.split()
