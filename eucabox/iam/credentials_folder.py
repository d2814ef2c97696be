"""Writes a folder, or a zip, with the settings and keys of a user's clients; creates no keys."""

import io
import re
import shlex
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from eucabox.atomic_files import write_atomic
from eucabox.config import DEFAULT_FILE, Config
from eucabox.iam.accounts import Accounts, UserCredentials
from eucabox.iam.caller import Caller
from eucabox.iam.certificate_authority import fingerprint

NOT_A_FILE_WORD = re.compile(r"[^A-Za-z0-9._@+-]")
FIRST_PERSON = 1000  # lower user ids belong to root and to services: nobody logs in as these

EUCARC = """\
# The clients' settings for {account}/{user} of this eucabox: source it in any shell.
# bash and zsh know where this file is; others {others_go}.
EUCA_KEY_DIR=
if [ -n "${{BASH_VERSION:-}}" ]; then
  EUCA_KEY_DIR=${{BASH_SOURCE:-}}
elif [ -n "${{ZSH_VERSION:-}}" ]; then
  eval 'EUCA_KEY_DIR=${{(%):-%x}}'
fi
if [ -n "$EUCA_KEY_DIR" ]; then
  EUCA_KEY_DIR=$(dirname -- "$(readlink -f -- "$EUCA_KEY_DIR")")
fi
{find_elsewhere}[ -f "$EUCA_KEY_DIR/{private_key}" ] || EUCA_KEY_DIR={quoted_folder}
[ -f "$EUCA_KEY_DIR/{private_key}" ] ||
  echo "eucarc: $EUCA_KEY_DIR was moved; source its eucarc in bash or zsh" >&2
export EUCA_KEY_DIR
export EC2_URL={endpoint}/services/compute
export S3_URL={endpoint}/services/objectstorage
export AWS_IAM_URL={endpoint}/services/Euare
export EUARE_URL={endpoint}/services/Euare
export TOKEN_URL={endpoint}/services/Tokens
export EUCA_BOOTSTRAP_URL={endpoint}/services/Empyrean
export AWS_ENDPOINT_URL={endpoint}
export EC2_ACCESS_KEY={access_key}
export EC2_SECRET_KEY={secret_key}
export AWS_ACCESS_KEY={access_key}
export AWS_SECRET_KEY={secret_key}
export AWS_ACCESS_KEY_ID={access_key}
export AWS_SECRET_ACCESS_KEY={secret_key}
export AWS_DEFAULT_REGION={region}
export EUCA_DEFAULT_REGION={region}
export AWS_AUTH_REGION={region}
export EUCA_CONFIG_PATH="${{EUCA_KEY_DIR}}/euca2ools.ini"
export EC2_USER_ID={account_id}
export EC2_ACCOUNT_NUMBER={account_id}
export EC2_CERT="${{EUCA_KEY_DIR}}/{certificate}"
export EC2_PRIVATE_KEY="${{EUCA_KEY_DIR}}/{private_key}"
export EUCALYPTUS_CERT="${{EUCA_KEY_DIR}}/cloud-cert.pem"
export AWS_CREDENTIAL_FILE="${{EUCA_KEY_DIR}}/iamrc"
"""

# dash does not say which file it reads, but has it open meanwhile
FIND_OPEN = """\
if ! [ -f "$EUCA_KEY_DIR/{private_key}" ]; then
  for EUCA_KEY_DIR in /proc/$$/fd/*; do
    EUCA_KEY_DIR=$(dirname -- "$(readlink -f -- "$EUCA_KEY_DIR")")
    if [ -f "$EUCA_KEY_DIR/{private_key}" ]; then break; fi
  done
fi
"""

IAMRC = """\
AWSAccessKeyId={access_key}
AWSSecretKey={secret_key}
"""

EUCA2OOLS = """\
[global]
default-region = {region}

[region {region}]
user = {user}
ec2-url = {endpoint}/services/compute/
s3-url = {endpoint}/services/objectstorage/
iam-url = {endpoint}/services/Euare/
sts-url = {endpoint}/services/Tokens/
bootstrap-url = {endpoint}/services/Empyrean/
{cloud_certificate_line}
[user {user}]
key-id = {access_key}
secret-key = {secret_key}
account-id = {account_id}
{certificate_lines}"""

# Absolute paths, so a zip has none of them, and its eucarc names the files instead.
CLOUD_CERTIFICATE_LINE = "certificate = {folder}/cloud-cert.pem\n"
CERTIFICATE_LINES = """\
certificate = {folder}/{certificate}
private-key = {folder}/{private_key}
"""

AWS_CONFIG = """\
[profile {profile}]
region = {region}
endpoint_url = {endpoint}
output = json
s3 =
    addressing_style = path
"""

AWS_CREDENTIALS = """\
[{profile}]
aws_access_key_id = {access_key}
aws_secret_access_key = {secret_key}
"""

S3CMD = """\
[default]
access_key = {access_key}
secret_key = {secret_key}
host_base = {host}
host_bucket = {host}
use_https = False
"""

AWS_PROFILE = "eucabox"
SECRET, PUBLIC = 0o600, 0o644


@dataclass(frozen=True)
class CredentialsFolder:
    """A folder of credentials, with the values that a command may print."""

    folder: Path
    account_id: str
    access_key_id: str
    endpoint: str
    files: tuple[str, ...]  # their names in the folder

    @property
    def eucarc(self) -> Path:
        """The file to source."""
        return self.folder / "eucarc"


def endpoint(config: Config, host: str = "") -> str:
    """Return the base URL at which clients of this machine reach the API."""
    listen = config.api.listen
    host_name = host or {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(listen, listen)  # noqa: S104
    bracketed = (
        f"[{host_name}]" if ":" in host_name and not host_name.startswith("[") else host_name
    )
    return f"http://{bracketed}:{config.api.port}"


def write_profiles(config: Config, host: str, access_key: str, secret_key: str) -> dict[str, str]:
    """Return the settings of clients that need no more than a key, by the files they belong in;
    `host` is as `endpoint` has it."""
    address = endpoint(config, host)
    facts = {
        "access_key": access_key,
        "secret_key": secret_key,
        "profile": AWS_PROFILE,
        "region": config.cloud.region,
        "endpoint": address,
        "host": address.partition("://")[2],
    }
    templates = {
        "~/.aws/config": AWS_CONFIG, "~/.aws/credentials": AWS_CREDENTIALS, "~/.s3cfg": S3CMD,
    }  # fmt: skip
    return {file: template.format(**facts) for file, template in templates.items()}


def credentials_command(config: Config) -> str:
    """Return the command that writes a folder with a client's keys on this machine."""
    argv = ["eucabox", "credentials"]
    if config.file not in (None, DEFAULT_FILE):
        argv[1:1] = ["--config", str(config.file)]
    owner = config.cloud.data_dir.stat().st_uid
    return shlex.join(["sudo", *argv] if owner < FIRST_PERSON else argv)


@dataclass(frozen=True)
class CredentialsFiles:
    """The contents of a user's folder: the name, the text and the mode of each file."""

    folder: Path
    facts: dict[str, str]
    files: list[tuple[str, str, int]]

    def write(self) -> CredentialsFolder:
        """Write the folder: eucarc, certificates, a euca2ools ini, an AWS profile."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "aws").mkdir(mode=0o700, exist_ok=True)
        for name, content, mode in self.files:
            write_atomic(self.folder / name, content.encode(), mode)
        return CredentialsFolder(
            self.folder,
            account_id=self.facts["account_id"],
            access_key_id=self.facts["access_key"],
            endpoint=self.facts["endpoint"],
            files=tuple(name for name, _, _ in self.files),
        )


def render(
    config: Config, accounts: Accounts, user: str, folder: Path, host: str = ""
) -> CredentialsFiles:
    """Return the files of a user's folder.

    The same user always gets the same keys. `host` is the name by which other machines reach
    this one. Raises NoSuchUser.
    """
    credentials = accounts.user_credentials(accounts.user(user))
    facts = _template_values(config, credentials, host)
    named = {**facts, "folder": str(folder.absolute())}
    facts |= {
        "find_elsewhere": "",
        "quoted_folder": shlex.quote(str(folder.absolute())),
        "others_go": "go to the folder that it was written to",
        "cloud_certificate_line": CLOUD_CERTIFICATE_LINE.format(**named),
        "certificate_lines": CERTIFICATE_LINES.format(**named),
    }
    return CredentialsFiles(folder, facts, _render_files(accounts, credentials, facts))


def zip_credentials(
    config: Config, accounts: Accounts, caller: Caller, host: str = ""
) -> tuple[str, bytes]:
    """Return the name and the bytes of a zip with a user's files, which works wherever it is
    unpacked. The same user always gets the same keys. Raises NoActiveCredential."""
    import zipfile  # for this alone

    credentials = accounts.user_credentials(caller)
    facts = _template_values(config, credentials, host)
    facts |= {
        "find_elsewhere": FIND_OPEN.format(**facts),
        "quoted_folder": "$PWD",
        "others_go": "look which file the shell has open",
        "cloud_certificate_line": "",
        "certificate_lines": "",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"Unzip it in a folder of its own, such as ~/.euca, and source eucarc."
        for name, content, mode in _render_files(accounts, credentials, facts):
            entry = zipfile.ZipInfo(name, time.gmtime()[:6])
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return f"euca2-{make_file_word(credentials.caller.user_name)}-x509.zip", packed.getvalue()


def make_file_word(name: str) -> str:
    """Return a user's name without what a file's name should not have."""
    return NOT_A_FILE_WORD.sub("-", name)


def _render_files(
    accounts: Accounts, credentials: UserCredentials, facts: dict[str, str]
) -> list[tuple[str, str, int]]:
    return [
        ("eucarc", EUCARC.format(**facts), SECRET),
        ("euca2ools.ini", EUCA2OOLS.format(**facts), SECRET),
        ("iamrc", IAMRC.format(**facts), SECRET),
        ("aws/config", AWS_CONFIG.format(**facts), PUBLIC),
        ("aws/credentials", AWS_CREDENTIALS.format(**facts), SECRET),
        ("cloud-cert.pem", accounts.cloud_certificate, PUBLIC),
        ("ca.crt", accounts.authority.ca_file.read_text(), PUBLIC),
        (facts["certificate"], credentials.certificate, PUBLIC),
        (facts["private_key"], credentials.private_key, SECRET),
    ]


def _template_values(config: Config, credentials: UserCredentials, host: str) -> dict[str, str]:
    user = make_file_word(credentials.caller.user_name)
    stem = f"euca2-{user}-{fingerprint(credentials.certificate)[:8]}"
    return {
        "endpoint": endpoint(config, host),
        "region": config.cloud.region,
        "account": credentials.caller.account_name,
        "account_id": credentials.caller.account_id,
        "user": credentials.caller.user_name,
        "access_key": credentials.caller.access_key_id,
        "secret_key": credentials.secret,
        "certificate": f"{stem}-cert.pem",
        "private_key": f"{stem}-pk.pem",
        "profile": AWS_PROFILE,
    }
