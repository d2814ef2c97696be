"""Gives ceph/s3-tests what its tests of IAM and STS need: accounts, users, an identity provider.

The suite expects two things of Ceph alone, which its copy gets as AWS has them: ARNs of roles and
users without an account, and identity providers without any client, whose every token counts.
"""

import configparser
import json
import shutil
import time
from pathlib import Path
from typing import Any

from tests.issuer import CLIENT, Issuer
from tests.live.process import Running

REALM = "demo"
ROOTS = {"iam root": "first", "iam alt root": "second"}
HOME = "people"  # the account of the user in [s3 alt], whose root is [iam]
OTHERS = {"s3 main": "main", "s3 tenant": "third"}
ALT = "s3alt"
TAGS = "https://aws.amazon.com/tags"
ANY_S3 = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}  # as Ceph's users of old
HOURS = 12 * 3600


def write_people(cloud: Running, issuer: Issuer, file: Path) -> str:
    """Write the suite's configuration, making the users; return the account of [iam]."""
    parser = configparser.RawConfigParser()
    parser["DEFAULT"] = {"host": "127.0.0.1", "port": str(cloud.port), "is_secure": "False"}
    parser["fixtures"] = {"bucket prefix": "s3i-{random}-"}
    for section, name in {**ROOTS, **OTHERS, "iam": HOME}.items():
        parser[section] = _root(cloud, name)
    # its one use is in grants of access lists, where S3 has the canonical id
    owner = cloud.client("s3", ROOTS["iam alt root"]).list_buckets()["Owner"]["ID"]
    parser["iam alt root"]["user_id"] = owner
    parser["s3 alt"] = _user(cloud.client("iam", HOME), ALT, ANY_S3)
    parser["s3 tenant"]["tenant"] = "testx"
    parser["webidentity"] = _tokens(issuer)
    with file.open("w") as output:
        parser.write(output)
    return parser["iam"]["user_id"]


def _root(cloud: Running, name: str) -> dict[str, str]:
    settings = cloud.credentials(name)
    email = f"{name}@localhost"
    cloud.command("user", "email", name, email)
    return {
        "display_name": name,
        "user_id": cloud.client("sts", name).get_caller_identity()["Account"],
        "email": email,
        "access_key": settings["AWS_ACCESS_KEY"],
        "secret_key": settings["AWS_SECRET_KEY"],
    }


def _user(iam: Any, name: str, statement: dict[str, str]) -> dict[str, str]:
    """A user with a managed policy, as the tests count the inline ones."""
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = iam.create_policy(PolicyName=f"of-{name}", PolicyDocument=document)["Policy"]
    iam.attach_user_policy(UserName=name, PolicyArn=policy["Arn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "display_name": name,
        "user_id": name,
        "email": f"{name}@localhost",
        "access_key": key["AccessKeyId"],
        "secret_key": key["SecretAccessKey"],
    }


def _tokens(issuer: Issuer) -> dict[str, str]:
    until = int(time.time()) + HOURS
    claims = {"sub": "person-1", "azp": CLIENT, "exp": until}
    tags = {TAGS: {"principal_tags": {"Department": ["Engineering"]}}}
    return {
        "token": issuer.token(claims),
        "user_token": issuer.token({**claims, **tags}),
        "aud": CLIENT,
        "sub": "person-1",
        "azp": CLIENT,
        "thumbprint": "0" * 40,
        "KC_REALM": REALM,
    }


def copy_suite(checkout: Path, folder: Path, account: str, issuer: str) -> Path:
    """Copy a checkout into a folder with the forms of AWS in its tests of IAM and STS."""
    shutil.copytree(checkout, folder, ignore=shutil.ignore_patterns(".git"))
    base = issuer.removesuffix(f"/auth/realms/{REALM}")
    clients = f"ClientIDList=['{CLIENT}']"
    changes = {
        "arn:aws:iam:::assumed-role/": f"arn:aws:sts::{account}:assumed-role/",
        "arn:aws:iam:::": f"arn:aws:iam::{account}:",
        "http://localhost:8080": base,
        "localhost:8080": base.removeprefix("http://"),
        "    ThumbprintList=[\n        thumbprint,\n    ],\n": "    ThumbprintList=[\n"
        f"        thumbprint,\n    ],\n    {clients},\n",
        "clientids = []": f"clientids = ['{CLIENT}']",
        "url = 'http://' + url_host": "url = 'https://' + url_host",
    }
    for name in ("test_iam.py", "test_sts.py"):
        file = folder / "s3tests" / "functional" / name
        text = file.read_text()
        for before, after in changes.items():
            text = text.replace(before, after)
        file.write_text(text)
    return folder
