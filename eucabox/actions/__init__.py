"""The table of actions and `perform`, the only way to run one; knows no HTTP, XML or HTML."""

import importlib
import inspect
import logging
import pkgutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from eucabox import ids, logs
from eucabox.actions import delegation, permissions, recording, unsupported
from eucabox.config import LimitsSection
from eucabox.errors import (
    AccessDenied,
    DryRunOperation,
    Fault,
    InvalidAction,
    MissingAuthenticationToken,
    MissingParameter,
    ReplayedRequest,
    UnauthorizedOperation,
    UnsupportedOperation,
    UnsupportedParameter,
)
from eucabox.events import Event
from eucabox.events.event_log import find_resources, find_topics
from eucabox.iam.authorization import CallerPolicies
from eucabox.iam.caller import Caller
from eucabox.s3 import access
from eucabox.validation import (
    drop_neutral,
    find_record,
    is_neutral,
    list_unpacked_members,
    to_api_name,
    type_hints,
    validate,
)

if TYPE_CHECKING:
    from eucabox.cloud import Cloud

log = logging.getLogger("eucabox.actions")
Result = dict[str, object]  # the members of an answer
# S3 members that describe the request body; the wire has already checked it against them
VALIDATED_BY_WIRE = ("content_md5", "checksum_algorithm")
DRY_RUN = "dry_run"  # a member of every EC2 action
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Call:
    """One request, whichever protocol it came by: the caller, the cloud, the addresses.

    `caller` is None for an anonymous request. `endpoint` is the base URL the client used,
    `path` the service path behind it ("/services/compute" or ""), `source` the peer's address.
    """

    cloud: "Cloud"
    caller: Caller | None
    request_id: str
    region: str = ""
    endpoint: str = ""
    api_version: str = ""
    source: str = ""
    path: str = ""
    signature: str = ""  # of a signed query; an action that writes runs once for each
    expires: datetime | None = None  # when that signature becomes too old
    action: str = ""  # the action that runs, and below its members as the client sent them
    params: dict[str, object] = field(default_factory=dict)
    dry_run: bool = False  # check everything, change nothing
    # how the request came: wire/request_context.py
    context: Mapping[str, str] = field(default_factory=dict)
    notes: dict[str, object] = field(default_factory=dict)  # more fields of the log line
    # reads the members in the body of a request to a bucket; only called once the bucket is known
    # to exist and the caller may be allowed to change it
    document: Callable[[], dict[str, object]] | None = None

    @property
    def user(self) -> Caller:
        """The user who signed the request; raises MissingAuthenticationToken if nobody did."""
        if self.caller is None:
            raise MissingAuthenticationToken(action=self.action)
        return self.caller

    @property
    def account_id(self) -> str:
        """The account of the user who signed; as `user` for an anonymous request."""
        return self.user.account_id

    @property
    def limits(self) -> LimitsSection:
        """What the account of the user who signed may have at most."""
        known_keys = self.cloud.accounts.known_keys
        return known_keys.limits(self.cloud.config.limits, self.account_id)

    def find_policies(self) -> CallerPolicies:
        """Return the policies that apply to the caller."""
        return self.cloud.accounts.authorization.find_policies(self.caller)

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class Action:
    """A function and what `perform` needs to know about it."""

    service: str
    name: str
    function: Callable[..., Result | None]
    admin: bool
    anonymous: bool
    ignored: frozenset[str]
    parameters: frozenset[str]
    required: tuple[str, ...]
    takes_all: bool
    record: type | None = None  # the dataclass that the function takes its members in

    @cached_property
    def hints(self) -> Mapping[str, object]:
        """The types of its members."""
        return type_hints(self.function)

    def run(self, call: "Call", arguments: dict[str, object]) -> "Result | None":
        """Call the function with members that were checked."""
        if self.record is not None:
            return self.function(call, self.record(**arguments))
        return self.function(call, **arguments)

    @cached_property
    def reads(self) -> bool:
        """True for an action that changes nothing."""
        return recording.is_reading(self.name)

    @cached_property
    def is_recorded(self) -> bool:
        """True for one that is an event."""
        return recording.is_recorded(self.service, self.name)


ACTIONS: dict[tuple[str, str], Action] = {}
_loading = threading.Lock()
_loaded = False


def action(
    service: str = "ec2",
    name: str | None = None,
    *,
    admin: bool = False,
    anonymous: bool = False,
    ignored: Iterable[str] = (),
) -> Callable[[Function], Function]:
    """Register a function as the action of its name (`describe_images` is DescribeImages).

    The function's keyword arguments are the members of the model that are honoured; `ignored`
    names members that are dropped because they can't change the result; any other member is
    refused by its name. A `**members` argument takes all of them, a `**members: Unpack[Some]`
    those that the TypedDict has, a `members: Some` those that are fields of the dataclass.
    """

    def register(function: Function) -> Function:
        definition = _define(service, name or to_api_name(function.__name__), function)
        key = (service, definition.name)
        assert key not in ACTIONS, f"{key} is registered twice"
        ACTIONS[key] = replace(
            definition, admin=admin, anonymous=anonymous, ignored=frozenset(ignored)
        )
        return function

    return register


def load() -> dict[tuple[str, str], Action]:
    """Import every resource once and return the table of actions."""
    global _loaded
    if _loaded:
        return ACTIONS
    with _loading:
        if not _loaded:
            for module in pkgutil.walk_packages(__path__, f"{__name__}."):
                importlib.import_module(module.name)
            _loaded = True
    return ACTIONS


def perform(service: str, name: str, call: Call, params: dict[str, object]) -> Result | None:
    """Run one action: look it up, check caller and members, run it or DryRun, write a log line.

    `params` are the model's members in snake_case; the members of the call's document are added.
    Bad input raises a Fault and nothing else.
    """
    started = time.perf_counter()
    outcome, reason, result, definition = Fault.code, "", None, None
    with logs.about(request_id=call.request_id):
        try:
            definition = _look_up(service, name)
            if service == "iam":
                _delegate(definition, call, params)
            _check_caller(definition, call)
            call.action, call.params = name, params
            if call.caller is not None and call.caller.is_limited:
                permissions.check(call, call.caller, service, name)
            if call.document is not None:
                _check_chance(call)
                params.update(call.document())
            arguments = _read_arguments(definition, params)
            if params.get(DRY_RUN):
                _rehearse(definition, call, arguments)
            _refuse_replay(definition, call, params)
            result = definition.run(call, arguments)
            outcome = "ok"
            return result
        except Fault as fault:
            outcome, reason = fault.code, fault.message
            raise
        finally:
            if definition is not None and definition.is_recorded and not params.get(DRY_RUN):
                _record(call, service, name, result, outcome, reason)
            _log(service, name, call, params, outcome, time.perf_counter() - started)


def _record(
    call: Call, service: str, name: str, result: Result | None, outcome: str, reason: str
) -> None:
    """Record what a verb did, or why it did nothing. Of strangers only what they brought about is
    recorded: else anybody could fill the table."""
    done = outcome == "ok"
    if call.caller is None and not done:
        return
    event = Event(
        time=ids.now(),
        account_id=call.caller.account_id if call.caller else "",
        user=str(call.notes.get("by") or (call.caller.label if call.caller else "-")),
        service=service,
        action=name,
        resources=find_resources(call.params, result),
        outcome=outcome,
        reason=reason,
        request_id=call.request_id,
        source=call.source,
    )
    call.cloud.events.record(event, find_topics(service, name) if done else ())


def judge(service: str, name: str, call: Call, params: dict[str, object]) -> None:
    """Raise the Fault that `perform` would for who calls, and what for; run and log nothing."""
    _check_caller(_look_up(service, name), call)
    call.action, call.params = name, params
    if call.caller is not None and call.caller.is_limited:
        permissions.check(call, call.caller, service, name)


def _delegate(definition: Action, call: Call, params: dict[str, object]) -> None:
    """Let the administrator act as the root of the account that it names."""
    name = delegation.take_account(params)
    if name:
        caller, cloud = call.user, call.cloud
        call.caller = delegation.find_delegate(cloud.state, cloud.accounts, caller, name)
        call.notes["by"] = caller.label
        if "user_name" not in definition.required:
            delegation.name_root(cloud.state, call.caller, params)


def _look_up(service: str, name: str) -> Action:
    definition = load().get((service, name))
    if definition is not None:
        return definition
    if service == "ec2" and (why := unsupported.ec2_reason(name)):
        raise UnsupportedOperation(what=why)
    raise InvalidAction(action=name)


def _check_caller(definition: Action, call: Call) -> None:
    if call.caller is None and not definition.anonymous:
        raise MissingAuthenticationToken(action=definition.name)
    if definition.admin and not (call.caller and call.caller.admin):
        refusal = UnauthorizedOperation if definition.service == "ec2" else AccessDenied
        raise refusal(reason=f"{definition.name} is for the administrator of this cloud.")


def _check_chance(call: Call) -> None:
    """Check that the bucket exists and the caller may be allowed, before the body is read."""
    if call.action == "CreateBucket":
        access.check_chance_of_new(call)
    else:
        bucket = call.cloud.store.bucket(str(call.params["bucket"]))
        access.check_chance(call, bucket, str(call.params.get("expected_bucket_owner", "")))


def _rehearse(definition: Action, call: Call, arguments: dict[str, object]) -> NoReturn:
    """Run the action in a transaction that is rolled back; raises DryRunOperation if it may run."""
    call.dry_run = True
    with call.cloud.state.rehearsal():
        definition.run(call, arguments)
    raise DryRunOperation()


def _refuse_replay(definition: Action, call: Call, params: dict[str, object]) -> None:
    """Raise ReplayedRequest for a signature that was used before.

    Actions that only read, and requests with a client token, are safe to repeat.
    """
    if call.signature and not definition.reads and "client_token" not in params:
        if not call.cloud.accounts.record_signature(call.signature, call.expires):
            raise ReplayedRequest(action=definition.name)


def _read_arguments(definition: Action, params: dict[str, object]) -> dict[str, object]:
    arguments, hints = {}, definition.hints
    for member, sent in params.items():
        if member in definition.parameters or definition.takes_all:
            hint = hints.get(member)
            nested = definition.service == "ec2" and isinstance(sent, (list, tuple, Mapping))
            value = drop_neutral(sent, hint) if nested else sent
            plain_text = hint is str and type(value) is str and value.isascii()
            if not plain_text and hint is not Any:
                validate(definition.name, to_api_name(member), value, hint)
            arguments[member] = value
        elif member not in definition.ignored and member != DRY_RUN:
            if definition.service != "ec2" or not is_neutral(member, sent):
                raise UnsupportedParameter(parameter=to_api_name(member), action=definition.name)
    for member in definition.required:
        if member not in arguments:
            raise MissingParameter(parameter=to_api_name(member))
    return arguments


def _define(service: str, name: str, function: Callable[..., Result | None]) -> Action:
    record = find_record(function)
    parameters = list(inspect.signature(record or function).parameters.values())
    parameters = parameters if record else parameters[1:]
    kinds = inspect.Parameter
    named_parameters = [each for each in parameters if each.kind is not kinds.VAR_KEYWORD]
    unpacked = list_unpacked_members(function)
    return Action(
        service=service,
        name=name,
        function=function,
        admin=False,
        anonymous=False,
        ignored=frozenset(),
        parameters=frozenset(each.name for each in named_parameters) | unpacked.keys(),
        required=tuple(each.name for each in named_parameters if each.default is kinds.empty),
        takes_all=len(named_parameters) < len(parameters) and not unpacked,
        record=record,
    )


def _log(
    service: str, name: str, call: Call, params: dict[str, object], outcome: str, seconds: float
) -> None:
    user = call.caller.label if call.caller else "-"
    instance_ids = params.get("instance_ids") or [params.get("instance_id") or ""]
    if isinstance(instance_ids, list) and any(instance_ids):
        call.notes.setdefault("instances", ",".join(map(str, instance_ids)))
    logs.say(
        log,
        service=service,
        action=name,
        user=user,
        source=call.source or "-",
        outcome=outcome,
        ms=seconds * 1000,
        **call.notes,
    )
