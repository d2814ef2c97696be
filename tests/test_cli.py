import json
import os
import pwd
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from botocore.exceptions import EndpointConnectionError
from click.testing import CliRunner, Result

from eucabox.cli import background, main, operator
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.image import bundle
from eucabox.run import run

DOCS = Path(__file__).parent.parent / "docs" / "commands.md"


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(group, click.Group):
        yield path
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


ALL = sorted(commands(main))


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n")
    return file


def invoke(*argv: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in argv])


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_and_its_line_in_the_docs(path: tuple[str, ...]) -> None:
    shown = invoke(*path, "--help")
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 3
    assert f"| `eucabox {' '.join(path)}` |" in DOCS.read_text()


def test_the_docs_have_no_other_commands() -> None:
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("| `eucabox ")]
    assert sorted(line.split("`")[1].split()[1:] for line in lines) == [list(each) for each in ALL]


@pytest.mark.not_fast
def test_help_does_not_load_the_doors() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from eucabox.cli import main;"
        "CliRunner().invoke(main, ['status', '--help']);"
        "print([m for m in ('flask', 'botocore', 'boto3', 'cheroot') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text("[api]\nport = none\n")
    shown = invoke("-c", file, "status")
    assert shown.exit_code == os.EX_CONFIG
    assert shown.output == f"eucabox: {file}: [api] port: 'none' must be a whole number\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"port = 1\n", "line 1 comes before any [section]"),
        (b"\xff\xfe", "it is not UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "eucabox.conf"
    if content is not None:
        file.write_bytes(content)
    shown = invoke("-c", file, "status")
    assert shown.exit_code == os.EX_CONFIG
    assert shown.output == f"eucabox: {file} can't be read as a configuration: {reason}.\n"


def test_what_the_host_refuses_is_one_line(
    accounts: Accounts, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = invoke("-c", config_file, "credentials", "--out", "/dev/null/x")
    assert (shown.exit_code, shown.output) == (1, "eucabox: /dev/null/x: Not a directory.\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted", "/some/file")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    shown = invoke("-c", config_file, "user", "list")
    message = "/some/file: Operation not permitted. Run it as root, such as with sudo."
    assert (shown.exit_code, shown.output) == (1, f"eucabox: {message}\n")


def test_data_that_this_user_may_not_read_names_who_may(
    accounts: Accounts, config: Config, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = config.cloud.data_dir / "eucabox.db"
    nobody = pwd.getpwnam("nobody")
    os.chown(database, nobody.pw_uid, nobody.pw_gid)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(database))

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    shown = invoke("-c", config_file, "user", "list")
    hint = "Run it as root, such as with sudo, or as the user nobody."
    assert shown.output == f"eucabox: {database}: Permission denied. {hint}\n"


def test_a_database_that_is_none_is_one_line(config: Config, config_file: Path) -> None:
    (config.cloud.data_dir / "eucabox.db").write_bytes(b"no database" * 100)
    shown = invoke("-c", config_file, "status")
    assert shown.exit_code == 1
    assert shown.output == "eucabox: the database can't be used: file is not a database.\n"


def test_an_endpoint_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EC2_URL", "S3_URL", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"):
        monkeypatch.setenv(name, "garbage")
    shown = invoke("image", "list")
    assert (shown.exit_code, "EC2_URL is 'garbage'" in shown.output) == (1, True)


@pytest.mark.not_fast
def test_only_a_whole_bundle_is_uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EC2_URL", "S3_URL", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    file = tmp_path / "root.img"
    file.write_bytes(b"no manifest")
    shown = invoke("image", "upload", file, "--bucket", "mine")
    assert (shown.exit_code, shown.output.count("\n")) == (1, 1)
    assert f"The manifest {file} cannot be used" in shown.output
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    subprocess.run([*argv, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    (tmp_path / "out").mkdir()
    manifest = bundle.bundle(
        *(file, tmp_path / "out"),
        user="123456789012",
        user_certificate=certificate.read_text(),
        user_private_key=key.read_text(),
        cloud_certificate=certificate.read_text(),
    )
    (part,) = manifest.parent.glob("*.part.*")
    part.unlink()
    shown = invoke("image", "upload", manifest, "--bucket", "mine")
    assert f"{part}, which root.img.manifest.xml lists, is not there." in shown.output


def test_a_folder_without_a_cloud_is_one_line(config_file: Path) -> None:
    for command in (("status",), ("credentials",), ("user", "list")):
        shown = invoke("-c", config_file, *command)
        assert shown.exit_code == 1
        assert "holds no cloud yet" in shown.output
        assert len(shown.output.splitlines()) == 1


def test_users_and_their_credentials(
    accounts: Accounts, config: Config, config_file: Path, tmp_path: Path
) -> None:
    made = invoke("-c", config_file, "user", "create", "alice")
    assert made.exit_code == 0
    assert f"  eucabox --config {config_file} credentials --user alice\n" in made.output
    again = invoke("-c", config_file, "user", "create", "alice")
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    rows = json.loads(invoke("-c", config_file, "user", "list", "--json").output)
    assert [row["user_name"] for row in rows] == ["admin", "alice"]
    out = tmp_path / "alice"
    written = invoke("-c", config_file, "credentials", "--user", "alice", "--out", out, "--json")
    assert json.loads(written.output)["account_id"] == rows[1]["account_id"]
    assert {each.name for each in out.iterdir()} >= {"eucarc", "cloud-cert.pem", "euca2ools.ini"}
    for secret in (*out.glob("*-pk.pem"), out / "eucarc", out / "aws" / "credentials"):
        assert secret.stat().st_mode & 0o077 == 0
    before = (out / "eucarc").read_bytes()
    invoke("-c", config_file, "credentials", "--user", "alice", "--out", out)
    assert (out / "eucarc").read_bytes() == before


SOURCED = 'cd "$2" && . "$1" && ls "$EC2_CERT" "$EC2_PRIVATE_KEY" "$EUCALYPTUS_CERT"'


def source(shell: str, file: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """List the files that eucarc names, sourced by a shell that is in a folder."""
    return subprocess.run(
        [shell, "-euc", SOURCED, "-", file, str(folder)],
        capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "CDPATH": "/"},
    )  # fmt: skip


@pytest.mark.parametrize("shell", ["dash", "bash", "zsh"])
@pytest.mark.parametrize("linked", [False, True])
def test_eucarc_names_its_folders_files_in_any_shell(
    accounts: Accounts, config_file: Path, tmp_path: Path, shell: str, linked: bool
) -> None:
    out, elsewhere = tmp_path / "it's first", tmp_path / "elsewhere"
    elsewhere.mkdir()
    invoke("-c", config_file, "credentials", "--out", out)
    link = elsewhere / "rc"
    link.symlink_to(Path("..", out.name, "eucarc"))
    done = source(shell, "./rc" if linked else str(out / "eucarc"), elsewhere)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 3
    assert all(line.startswith(f"{out}/") for line in done.stdout.splitlines())


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_eucarc_of_a_moved_folder_is_found_by_the_shells_that_can(
    accounts: Accounts, config_file: Path, tmp_path: Path, shell: str
) -> None:
    out = tmp_path / "first"
    invoke("-c", config_file, "credentials", "--out", out)
    moved = out.rename(tmp_path / "a folder")
    done = source(shell, str(moved / "eucarc"), tmp_path)
    assert all(line.startswith(str(moved)) for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == 3
    result = source("dash", str(moved / "eucarc"), tmp_path)
    assert "was moved" in result.stderr


def test_eucarc_names_the_region_that_euca2ools_signs_for(
    accounts: Accounts, config_file: Path, tmp_path: Path
) -> None:
    """Beside S3_URL in the environment it takes the region of its own file for unknown."""
    invoke("-c", config_file, "credentials", "--out", tmp_path)
    assert "export AWS_AUTH_REGION=eucabox\n" in (tmp_path / "eucarc").read_text()


def test_status_of_a_stopped_cloud(accounts: Accounts, config_file: Path) -> None:
    shown = invoke("-c", config_file, "status", "--json")
    assert shown.exit_code == 3
    assert json.loads(shown.output)["running"] is False


def test_doctor_names_a_taken_port_and_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "eucabox.conf"
        file.write_text(
            f"[cloud]\ndata_dir = {closed}\n"
            f"[api]\nport = {port}\nhttps_port = 0\n"
            "[console]\nenabled = no\n[node]\nvirt_type = qemu\n"
        )
        shown = invoke("-c", file, "doctor", "--json")
    assert shown.exit_code == 1
    failed = {each["what"]: each for each in json.loads(shown.output) if each["state"] == "FAIL"}
    assert set(failed["ports"]) == {"what", "state", "detail", "fix"}
    assert str(port) in failed["ports"]["detail"]
    assert "[api] port" in failed["ports"]["fix"]
    assert "chmod o+x" in failed["path"]["fix"]


def test_a_demo_whose_eucabox_ended_says_so_and_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:8773/")

    monkeypatch.setattr("eucabox.cli.demo._journey", fail)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    shown = invoke("demo", "--folder", tmp_path)
    assert shown.exit_code == 1
    assert "eucabox was ended meanwhile" in shown.output
    assert f"eucabox --config {tmp_path}/eucabox.conf logs" in shown.output


def test_a_demo_beside_a_service_that_does_not_run_says_how_to_start_it(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.cli.demo.is_unit_installed", lambda: True)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    shown = invoke("-c", config_file, "demo")
    assert shown.exit_code == 1
    assert "the service eucabox does not run: type `systemctl start eucabox`" in shown.output
    assert "--folder /var/lib/eucabox-demo goes on a cloud of its own" in shown.output


def metadata_in_doctor(tmp_path: Path, bridge: str, port: int) -> str:
    file = tmp_path / "eucabox.conf"
    file.write_text(
        f"[cloud]\ndata_dir = {tmp_path}\n[node]\nvirt_type = qemu\n"
        f"[network]\nown_bridge = {bridge}\n[metadata]\nport = {port}\n"
    )
    shown = invoke("-c", file, "doctor", "--json")
    (found,) = [each for each in json.loads(shown.output) if each["what"] == "metadata"]
    state: str = found["state"]
    return state


@pytest.mark.slow
def test_doctor_minds_no_other_clouds_metadata_on_another_bridge(tmp_path: Path) -> None:
    device = f"eut{secrets.token_hex(4)}"
    run("ip", "link", "add", device, "type", "bridge")
    try:
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            other.bind(("0.0.0.0", 0))
            other.listen()
            port = other.getsockname()[1]
            assert metadata_in_doctor(tmp_path, "eutnone", port) == "ok"
            assert metadata_in_doctor(tmp_path, device, port) == "FAIL"
    finally:
        run("ip", "link", "del", device)


@pytest.mark.slow
def test_doctor_names_a_metadata_port_that_is_taken_on_all_devices(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        assert metadata_in_doctor(tmp_path, "eutnone", other.getsockname()[1]) == "FAIL"


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (
            {"virt_type": "qemu", "detail": "qemu: no KVM", "libvirt": "qemu:///system"},
            "qemu: no KVM; qemu:///system",
        ),
        (
            {
                "virt_type": "kvm",
                "detail": "kvm",
                "problem": "libvirt is silent",
                "guests": {"i-1": "hung"},
            },
            "kvm; libvirt is silent; i-1 hung",
        ),
    ],
)
def test_status_tells_of_the_node_only_what_there_is(
    accounts: Accounts, config_file: Path, monkeypatch: pytest.MonkeyPatch, node: Any, text: str
) -> None:
    monkeypatch.setattr("eucabox.cli.background.running_pid", lambda config: os.getpid())
    monkeypatch.setattr("eucabox.cli.background.status", lambda config: {"node": node})
    shown = invoke("-c", config_file, "status")
    assert f"\nnode             {text}\n" in shown.output


def test_status_has_each_problem_in_a_line_of_its_own(
    accounts: Accounts, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = ["metadata: no port.", "i-1: it hangs"]
    monkeypatch.setattr("eucabox.cli.background.running_pid", lambda config: os.getpid())
    monkeypatch.setattr("eucabox.cli.background.status", lambda config: {"problems": problems})
    shown = invoke("-c", config_file, "status")
    assert f"problems         metadata: no port.\n{' ' * 17}i-1: it hangs\n" in shown.output


def test_doctor_names_a_bridge_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "eucabox.conf"
    settings = "[node]\nvirt_type = qemu\n[network]\nmode = SYSTEM\nbridge = eutnone"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n{settings}\n")
    shown = invoke("-c", file, "doctor", "--json")
    (found,) = [each for each in json.loads(shown.output) if each["what"] == "network"]
    assert (found["state"], "eutnone is no bridge" in found["detail"]) == ("FAIL", True)
    assert "ip link add eutnone type bridge" in found["fix"]


def test_image_commands_name_what_they_lack(tmp_path: Path) -> None:
    shown = CliRunner(env=dict.fromkeys(os.environ)).invoke(main, ["image", "list"])
    assert shown.exit_code == 1
    assert "EC2_URL" in shown.output
    assert "eucarc" in shown.output


def test_doctor_names_programs_that_are_not_run(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir(mode=0o755)
    for name, mode in (("10-good", 0o755), ("20-open", 0o777), ("README", 0o644)):
        (hooks / name).touch()
        (hooks / name).chmod(mode)
    file = tmp_path / "eucabox.conf"
    file.write_text(
        f"[node]\nvirt_type = qemu\nhooks = {hooks}\ndomain_xml_kvm = {tmp_path}/none\n"
    )
    shown = invoke("-c", file, "doctor", "--json")
    found = [each for each in json.loads(shown.output) if each["what"] in ("hooks", "domain xml")]
    assert [each["state"] for each in found] == ["FAIL", "warn"]
    assert "domain_xml_kvm" in found[0]["fix"]
    assert "20-open is not run: others can write it" in found[1]["detail"]


@pytest.mark.parametrize(
    ("words", "message"),
    [((), "at least one setting"), (("--seed", "floppy"), "'floppy' is not one of 'imds'")],
)
def test_an_images_settings_are_checked_before_anybody_is_asked(
    words: tuple[str, ...], message: str
) -> None:
    result = invoke("image", "set", "emi-12345678", *words)
    assert result.exit_code == 2
    assert message in result.output


def test_buckets_are_listed_and_read_again_without_a_cloud(config_file: Path) -> None:
    assert "holds no cloud yet" in invoke("-c", config_file, "bucket", "list").output
    folder = config_file.parent / "buckets" / "hand"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"content")
    facts = invoke("-c", config_file, "bucket", "rescan", "--json")
    assert json.loads(facts.output)[0]["objects"] == 1
    (folder / "file").unlink()
    assert "0 objects  complete" in invoke("-c", config_file, "bucket", "rescan").output
    shown = json.loads(invoke("-c", config_file, "bucket", "list", "--json").output)
    assert shown == [{"bucket": "hand", "owner_id": "", "objects": 0, "bytes": 0}]
    refused = invoke("-c", config_file, "bucket", "rescan", "nobody")
    assert (refused.exit_code, "There is no bucket nobody" in refused.output) == (1, True)


def rescanned(*rows: tuple[str, str]) -> list[dict[str, str]]:
    return [{"bucket": name, "state": state, "objects": "3"} for name, state in rows]


@pytest.mark.not_fast
def test_a_rescan_is_followed_until_each_bucket_is_read(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        rescanned(("a", "complete"), ("b", "pending"), ("other", "failed")),
        rescanned(("a", "complete"), ("b", "complete"), ("other", "failed")),
    ]
    monkeypatch.setattr(background, "running_pid", lambda _: 1)
    monkeypatch.setattr(operator, "ask", lambda *_, **__: answers.pop(0))
    facts = invoke("-c", config_file, "bucket", "rescan", "a", "b", "b", "--json")
    assert [each["bucket"] for each in json.loads(facts.output)] == ["a", "b"]
    assert answers == []


@pytest.mark.not_fast
def test_a_rescan_that_a_restart_has_ended_is_not_waited_for(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [rescanned(("a", "complete"), ("b", "running")), rescanned()]
    monkeypatch.setattr(background, "running_pid", lambda _: 1)
    monkeypatch.setattr(operator, "ask", lambda *_, **__: answers.pop(0))
    result = invoke("-c", config_file, "bucket", "rescan")
    assert (result.exit_code, "started again" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("listen", "address"), [("::", "[::1]"), ("::1", "[::1]"), ("0.0.0.0", "127.0.0.1")]
)
@pytest.mark.usefixtures("accounts")
def test_a_cloud_is_asked_where_it_listens(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, listen: str, address: str
) -> None:
    config_file.write_text(
        f"[cloud]\ndata_dir = {config_file.parent}\n[api]\nlisten = {listen}\nport = 9\n"
    )
    monkeypatch.setattr(background, "running_pid", lambda _: 1)
    result = invoke("-c", config_file, "bucket", "list")
    assert f"does not answer at http://{address}:9/" in result.output


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "state"), [(8192, "ok"), (1024, "warn"), (300, "FAIL")])
def test_doctor_tells_how_many_files_may_be_open(tmp_path: Path, limit: int, state: str) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n")
    argv = [sys.executable, "-m", "eucabox", "-c", str(file), "doctor", "--json"]
    argv = ["prlimit", f"--nofile={limit}:{limit}", *argv]
    shown = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    (found,) = [each for each in json.loads(shown.stdout) if each["what"] == "files"]
    assert found["state"] == state
    assert found["detail"].startswith(f"{limit} at most")
    assert ("LimitNOFILE" in found["fix"]) == (state != "ok")
