"""The straight road: small requests to S3 in the few steps that most of them need.

It takes GetObject, HeadObject, PutObject and DeleteObject if it is sure of all of this, and hands
every other request on, untouched, to the general road, which also words every refusal:

- of the request: but for values that may vary, its head is like one that the general road has
  served on this connection, so nothing new is asked for. Its signature is version 4, in the
  Authorization header, by a permanent key, and is verified anew for each request.
- of the bucket: it belongs to the caller's account and has no settings but HARMLESS ones.
- of the caller: it is the root of its account, or its own policies allow the action by statements
  that depend on nothing but the resource, the address and TLS.
- of an object that is read: it is small, belongs to the bucket's owner, and is neither encrypted
  nor tagged nor locked. A body that is written has come, or waits for 100 Continue and is small.

Two values hold what is remembered. A `Habit` is what the requests of a connection have in common,
with the key as it was looked up; a `Right` is what a key may do in a bucket, with both as they were
looked up. After a change of who a caller is or what it may do `KnownKeys` has another object for
each key, after one of a bucket's settings the store another for it, and both are compared for each
request: a change counts at once, one by another process after 5 ms (`State.identity_mark`).
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ReferenceType, ref

from eucabox import actions, ids, logs
from eucabox.errors import Fault
from eucabox.iam.authorization import CallerPolicies
from eucabox.iam.caller import Credential
from eucabox.iam.policy.s3_vocabulary import resource
from eucabox.s3 import object_members, object_request, values
from eucabox.s3.policy_actions import policy_action
from eucabox.s3.request_context import DetachedRequest
from eucabox.store.types import Bucket
from eucabox.wire import model
from eucabox.wire.model import Operation
from eucabox.wire.request import Answer, Request
from eucabox.wire.s3.descriptions import describe
from eucabox.wire.s3.habits import HASH, LONGEST, OF_ALL, OF_READS, OF_WRITES, Habit, KnownClient
from eucabox.wire.s3.parameters import reader
from eucabox.wire.s3.passages import Passage, Served, refuse
from eucabox.wire.s3.requests import check_digests, request_body
from eucabox.wire.s3.responses import write_lines
from eucabox.wire.s3.routes import locate
from eucabox.wire.sign.body import EMPTY, UNSIGNED
from eucabox.wire.sign.errors import REST, SignatureCheck
from eucabox.wire.sign.rest import wrap_signed

if TYPE_CHECKING:
    from eucabox.cloud import Cloud

MOST_RIGHTS, SMALL = 1024, 64 * 1024  # bytes of an object that is read
# Settings of a bucket that change none of these operations for the bucket's own account.
HARMLESS = frozenset({"acceleration", "object_ownership", "public_access_block"}) | {
    *("request_payment", "tagging", "website")
}
ELSEWHERE = ("/services/", "/_eucabox/")  # paths that may mean something else than a bucket


class Right(NamedTuple):
    """What a key may do in a bucket: nothing unless it `is_plain`, and what `policies` permit."""

    credential: Credential
    bucket: ReferenceType[Bucket]  # whose settings may be long, and go with it
    is_plain: bool
    policies: CallerPolicies | None


Serve = Callable[["Cloud", Passage], Answer | Callable[[], Answer] | None]


class Verb(NamedTuple):
    """An operation, the headers that may vary, and its function. It returns None to hand a request
    on, which has changed nothing then, or what does the rest after which the answer is known."""

    name: str
    action: str
    operation: Operation
    varies: frozenset[str]
    serve: Serve
    status: int


class StraightRoad:
    """The straight road of one cloud."""

    def __init__(self, cloud: "Cloud") -> None:
        actions.load()  # by whose names requests are counted
        self._cloud = cloud
        self.store = cloud.store
        self._known_keys = cloud.accounts.known_keys
        self._rights: dict[tuple[str, str], Right] = {}

    def serve(self, client: KnownClient, data: bytes, end: int) -> Served | None:
        """Serve the request at the begin of `data`, whose head ends at `end`; None for one that
        goes the general road. It is recorded before its answer leaves."""
        if end > LONGEST:
            return None
        head = data[:end].decode("latin-1")
        for habit in client.habits:
            if match := habit.pattern.fullmatch(head):
                break
        else:
            return None
        try:
            passage = self._admit(client, habit, match.groups(), data, end + 4)
        except Exception:  # the general road meets it too
            return None
        if passage is None:
            return None
        length = int(passage.headers.get("content-length", "0"))
        if len(passage.body) < length:
            waits = "expect" in habit.fixed and length <= SMALL
            return Served(passage, end + 4 + length, None) if waits else None
        self._known_keys.note_use(habit.signer.credential.caller.credential_id, "s3")
        with logs.about(request_id=passage.request_id):
            return self._perform(passage, end + 4 + length)

    def _admit(
        self, client: KnownClient, habit: Habit, groups: tuple[str, ...], data: bytes, start: int
    ) -> Passage | None:
        """Verify the signature and the right to do it; None where one of them is not plain."""
        started, credential, path = time.perf_counter(), habit.signer.credential, groups[0]
        if self._known_keys.credential(credential.caller.access_key_id) is not credential:
            client.habits.remove(habit)
            return None
        headers = dict(zip(habit.varying, groups[1:], strict=True))
        if path.startswith(ELSEWHERE) or not habit.is_signed(groups, headers, datetime.now(UTC)):
            return None
        if habit.method != "PUT" and headers[HASH] not in (EMPTY, UNSIGNED):
            return None
        body = data[start : start + int(headers.get("content-length", "0"))]
        hosts = self._cloud.config.api.known_hosts
        bucket_name, key, _ = locate(path, habit.fixed["host"], hosts)
        if not bucket_name or not key:
            return None
        bucket = self._cloud.store.bucket(bucket_name)
        sent = bucket, path, key, headers, body
        name = VERBS[habit.method].name
        passage = Passage(started, ids.request_id(), name, client, habit, *sent)
        return passage if _is_permitted(passage, self._find_right(credential, bucket)) else None

    def _find_right(self, credential: Credential, bucket: Bucket) -> Right:
        caller, name = credential.caller, (credential.caller.access_key_id, bucket.name)
        right = self._rights.get(name)
        if right is None or right.bucket() is not bucket or right.credential is not credential:
            is_own = caller.account_id == bucket.owner and caller.session is None
            authorization = self._cloud.accounts.authorization
            policies = authorization.find_policies(caller) if caller.is_limited else None
            is_plain = is_own and bucket.settings.keys() <= HARMLESS
            right = Right(credential, ref(bucket), is_plain, policies)
            if len(self._rights) >= MOST_RIGHTS:
                self._rights.clear()
            self._rights[name] = right
        return right

    def _perform(self, passage: Passage, length: int) -> Served | None:
        verb = VERBS[passage.habit.method]
        try:
            answer = verb.serve(self._cloud, passage)
        except Exception as problem:
            nothing_changed = verb.varies is OF_READS
            return None if nothing_changed else refuse(passage, length, problem)
        if answer is None:
            return None
        if isinstance(answer, Answer):
            return Served(passage, length, answer)
        return Served(passage, length, None, rest=answer)

    def learn(self, client: KnownClient | None, head: bytes, request: Request) -> KnownClient:
        """Learn from a request that the general road has just served; return what is known of the
        client, which was None before its first request."""
        client = client or KnownClient(request.source, secure=request.scheme == "https")
        if verb := VERBS.get(request.method):
            check = SignatureCheck(self._known_keys.credential, datetime.now(UTC), REST)
            client.learn(head.decode("latin-1"), request, verb.name, verb.varies, check)
        return client


def _is_permitted(passage: Passage, right: Right) -> bool:
    policies, client = right.policies, passage.client
    if policies is None or not right.is_plain:
        return right.is_plain
    way = {"source_ip": client.source, "secure": "true" if client.secure else "false"}
    arn = resource(passage.bucket.name, passage.key)
    return policies.permit_plainly(VERBS[passage.habit.method].action, arn, way)


# --- the operations -------------------------------------------------------------------------------


def _get(cloud: "Cloud", passage: Passage) -> Answer | None:
    with cloud.store.open(passage.bucket.name, passage.key) as opened:
        told = describe(opened, passage)
        if told is None or told.length > SMALL:
            return None
        body = os.pread(opened.fileno(), told.length, told.start)
    return told.answer(passage, body) if len(body) == told.length else None


def _head(cloud: "Cloud", passage: Passage) -> Answer | None:
    with cloud.store.open(passage.bucket.name, passage.key) as opened:
        told = describe(opened, passage)
    return told.answer(passage) if told else None


def _put(cloud: "Cloud", passage: Passage) -> Callable[[], Answer] | None:
    request, bucket, signer = passage.build_request(), passage.bucket, passage.habit.signer
    try:
        signed = wrap_signed(request, signer, request.headers["authorization"])
        check_digests(request, signed, of_body=True)
        members: Any = reader(VERBS["PUT"].operation)({}, request.headers)
        caller = DetachedRequest(signer.credential.caller)
        properties = object_request.object_properties(members, caller, bucket, cloud.accounts)
        body = request_body(request, signed)
        expected = object_request.expected_body(members, body)
    except Fault:
        return None
    pending = cloud.store.begin_put(bucket.name, passage.key, body, properties, expected)

    def commit() -> Answer:
        obj = pending.commit()
        written = {"e_tag": values.quote_etag(obj.e_tag), **values.version_members_written(obj)}
        answer = _answer(passage, {**written, **object_members.list_checksums(obj)})
        answer.lines += "Content-Length: 0\r\n"
        return answer

    return commit


def _delete(cloud: "Cloud", passage: Passage) -> Answer | None:
    deleted = cloud.store.delete(passage.bucket.name, passage.key, owner=passage.bucket.owner)
    return _answer(passage, object_members.show_deleted(deleted))


def _answer(passage: Passage, members: dict[str, object]) -> Answer:
    verb = VERBS[passage.habit.method]
    lines = write_lines(verb.operation, members)
    return Answer(verb.status, lines=f"{lines}x-amz-request-id: {passage.request_id}\r\n")


def _make_verb(name: str, varies: frozenset[str], serve: Serve, status: int = 200) -> Verb:
    operation = model.service("s3").get_known(name)
    return Verb(name, policy_action(name), operation, varies, serve, status)


VERBS = {
    "GET": _make_verb("GetObject", OF_READS, _get),
    "HEAD": _make_verb("HeadObject", OF_READS, _head),
    "PUT": _make_verb("PutObject", OF_WRITES, _put),
    "DELETE": _make_verb("DeleteObject", OF_ALL, _delete, 204),
}
