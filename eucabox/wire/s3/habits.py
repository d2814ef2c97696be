"""What the requests of one client have in common, as a pattern of their heads; serves none.

A client sends request after request with the same headers in the same order, and most of their
values are the same too. So a head that matches the pattern of an earlier one, which was read in
full, needs no other reading: what the pattern leaves open are the path, the signature, the time,
digests and lengths, and metadata.
"""

import contextlib
import io
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from eucabox import logs
from eucabox.errors import Fault
from eucabox.wire.request import Request
from eucabox.wire.s3 import checksum_headers
from eucabox.wire.s3.routes import website_of
from eucabox.wire.sign.errors import SignatureCheck
from eucabox.wire.sign.v4 import Signer, find_signer, write_canonical

SCOPE = "/s3/aws4_request"
HASH, DATE, METADATA = "x-amz-content-sha256", "x-amz-date", "x-amz-meta-"
# Headers whose values must be the same in each request of a habit.
FIXED = frozenset(
    {
        *("host", "connection", "user-agent", "accept", "accept-encoding", "x-amz-user-agent"),
        *("content-encoding", "expect", "x-amz-checksum-mode", "x-amz-storage-class"),
        *(checksum_headers.TRAILER, checksum_headers.SDK_ALGORITHM),
    }
)
OF_ALL = frozenset({"authorization", DATE, HASH, "amz-sdk-invocation-id", "amz-sdk-request"})
STILL = frozenset({"content-length", "content-type"})  # fixed too where there is no body
OF_READS = OF_ALL | {"range", "if-match", "if-none-match"}
OF_WRITES = OF_ALL | {
    *("content-type", "content-length", "content-md5", "cache-control", "content-disposition"),
    *("content-language", "expires", "x-amz-decoded-content-length"),
    *checksum_headers.NAMES,
}
EXPECT = "100-continue"
# No %: a name is a part of `canonical`. Blanks are tried in one way alone: all take a minute.
LINE = re.compile(r"([!-$&-9;-~]++)(: *+)((?:[ -~]*[!-~])?+)( *+)")
VALUE = "([!-~]+(?: [!-~]+)*)"  # printable, without blanks that anything would strip or fold
TARGET = ""  # the path, among the headers
FORMS = {
    TARGET: "(/[!->@-~]*)",
    "authorization": "([0-9a-f]{64})",  # the signature, which has to be the last of it
    "content-length": "(0|[1-9][0-9]{0,6})",
}
SOME = "([1-9][0-9]{0,6})"  # the length with Expect: an empty body is sent for on the general road
# Of one connection: habits, characters of their patterns, and kinds of requests.
MOST_HABITS, MOST_TEXT, MOST_SEEN = 8, 8192, 32
LONGEST = 4096  # characters of a head that is learned or matched; what is beyond may be too long


class Habit(NamedTuple):
    """What requests have in common whose heads match `pattern`: its groups are the path and the
    values of the headers that are `varying`, of Authorization the signature alone. The groups that
    `pick` takes fill the `canonical` form. `facts` are their part of the log's line."""

    method: str
    query: str
    pattern: re.Pattern[str]
    fixed: Mapping[str, str]
    varying: tuple[str, ...]
    signer: Signer
    canonical: str
    pick: Callable[[tuple[str, ...]], tuple[str, ...]]
    facts: str

    def is_signed(
        self, groups: tuple[str, ...], headers: Mapping[str, str], moment: datetime
    ) -> bool:
        """Whether a request, by the groups of its head, has a right and fresh signature."""
        canonical = self.canonical % self.pick(groups)
        return self.signer.has_signed(canonical, headers[DATE], headers["authorization"], moment)

    def build_request(
        self,
        client: "KnownClient",
        request_id: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Request:
        """Return a whole request, as the general road would have it."""
        return Request(
            self.method,
            f"{path}?{self.query}" if self.query else path,
            path,
            self.query,
            {**self.fixed, **headers},
            io.BytesIO(body),
            content_length=len(body),
            scheme="https" if client.secure else "http",
            host=self.fixed["host"],
            source=client.source,
            request_id=request_id,
        )


class KnownClient:
    """Who is at the other end of a connection, and what is known of its requests."""

    __slots__ = ("_seen", "habits", "secure", "source")

    def __init__(self, source: str, *, secure: bool) -> None:
        self.source = source
        self.secure = secure
        self.habits: list[Habit] = []
        self._seen: set[int] = set()  # hashes, as names may be long and many

    def learn(
        self, head: str, request: Request, name: str, varies: frozenset[str], check: SignatureCheck
    ) -> None:
        """Make a habit of a request of the operation `name` that was served, unless it is the
        first of its kind: to read one costs more than a habit saves."""
        if not self._has_room(head):
            today = f"{check.now:%Y%m%d}"  # a signing key is of one day
            self.habits = [each for each in self.habits if each.signer.date == today]
            if not self._has_room(head):
                return
        kind = hash((request.method, *request.headers))
        if kind not in self._seen:
            self._seen.add(kind)
        elif not any(each.pattern.fullmatch(head) for each in self.habits):
            with contextlib.suppress(Fault):
                if habit := _find_habit(head, request, name, varies, check):
                    self.habits.append(habit)

    def _has_room(self, head: str) -> bool:
        text = len(head) + sum(len(each.pattern.pattern) for each in self.habits)
        few = len(self.habits) < MOST_HABITS and len(self._seen) < MOST_SEEN
        return few and len(head) <= LONGEST and text <= MOST_TEXT


def _find_habit(
    head: str, request: Request, name: str, varies: frozenset[str], check: SignatureCheck
) -> Habit | None:
    """Return the habit that a request shows, None if it is unusual or spelled as few are. Raises
    Fault where its key is gone."""
    if not _is_usual(request, name, varies):
        return None
    lines, headers = head.split("\r\n"), request.headers
    parts = [match.groups() for match in map(LINE.fullmatch, lines[1:]) if match]
    names = [each.lower() for each, *_ in parts]
    beginning, mark, signature = headers.get("authorization", "").rpartition("Signature=")
    if names != list(headers) or len(names) != len(lines) - 1 or SCOPE not in beginning:
        return None
    if lines[0] != f"{request.method} {request.path}{_query(request)} HTTP/1.1":
        return None
    fixed_names = FIXED if varies is OF_WRITES else FIXED | STILL
    fixed = {each: headers[each] for each in names if each in fixed_names}
    varying = tuple(each for each in names if each not in fixed)
    values = {**headers, TARGET: request.path, "authorization": signature}
    if not all(re.fullmatch(_form(each, fixed), values[each]) for each in (TARGET, *varying)):
        return None
    signer = find_signer(request, check)
    if not headers.keys() >= {*signer.signed_headers}:
        return None
    shown = {each: text.replace("%", "%%") for each, text in fixed.items()}
    shown |= dict.fromkeys(varying, "%s")
    places = [TARGET, *varying]  # of the groups
    covered = [each for each in signer.signed_headers if each in varying]
    facts = {"service": "s3", "method": request.method, "source": request.source or "-"}
    facts |= {"action": name, "user": signer.credential.caller.label}
    return Habit(
        method=request.method,
        query=request.query,
        pattern=re.compile(_write_pattern(request, parts, fixed, beginning + mark)),
        fixed=fixed,
        varying=varying,
        signer=signer,
        canonical=write_canonical(
            request.method, "%s", request.query, signer.signed_headers, shown, "%s"
        ),
        pick=itemgetter(0, *(places.index(each) for each in covered), places.index(HASH)),
        facts=logs.write_facts(facts),
    )


def _is_usual(request: Request, name: str, varies: frozenset[str]) -> bool:
    """Whether a request has what the straight road needs, and no header but those that have fixed
    values or vary: quickly, as some clients ask with each request."""
    headers, writes = request.headers, varies is OF_WRITES
    others = headers.keys() - FIXED - varies
    if request.query not in ("", f"x-id={name}") or website_of(request.host):
        return False
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return False
    if not {HASH, DATE} <= headers.keys() or headers.get("expect", EXPECT) != EXPECT:
        return False
    if writes:
        return "content-length" in headers and all(each.startswith(METADATA) for each in others)
    return others <= STILL and "expect" not in headers and headers.get("content-length", "0") == "0"


def _write_pattern(
    request: Request, parts: list[tuple[str, ...]], fixed: Mapping[str, str], beginning: str
) -> str:
    pattern = f"{request.method} {FORMS[TARGET]}{re.escape(_query(request))} HTTP/1\\.1"
    for name, colon, value, blanks in parts:
        key = name.lower()
        form = re.escape(value) if key in fixed else _form(key, fixed)
        before = re.escape(beginning) if key == "authorization" else ""
        pattern += f"\r\n{re.escape(name + colon)}{before}{form}{re.escape(blanks)}"
    return pattern


def _form(name: str, fixed: Mapping[str, str]) -> str:
    """Return the pattern of the values of a header that varies."""
    return SOME if name == "content-length" and "expect" in fixed else FORMS.get(name, VALUE)


def _query(request: Request) -> str:
    return f"?{request.query}" if request.query else ""
