"""Sessions with a code of an MFA device, of users and of roles."""

from typing import Any

import pytest

from eucabox.actions import perform
from eucabox.errors import Fault
from eucabox.iam import mfa_devices
from eucabox.iam.caller import Caller
from eucabox.iam.users import find_user_or_caller
from tests.actions.sts.conftest import Doors, trust
from tests.authenticator import Clock, set_clock

FAILED = "MultiFactorAuthentication failed"
WITH_MFA = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch)


def give_device(doors: Doors, user: Caller, clock: Clock) -> tuple[str, str]:
    """Give a user a device; its serial number and seed."""
    made = mfa_devices.create_device(doors.state, doors.accounts.seal, user, user.user_name)
    row = find_user_or_caller(doors.state, user, "")
    codes = clock.show_pair(made["seed"])
    doors.accounts.second_factors.enable(row, made["serial_number"], *codes)
    clock.step += 2
    return made["serial_number"], made["seed"]


def refused(doors: Doors, name: str, caller: Caller, /, **params: Any) -> tuple[str, str]:
    with pytest.raises(Fault) as caught:
        doors.do(name, caller, **params)
    return caught.value.code, caught.value.message


def list_users(doors: Doors, caller: Caller) -> object:
    return perform("iam", "ListUsers", doors.call(caller), {})


def test_a_session_with_a_code_reaches_iam(doors: Doors, ann: Caller, clock: Clock) -> None:
    allow = {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}
    eve = doors.add_user(ann, "eve", {**allow, **WITH_MFA})
    serial, seed = give_device(doors, eve, clock)
    with pytest.raises(Fault, match="not authorized to perform: iam:ListUsers"):
        list_users(doors, eve)
    plain = doors.caller_of(doors.do("GetSessionToken", eve))
    with pytest.raises(Fault, match="security token included in the request is invalid"):
        list_users(doors, plain)
    made = doors.do("GetSessionToken", eve, serial_number=serial, token_code=clock.show(seed))
    assert list_users(doors, doors.caller_of(made))


def test_wrong_codes_are_refused_in_awss_words(doors: Doors, ann: Caller, clock: Clock) -> None:
    eve, bob = doors.add_user(ann, "eve"), doors.add_user(ann, "bob")
    serial, seed = give_device(doors, eve, clock)
    code = clock.show(seed)
    whole = {"serial_number": serial, "token_code": code}
    for half in ({"serial_number": serial}, {"token_code": code}):
        assert refused(doors, "GetSessionToken", eve, **half) == (
            "AccessDenied",
            f"{FAILED}, must provide both MFA serial number and one time pass code.",
        )
    unknown = (
        "AccessDenied",
        f"{FAILED}, unable to validate MFA code.  Please verify your MFA serial number is valid"
        " and associated with this user.",
    )
    assert refused(doors, "GetSessionToken", bob, **whole) == unknown
    assert refused(doors, "GetSessionToken", eve, **{**whole, "serial_number": "1" * 9}) == unknown
    for bad in ("12345", "abcdef", "1234567"):
        bad_code = {**whole, "token_code": bad}
        assert refused(doors, "GetSessionToken", eve, **bad_code)[0] == "ValidationError"
    doors.do("GetSessionToken", eve, **whole)
    assert refused(doors, "GetSessionToken", eve, **whole) == (
        "AccessDenied", f"{FAILED} with invalid MFA one time pass code. ",
    )  # fmt: skip


def test_a_role_may_ask_for_a_code(doors: Doors, ann: Caller, clock: Clock) -> None:
    eve = doors.add_user(ann, "eve")
    serial, seed = give_device(doors, eve, clock)
    fresh = {"Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}}
    arn = doors.add_role(ann, "careful", trust({"AWS": eve.arn}, **WITH_MFA))
    other = doors.add_role(ann, "next", trust({"AWS": arn}, **fresh))
    assert refused(doors, "AssumeRole", eve, role_arn=arn, role_session_name="xx")[0] == (
        "AccessDenied"
    )
    made = doors.assume(eve, arn, serial_number=serial, token_code=clock.show(seed))
    session = doors.caller_of(made)
    assert session.session
    assert session.session.mfa
    chained = doors.caller_of(doors.assume(session, other))
    assert chained.session
    assert chained.session.mfa
    clock.step += 1
    words = {"serial_number": serial, "token_code": clock.show(seed)}
    with pytest.raises(Fault, match="unable to validate MFA code"):
        doors.assume(session, other, **words)


def test_a_root_has_a_device_too(doors: Doors, ann: Caller, clock: Clock) -> None:
    serial, seed = give_device(doors, ann, clock)
    made = doors.do("GetSessionToken", ann, serial_number=serial, token_code=clock.show(seed))
    session = doors.caller_of(made).session
    assert session
    assert session.mfa
