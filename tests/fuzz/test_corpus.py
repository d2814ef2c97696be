"""What once broke a reader, or leads to an odd place in one, tried again; and a little of each
door's fuzz."""

import json
from pathlib import Path

import pytest

from tests.fuzz import files, forms
from tests.fuzz.__main__ import names, run
from tests.fuzz.case import HOST, Case
from tests.fuzz.cloud_shop import CloudShop
from tests.fuzz.doors import DOORS
from tests.fuzz.guests import SOURCES, TOKEN, GuestShop
from tests.fuzz.odd import Chance

CORPUS = Path(__file__).parent / "corpus"
REQUESTS = json.loads((CORPUS / "requests.json").read_text())
FILES = sorted(each for each in CORPUS.rglob("*") if each.is_file() and each.suffix != ".json")
FEW = 60  # cases of a door that opens a whole cloud
OF_FILES = {"manifests", "qcow2", "tar", "dhcp", "documents"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_an_odd_file_is_read_or_refused(tmp_path: Path, file: Path) -> None:
    kind = file.parent.name
    desk = files.Desk(tmp_path)
    desk.try_one(kind, files.KINDS[kind][1](desk), file.read_bytes())
    desk.close()
    assert sum(desk.seen.values()) == 1


@pytest.mark.not_fast
def test_an_odd_form_is_refused(tmp_path: Path) -> None:
    with CloudShop.opened(tmp_path) as shop:
        for service, form in REQUESTS["forms"]:
            version = "2016-11-15" if service == "ec2" else ""
            version = version or {"iam": "2010-05-08", "sts": "2011-06-15"}[service]
            case = Case("POST", forms.PATHS[service][0], service=service)
            case.headers = {"host": HOST, "content-type": forms.FORM}
            case.body = f"Version={version}&Action={form}".encode()
            shop.ask(case, Chance("steady"))
        assert shop.seen.keys() <= {"200", "400", "403", "404", "409"}, shop.seen


@pytest.mark.not_fast
def test_an_odd_request_of_a_guest_is_refused(tmp_path: Path) -> None:
    with GuestShop.opened(tmp_path) as shop:
        for method, path in REQUESTS["guests"]:
            case = Case(method, path, signed="", headers={TOKEN: shop.tokens[0]})
            shop.send_metadata(case, SOURCES[0])
        assert shop.seen.keys() <= {"200", "400", "403", "404", "405"}, shop.seen


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in DOORS if each != "s3"])
def test_a_little_of_each_door(tmp_path: Path, name: str) -> None:
    cases = FEW * 5 if name in OF_FILES else FEW
    with DOORS[name].open(tmp_path) as opened:
        assert run(opened, names(1, cases, name), door=name) == []
        assert sum(opened.seen.values()) > cases * 0.9
