"""The operator's requests to a running cloud, signed as its administrator; no other command's."""

import urllib.parse
from contextlib import closing
from typing import Any
from xml.etree.ElementTree import ParseError

import click
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from eucabox.cli.data_owner import act_as_owner
from eucabox.cli.users import open_state
from eucabox.config import Config
from eucabox.iam.accounts import Accounts, UserCredentials
from eucabox.iam.credentials_folder import endpoint

VERSION = "eucalyptus"
SECONDS = 60
OK = 200


def ask(config: Config, action: str, **fields: str) -> list[dict[str, str]]:
    """Perform a verb of the bootstrap service and return the items of its answer's list."""
    from botocore.exceptions import BotoCoreError
    from botocore.httpsession import URLLib3Session

    url = f"{endpoint(config)}/services/Empyrean"
    body = urllib.parse.urlencode({"Action": action, "Version": VERSION, **fields})
    try:
        answer = URLLib3Session(timeout=SECONDS).send(_sign(config, url, body).prepare())
    except BotoCoreError as problem:
        raise click.ClickException(f"eucabox does not answer at {url}: {problem}") from None
    if answer.status_code != OK:
        raise click.ClickException(_message(answer.content))
    tree = fromstring(answer.content)
    items = (each for each in tree.iter() if each.tag.endswith("}item"))
    return [{member.tag.rpartition("}")[2]: member.text or "" for member in i} for i in items]


def _sign(config: Config, url: str, body: str) -> Any:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    key = read_key(config)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest("POST", url, headers=headers, data=body)
    credentials = Credentials(key.caller.access_key_id, key.secret)
    SigV4Auth(credentials, "bootstrap", config.cloud.region).add_auth(request)
    return request


def read_key(config: Config) -> UserCredentials:
    """Return the administrator's access key."""
    with act_as_owner(config), closing(open_state(config)) as state:
        accounts = Accounts(config, state)
        return accounts.user_credentials(accounts.ensure_administrator())


def _message(document: bytes) -> str:
    try:
        tree = fromstring(document)
    except (ParseError, DefusedXmlException):
        return "eucabox gave no readable answer; its log may say more."
    members = {each.tag.rpartition("}")[2]: each.text or "" for each in tree.iter()}
    return (
        f"{members.get('Code', 'Error')}: {members.get('Message', 'eucabox refused the request.')}"
    )
