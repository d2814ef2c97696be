"""The matrix: each kind of caller before each registered verb; who may, who may not.

It is made over the table of actions, so a new verb is in it without a line here. A refused caller
learns nothing from the answer and changes nothing.
"""

import dataclasses
import hashlib
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from eucabox import actions
from eucabox.actions.permissions import JUDGED_AS
from eucabox.errors import Fault
from eucabox.iam.caller import Caller
from eucabox.s3.policy_actions import policy_action
from tests.actions.people import People, document, statement
from tests.actions.stand_ins import ADMIN, ALICE, BOB

VERBS = sorted(actions.load())
# Verbs that need no permission, and those that ask the trust policy of a role.
FREE = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")}
OF_ROLES = {("sts", "AssumeRole"), ("sts", "AssumeRoleWithWebIdentity")}
OF_THE_CONSOLE = {key for key in VERBS if key[0] == "console"}  # about the caller, or by a code
OF_GUESTS = {key for key in VERBS if key[0] in ("metadata", "website")}
REFUSALS = {"AccessDenied", "UnauthorizedOperation"}
JUDGED = [key for key in VERBS if key not in FREE | OF_ROLES | OF_GUESTS | OF_THE_CONSOLE]
FOR_ADMIN = [key for key in JUDGED if actions.ACTIONS[key].admin]
FOR_USERS = [key for key in JUDGED if key not in FOR_ADMIN]
# what a policy must allow beside the action itself; S3 asks this for what requests carry
MORE = {
    "CreateBucket": ["s3:PutBucket*", "s3:TagResource"],
    "DeleteObjects": ["s3:DeleteObject*"],
    "GetObjectTorrent": ["s3:GetObject"],
    "GetObjectAttributes": ["s3:GetObject", "s3:GetObjectVersion"],
    "ListBuckets": ["s3:ListAllMyBuckets"],
    "CopyObject": ["s3:GetObject"],
    "UploadPartCopy": ["s3:GetObject"],
}


# --- requests: names of what exists, or of what does not ------------------------------------------


def name_resources(people: People) -> dict[str, dict[str, str]]:
    """Make one resource of each kind in Alice's account; return the members that name them, and
    the same members with names that nothing has."""
    made: dict[str, str] = {}
    world = people.world
    image, kernel = world.image(), world.image(image_type="kernel")
    instance = world.run(image_id=image)["instances"][0]["instance_id"]
    group = people.do("ec2:CreateSecurityGroup", ALICE, group_name="web", description="x")
    key = people.do("ec2:CreateKeyPair", ALICE, key_name="dev", key_type="ed25519")
    people.session("Job")
    people.user("someone")
    people.do("iam:CreateGroup", ALICE, group_name="team")
    text = document(statement("ec2:*"))
    people.do("iam:CreatePolicy", ALICE, policy_name="reader", policy_document=text)
    people.do("iam:CreateInstanceProfile", ALICE, instance_profile_name="seat")
    seat = {"instance_profile_name": "seat"}
    people.do("iam:AddRoleToInstanceProfile", ALICE, **seat, role_name="Job")
    profile = {"iam_instance_profile": {"name": "seat"}, "instance_id": instance}
    associated = people.do("ec2:AssociateIamInstanceProfile", ALICE, **profile)
    association = associated["iam_instance_profile_association"]["association_id"]
    people.do("iam:CreateOpenIDConnectProvider", ALICE, url="https://idp.example.com")
    access_key = people.do("iam:CreateAccessKey", ALICE, user_name="someone")["access_key"]
    of_iam = f"arn:aws:iam::{ALICE.account_id}:"
    made = {
        "access_key_id": access_key["access_key_id"], "association_id": association,
        "group_id": group["group_id"],
        "image_id": image, "instance_id": instance, "instance_profile_name": "seat",
        "kernel_id": kernel, "key": "k", "key_name": "dev", "key_pair_id": key["key_pair_id"],
        "open_id_connect_provider_arn": of_iam + "oidc-provider/idp.example.com",
        "policy_arn": of_iam + "policy/reader", "policy_source_arn": of_iam + "user/someone",
        "role_name": "Job", "source_image_id": image, **name_in_bucket(people),
        "user_name": "someone", "arn": of_iam + "user/someone",
        "ec2_group_name": "web", "iam_group_name": "team",
    }  # fmt: skip
    none = "0" * 17
    missing = {
        "access_key_id": "AKIANONE000000000000", "association_id": "iip-assoc-00000000000000000",
        "group_id": f"sg-{none}", "image_id": "emi-00000000", "instance_id": f"i-{none}",
        "instance_profile_name": "none", "kernel_id": "eki-00000000", "key": "n",
        "key_name": "none", "key_pair_id": f"key-{none}",
        "open_id_connect_provider_arn": of_iam + "oidc-provider/none.example.com",
        "policy_arn": of_iam + "policy/none", "policy_source_arn": of_iam + "user/none",
        "role_name": "none", "source_image_id": "emi-00000000", "upload_id": none,
        "user_name": "nobody", "version_id": "0" * 32, "arn": of_iam + "user/none",
        "ec2_group_name": "none", "iam_group_name": "none",
    }  # fmt: skip
    return {"there": made, "missing": missing}


def name_in_bucket(people: People) -> dict[str, str]:
    """Make the bucket, a new version of its object and a new upload, as verbs remove them."""
    if not people.cloud.store.buckets(owner=ALICE.account_id):
        people.do("s3:CreateBucket", ALICE, bucket="shop")
    enabled = {"status": "Enabled"}
    people.do("s3:PutBucketVersioning", ALICE, bucket="shop", versioning_configuration=enabled)
    people.do("s3:PutObject", ALICE, bucket="shop", key="k", body=None)
    upload = people.do("s3:CreateMultipartUpload", ALICE, bucket="shop", key="k")
    version = people.cloud.store.head("shop", "k").version_id
    return {"upload_id": upload["upload_id"], "version_id": version}


def make_params(key: tuple[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    """Return members that a verb takes: names where it names something, and values of the right
    type for what it requires."""
    found, params = actions.ACTIONS[key], dict[str, Any]()
    for member in found.parameters | set(found.required):
        value = name_member(key[0], member, names, found.hints.get(member))
        if value is not None:
            params[member] = value
        elif member in found.required:
            params[member] = make_value(found.hints.get(member))
    if key[0] == "ec2" and found.takes_all:
        params |= {"volume_id": "vol-1", "allocation_id": "eipalloc-1"}
    return params | special_members(key, names)


def name_member(service: str, member: str, names: Mapping[str, str], hint: object) -> Any:
    if member == "bucket":
        return "shop"
    if member == "resource_arn":
        return "arn:aws:s3:::shop"
    if member == "account_id":
        return ALICE.account_id
    if member == "resources":
        return [names["instance_id"], names["image_id"]]
    if member == "copy_source":
        return {"bucket": "shop", "key": names["key"]}
    single = member.removesuffix("s") if member.endswith(("ids", "names", "groups")) else member
    if single in ("group_name", "security_group"):
        single = f"{service}_group_name"
    value = names.get(single.removeprefix("security_"))
    if value is None or single != member:
        return None if value is None else [value]
    return value if hint is str or "str" in str(hint) else None


def make_value(hint: object) -> Any:
    origin = typing.get_origin(hint)
    if hint is int or hint == int | None:
        return 1
    if hint is bytes:
        return b"x"
    if origin in (list, Sequence):
        return [make_value(typing.get_args(hint)[0])]
    if origin is dict or typing.is_typeddict(hint):
        return {}
    return "x"


def special_members(key: tuple[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    member = {"DeleteObjects": {"delete": {"objects": [{"key": names["key"]}]}}}
    return member.get(key[1], {}) if key[0] == "s3" else {}


# --- callers and what they get --------------------------------------------------------------------


def answer_of(people: People, key: tuple[str, str], caller: Caller | None, params: Any) -> str:
    """Return the code and the text of what a caller gets; what is sealed and the name of the
    resource that the caller sent are left out."""
    try:
        result = people.do(":".join(key), caller, **params)
    except Fault as fault:
        return f"{fault.code}: {fault.message}"
    if isinstance(result, dict) and result.get("errors"):  # of DeleteObjects, entry by entry
        return f"{result['errors'][0]['code']}: {result['errors'][0]['message']}"
    return "ok"


def leave_out(answer: str, names: Mapping[str, str]) -> str:
    """Return an answer without what is sealed and without the names that the caller sent."""
    answer = re.sub(r"(failure message: ).+", r"\1", answer)
    for value in sorted(names.values(), key=len, reverse=True):
        answer = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", "NAME", answer)
    return answer


def is_refused(answer: str) -> bool:
    return answer.partition(":")[0] in REFUSALS


def list_actions(key: tuple[str, str]) -> list[str]:
    """Return what a policy must allow for a verb."""
    service, name = JUDGED_AS.get(key, key)
    if service == "s3":
        own = policy_action(name)
        return [own, own.replace("Object", "ObjectVersion", 1), *MORE.get(name, [])]
    if service == "s3control":
        return [f"s3:{name}"]
    more = {"ec2": ["ec2:CreateTags", "iam:PassRole"], "iam": ["iam:PassRole"]}
    extra = [each for each in more.get(service, []) if each != f"{service}:{name}"]
    return [f"{service}:{name}", *extra]


def digest(people: People) -> str:
    """Return a digest of all that is stored: every row of every table, and the buckets' files."""
    lines = []
    tables = people.state.query("select name from sqlite_master where type = 'table'")
    for table in sorted(row["name"] for row in tables):
        lines += sorted(repr(row) for row in people.state.query(f"select * from [{table}]"))
    folder = people.cloud.config.bucket_root
    lines += sorted(
        f"{path} {path.stat().st_size}" for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".db"))
    )  # fmt: skip
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclasses.dataclass
class Matrix:
    """The cloud of the matrix with its callers."""

    people: People
    names: dict[str, dict[str, str]]
    callers: dict[str, Caller | None]


@pytest.fixture
def matrix(people: People) -> Matrix:
    names = name_resources(people)
    callers: dict[str, Caller | None] = {
        "a user without policy": people.user("eve"),
        "a session of a role without policy": people.session("Bare"),
        "a user of another account": people.user("mal", statement("*"), root=BOB),
        "the root of another account": BOB,
        "an anonymous caller": None,
    }
    return Matrix(people, names, callers)


@pytest.mark.not_fast
def test_who_has_no_policy_may_nothing_learns_nothing_and_changes_nothing(matrix: Matrix) -> None:
    people = matrix.people
    for who in ("a user without policy", "a session of a role without policy"):
        caller = matrix.callers[who]
        before = digest(people)
        for key in JUDGED:
            answers = {
                case: leave_out(answer_of(people, key, caller, make_params(key, names)), names)
                for case, names in matrix.names.items()
            }
            assert is_refused(answers["there"]), (who, key, answers)
            assert answers["there"] == answers["missing"], (who, key)
        assert digest(people) == before, who


def test_an_anonymous_caller_and_other_accounts_change_nothing(matrix: Matrix) -> None:
    people, names = matrix.people, matrix.names["there"]
    for who in ("an anonymous caller",):
        caller, before = matrix.callers[who], digest(people)
        for key in JUDGED:
            answer = answer_of(people, key, caller, make_params(key, names))
            assert answer != "ok", (who, key)
            assert answer.partition(":")[0] in {*REFUSALS, "MissingAuthenticationToken"}, (
                key,
                answer,
            )
        assert digest(people) == before, who


@pytest.mark.not_fast
@pytest.mark.parametrize("who", ["a user of another account", "the root of another account"])
def test_no_caller_reaches_what_another_account_has(matrix: Matrix, who: str) -> None:
    people, names = matrix.people, matrix.names["there"]
    caller, before = matrix.callers[who], digest_of_account(people, ALICE.account_id)
    for key in JUDGED:
        answer_of(people, key, caller, make_params(key, names))
        now = digest_of_account(people, ALICE.account_id)
        assert now == before, (who, key)


@pytest.mark.not_fast
@pytest.mark.parametrize("kind", ["user", "session"])
def test_one_policy_allows_its_verb_and_no_other(people: People, kind: str) -> None:
    names = name_resources(people)["there"]
    caller = people.user("eve") if kind == "user" else people.session("Only")
    role = caller.session.role if caller.session else None
    owner_id = role.role_id if role else caller.user_id
    others = [("ec2", "DescribeInstances"), ("s3", "GetObject"), ("iam", "ListUsers")]
    for key in FOR_USERS:
        allowed = list_actions(key)
        people.allow(owner_id, statement(allowed))
        if key[0] == "s3":
            names = {**names, **name_in_bucket(people)}
        with people.state.transaction() as database:
            database.conn.execute("savepoint verb")
            answer = answer_of(people, key, caller, make_params(key, names))
            database.conn.execute("rollback to verb")
        assert not is_own_refusal(answer, caller), (key, answer)
        for other in others:
            if not set(list_actions(other)) & set(allowed):
                told = answer_of(people, other, caller, make_params(other, names))
                assert is_refused(told), (key, other, told)


@pytest.mark.not_fast
@pytest.mark.parametrize("key", FOR_ADMIN, ids=":".join)
def test_verbs_of_the_administrator_are_for_nobody_else(
    people: People, key: tuple[str, str]
) -> None:
    eve = people.user("eve", statement("*"))
    names = name_resources(people)["there"]
    for caller in (eve, ALICE, replace(eve, account_id=ADMIN.account_id)):
        assert is_refused(answer_of(people, key, caller, make_params(key, names)))


def test_the_verbs_that_are_free_are_few(people: People) -> None:
    eve = people.user("eve")
    assert people.do("sts:GetCallerIdentity", eve)["arn"] == eve.arn
    assert people.do("sts:GetSessionToken", eve)["credentials"]
    assert set(VERBS) - set(JUDGED) == FREE | OF_ROLES | OF_GUESTS | OF_THE_CONSOLE
    arn = f"arn:aws:iam::{ALICE.account_id}:role/none"
    told = answer_of(
        people, ("sts", "AssumeRole"), eve, {"role_arn": arn, "role_session_name": "s1"}
    )
    assert is_refused(told)


def is_own_refusal(answer: str, caller: Caller) -> bool:
    """True for a refusal by the caller's policies; a verb may refuse for other reasons."""
    return is_refused(answer) and caller.arn in answer


def digest_of_account(people: People, account_id: str) -> str:
    """Return a digest of the rows of an account, and of its buckets."""
    lines = []
    for row in people.state.query("select name from sqlite_master where type = 'table'"):
        columns = people.state.query(f"select name from pragma_table_info('{row['name']}')")
        if any(each["name"] == "account_id" for each in columns):
            sql = f"select * from [{row['name']}] where account_id = ?"
            lines += sorted(repr(each) for each in people.state.query(sql, (account_id,)))
    store = people.cloud.store
    lines += [repr(each) for each in store.buckets(owner=account_id)]
    lines += [repr(store.head("shop", "k"))]
    return "\n".join(lines)
