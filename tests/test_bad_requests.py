"""Bad input by HTTP's own words, for every verb: a clear error, no traceback, nothing changed."""

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from eucabox import actions, api
from eucabox.config import CloudSection, Config
from eucabox.iam.accounts import Accounts
from eucabox.state import State
from eucabox.wire import model
from eucabox.wire.request import Answer, Request
from tests.actions.stand_ins import World

pytestmark = pytest.mark.slow  # thousands of requests

PATHS = {"ec2": "/services/compute", "sts": "/services/Tokens", "bootstrap": "/services/Empyrean"}
FORM = "application/x-www-form-urlencoded"
VERBS = sorted(
    (service, name)
    for (service, name), found in actions.load().items()
    if service in PATHS and model.service(service).operation(name) and not found.takes_all
)
# What is appended to a member's name, and the value that it then has.
VALUES = (
    *("", "x", "-1", "9" * 40, "x" * 70_000, "\0\x1b[0m", "\u0416\U0001f600"),
    *("'; drop table instances; --", "<!DOCTYPE x [<!ENTITY e 'e'>]>&e;", "../../etc/passwd"),
)
SCALAR = [*(("", value) for value in VALUES), (".1", "x"), (".Value", "x")]
LIST = [
    *((".1", value) for value in VALUES),
    *(("", "x"), (".0", "x"), (".99999999999999999999", "x"), (".x", "x")),
    *((".1.Name", "no-such-filter"), (".1.Value.1", "x"), (".1.1.1.1.1.1.1.1", "x")),
]


class Cloud:
    """A small cloud behind the door that clients knock at, and one who signs as its admin."""

    def __init__(self, config: Config, state: State) -> None:
        self.world = World(config, state)
        accounts = Accounts(config, state)
        with state.transaction() as database:
            database.conn.execute("delete from accounts where account_name = 'eucalyptus'")
        found = accounts.user_credentials(accounts.ensure_administrator())
        rooms = {**vars(self.world.cloud), "accounts": accounts}
        self.door = api.create_app(SimpleNamespace(**rooms))  # type: ignore[arg-type]
        self._keys = Credentials(found.caller.access_key_id, found.secret)
        self._admin = found.caller
        self.known: dict[str, str] = {}
        self._written = -1
        self._rows: dict[str, Any] = {}

    def fill(self) -> None:
        """Make what a request may name; what an earlier one made and ended is out of the way."""
        admin = self._admin
        with self.world.state.transaction() as database:
            database.conn.execute("update instances set state = 'terminated'")
            database.conn.execute("delete from key_pairs")
        image_id = self.world.image(admin)
        instance = self.world.run(admin, image_id=image_id)["instances"][0]
        self.world.do("CreateKeyPair", admin, key_name="mine", key_type="ed25519")
        (eni,) = self.world.do("DescribeNetworkInterfaces", admin)["network_interfaces"]
        self.known = {
            "ImageId": image_id,
            "InstanceId": instance["instance_id"],
            "NetworkInterfaceId": eni["network_interface_id"],
            "GroupId": instance["security_groups"][0]["group_id"],
            "GroupName": "new",
            "GroupDescription": "new",
            "VpcId": eni["vpc_id"],
            "KeyName": "mine",
            "MinCount": "1",
            "MaxCount": "1",
            "InstanceType": "m1.tiny",
            "Name": "m1.tiny",
        }

    def ask(self, service: str, fields: dict[str, str]) -> Answer:
        body = urlencode(fields, errors="surrogatepass").encode()
        url = f"http://h:1{PATHS[service]}"
        headers = {"Content-Type": FORM, "Host": "h:1"}
        signed = AWSRequest("POST", url, data=body, headers=headers)
        SigV4Auth(self._keys, service, "eucabox").add_auth(signed)
        sent = {name.lower(): value for name, value in signed.headers.items()}
        path = PATHS[service]
        request = Request(
            "POST", path, path, "", sent, io.BytesIO(body), len(body), host="h:1", request_id="1"
        )
        answer = self.door.handle(request)
        assert isinstance(answer, Answer)
        return answer

    def rows(self) -> dict[str, Any]:
        """Everything in the state that an action may not have changed, read when it was written."""
        state = self.world.state
        written = state.query("select total_changes() as times")[0]["times"]
        if written != self._written:
            self._written, self._rows = written, self._read(state)
        return self._rows

    @staticmethod
    def _read(state: State) -> dict[str, Any]:
        sql = "select name from sqlite_master where type = 'table' and name <> 'used_signatures'"
        tables = {
            row["name"]: state.query(f"select * from [{row['name']}]") for row in state.query(sql)
        }
        for key in tables["access_keys"]:  # when it was used last is written behind the requests
            for column in ("last_used", "last_used_service", "last_used_region"):
                del key[column]
        del tables["identity_version"]  # which counts that too
        return tables


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    config = Config(cloud=CloudSection(data_dir=tmp_path_factory.mktemp("cloud")))
    state = State(config.cloud.data_dir / "eucabox.db")
    yield Cloud(config, state)
    state.close()


@pytest.fixture
def cloud(shared: Cloud) -> Cloud:
    shared.fill()
    return shared


def wire_names(service: str, name: str) -> dict[str, str]:
    """The names of an operation's members in a form, with their kinds."""
    operation = model.service(service).operation(name)
    shape = operation.input if operation else None
    found = {}
    for member, inner in getattr(shape, "members", {}).items():
        wire_name = inner.serialization.get("queryName") or inner.serialization.get("name", member)
        found[wire_name[:1].upper() + wire_name[1:]] = inner.type_name
    return found


def requests(service: str, name: str, known: dict[str, str]) -> Iterator[dict[str, str]]:
    version = model.service(service).version
    plain = {"Action": name, "Version": version}
    names = wire_names(service, name)
    yield plain
    yield {**plain, "NoSuchMember": "x"}
    # With what is usual given, a request comes as far as the member under test.
    usual = {
        f"{each}.1" if kind == "list" else each: known[each]
        for each, kind in names.items()
        if each in known
    }
    for member in names:
        for ending, value in LIST if names[member] == "list" else SCALAR:
            others = {key: each for key, each in usual.items() if key.partition(".")[0] != member}
            yield {**plain, **others, f"{member}{ending}": value}


@pytest.mark.parametrize("verb", VERBS, ids=":".join)
def test_bad_requests_are_refused(
    cloud: Cloud, verb: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = cloud.rows()
    for fields in requests(*verb, cloud.known):
        answer = cloud.ask(verb[0], fields)
        shown = str(fields)[:300]
        assert answer.status < 500, shown
        assert isinstance(answer.body, bytes)
        assert answer.body.isascii(), shown
        ElementTree.fromstring(answer.body)
        assert not [record for record in caplog.records if record.exc_info], shown
        after = cloud.rows()
        if answer.status >= 400:
            assert after == before, f"refused, and yet it changed something: {shown}"
        before = after
