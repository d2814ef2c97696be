"""Who one is, and temporary credentials for oneself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eucabox import ids
from eucabox.actions import perform
from eucabox.errors import Fault, ReplayedRequest
from eucabox.iam.caller import Caller
from tests.actions.sts.conftest import Doors


def left(answer: dict[str, dict[str, datetime]]) -> int:
    """Seconds until the end, to the next hundred."""
    seconds = (answer["credentials"]["expiration"] - datetime.now(UTC)) / timedelta(seconds=1)
    return round(seconds / 100) * 100


def test_a_user_gets_twelve_hours(doors: Doors, ann: Caller) -> None:
    eve = doors.add_user(ann, "eve")
    answer = doors.do("GetSessionToken", eve)
    assert left(answer) == 43_200
    caller = doors.caller_of(answer)
    assert (caller.arn, caller.is_root) == (eve.arn, False)
    assert doors.do("GetCallerIdentity", caller) == {
        "user_id": eve.user_id,
        "account": eve.account_id,
        "arn": eve.arn,
    }
    assert left(doors.do("GetSessionToken", eve, duration_seconds=129_600)) == 129_600


def test_a_root_gets_an_hour_at_most(doors: Doors, ann: Caller) -> None:
    assert left(doors.do("GetSessionToken", ann)) == 3600
    assert left(doors.do("GetSessionToken", ann, duration_seconds=43_200)) == 3600
    assert left(doors.do("GetSessionToken", ann, duration_seconds=900)) == 900


@pytest.mark.parametrize(("seconds", "word"), [(0, "greater"), (899, "greater"), (129_601, "less")])
def test_other_times_are_refused(doors: Doors, ann: Caller, seconds: int, word: str) -> None:
    with pytest.raises(Fault, match=f"at 'durationSeconds'.* value {word} than") as caught:
        doors.do("GetSessionToken", ann, duration_seconds=seconds)
    assert caught.value.code == "ValidationError"


def test_a_session_gets_no_other_session(doors: Doors, ann: Caller) -> None:
    caller = doors.caller_of(doors.do("GetSessionToken", ann))
    with pytest.raises(Fault, match="Cannot call GetSessionToken with session cred") as caught:
        doors.do("GetSessionToken", caller)
    assert caught.value.code == "AccessDenied"


def test_a_request_that_was_seen_gives_no_second_session(doors: Doors, ann: Caller) -> None:
    call = replace(doors.call(ann), signature="abcd")
    assert perform("sts", "GetSessionToken", call, {})
    doors.state.update("used_signatures", {"signature": "abcd"}, first_used="never")
    with pytest.raises(ReplayedRequest):
        perform("sts", "GetSessionToken", call, {})


def test_the_account_of_a_key(doors: Doors, ann: Caller, bob: Caller) -> None:
    permanent = "AKIA" + "B" * 16
    secret = doors.accounts._seal.close(b"s", f"secret of {permanent}")
    key = {"access_key_id": permanent, "user_id": bob.user_id, "secret": secret}
    doors.state.insert("access_keys", {**key, "status": "Active", "created": ids.now()})
    temporary = doors.do("GetSessionToken", bob)["credentials"]["access_key_id"]
    for known in (permanent, temporary):
        answer = doors.do("GetAccessKeyInfo", ann, access_key_id=known)
        assert answer == {"account": bob.account_id}
    for wrong in ("AKIA" + "A" * 16, "short", "x" * 129, "AKIA/AAAAAAAAAAAAAAA"):
        with pytest.raises(Fault) as caught:
            doors.do("GetAccessKeyInfo", ann, access_key_id=wrong)
        assert caught.value.code == "ValidationError"
