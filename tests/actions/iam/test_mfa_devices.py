"""Virtual MFA devices by IAM's verbs, in AWS's codes and sentences."""

import base64
from typing import Any

import pytest

from eucabox.errors import Fault
from eucabox.iam import mfa_devices
from eucabox.iam.caller import Caller
from tests.actions.iam.conftest import OTHER_ROOT, ROOT, People
from tests.authenticator import Clock, set_clock

HOME = f"arn:aws:iam::{ROOT.account_id}:mfa"


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch)


def create(people: People, name: str, caller: Caller = ROOT, **params: Any) -> tuple[str, str]:
    """Create a device; its serial number and seed."""
    answer = people.do("CreateVirtualMFADevice", caller, virtual_mfa_device_name=name, **params)
    made = answer["virtual_mfa_device"]
    base64.b32decode(made["base32_string_seed"])
    assert made["qr_code_png"].startswith(b"\x89PNG")
    return made["serial_number"], made["base32_string_seed"].decode()


def enable(
    people: People, clock: Clock, serial: str, seed: str, caller: Caller = ROOT, **params: Any
) -> None:
    first, second = clock.show_pair(seed)
    codes = {"authentication_code1": first, "authentication_code2": second}
    people.do("EnableMFADevice", caller, serial_number=serial, **codes, **params)


def refused(people: People, name: str, caller: Caller = ROOT, /, **params: Any) -> tuple[str, str]:
    with pytest.raises(Fault) as caught:
        people.do(name, caller, **params)
    return caught.value.code, caught.value.sentence


def test_a_device_from_its_making_to_its_end(people: People, clock: Clock) -> None:
    ann = people.create_user("ann")
    serial, seed = create(people, "phone", path="/team/", tags=[{"key": "by", "value": "hand"}])
    assert serial == f"{HOME}/team/phone"
    (listed,) = people.do("ListVirtualMFADevices")["virtual_mfa_devices"]
    assert listed == {"serial_number": serial, "tags": [{"key": "by", "value": "hand"}]}
    assert people.do("GetMFADevice", serial_number=serial) == {"serial_number": serial}
    enable(people, clock, serial, seed, user_name="ann")
    (device,) = people.do("ListMFADevices", user_name="ann")["mfa_devices"]
    assert (device["user_name"], device["serial_number"]) == ("ann", serial)
    assert people.do("GetMFADevice", serial_number=serial, user_name="ann") == device
    (listed,) = people.do("ListVirtualMFADevices", assignment_status="Assigned")[
        "virtual_mfa_devices"
    ]
    assert listed["user"]["arn"] == ann.arn
    assert listed["enable_date"] == device["enable_date"]
    unassigned = people.do("ListVirtualMFADevices", assignment_status="Unassigned")
    assert unassigned["virtual_mfa_devices"] == []
    code, text = refused(people, "DeleteVirtualMFADevice", serial_number=serial)
    assert (code, text) == ("DeleteConflict", "MFA VirtualDevice in use. Must deactivate first.")
    code, text = refused(people, "DeleteUser", user_name="ann")
    assert text == "Cannot delete entity, must delete MFA device first."
    people.do("DeactivateMFADevice", user_name="ann", serial_number=serial)
    assert people.do("ListMFADevices", user_name="ann")["mfa_devices"] == []
    people.do("DeleteVirtualMFADevice", serial_number=serial)
    assert people.do("ListVirtualMFADevices")["virtual_mfa_devices"] == []
    assert people.state.query("select * from iam_tags") == []
    people.do("DeleteUser", user_name="ann")


def test_what_is_wrong_is_told_in_awss_words(people: People, clock: Clock) -> None:
    for name in ("ann", "bea"):
        people.create_user(name)
    serial, seed = create(people, "phone")
    taken = refused(people, "CreateVirtualMFADevice", virtual_mfa_device_name="PHONE")
    assert taken == (
        "EntityAlreadyExists",
        "MFADevice entity at the same path and name already exists.",
    )
    good, stale = clock.show_pair(seed), (clock.show(seed), clock.show(seed))

    def try_to_enable(name: str, codes: tuple[str, str], number: str = serial) -> tuple[str, str]:
        first, second = codes
        return refused(
            people, "EnableMFADevice", user_name=name, serial_number=number,
            authentication_code1=first, authentication_code2=second,
        )  # fmt: skip

    not_valid = ("InvalidAuthenticationCode", "Authentication code for device is not valid.")
    assert try_to_enable("ann", stale) == not_valid
    assert try_to_enable("ann", ("12", "123456"))[0] == "ValidationError"
    unknown = (
        "NoSuchEntity",
        f"VirtualMFADevice with serial number {HOME}/none doesn't exist.",
    )
    assert try_to_enable("ann", good, f"{HOME}/none") == unknown
    assert try_to_enable("eve", good)[0] == "NoSuchEntity"
    enable(people, clock, serial, seed, user_name="ann")
    assert try_to_enable("bea", good)[0] == "EntityAlreadyExists"
    clock.step += 1
    first, second = clock.show_pair(seed)
    codes = {"authentication_code1": first, "authentication_code2": second}
    assert refused(people, "ResyncMFADevice", user_name="bea", serial_number=serial, **codes) == (
        "NoSuchEntity", "MFA Device invalid for user bea.",
    )  # fmt: skip
    people.do("ResyncMFADevice", user_name="ann", serial_number=serial, **codes)
    again = refused(people, "ResyncMFADevice", user_name="ann", serial_number=serial, **codes)
    assert again == not_valid
    assert refused(people, "DeactivateMFADevice", user_name="bea", serial_number=serial)[0] == (
        "NoSuchEntity"
    )
    assert refused(people, "ListVirtualMFADevices", assignment_status="x")[0] == "ValidationError"
    for bad in ("", "a b", "x" * 129):
        made = refused(people, "CreateVirtualMFADevice", virtual_mfa_device_name=bad)
        assert made[0] == "ValidationError"


def test_a_root_has_its_own_and_the_summary_counts(people: People, clock: Clock) -> None:
    for name in ("root", ROOT.user_name, ""):
        serial, seed = create(people, f"of-{name or 'nobody'}")
        members: dict[str, Any] = {"user_name": name} if name else {}
        enable(people, clock, serial, seed, **members)
    assert len(people.do("ListMFADevices")["mfa_devices"]) == 3
    create(people, "spare")
    summary = people.do("GetAccountSummary")["summary_map"]
    assert [summary[name] for name in ("MFADevices", "MFADevicesInUse", "AccountMFAEnabled")] == [
        4, 3, 1,
    ]  # fmt: skip
    assert people.do("ListVirtualMFADevices", OTHER_ROOT)["virtual_mfa_devices"] == []
    others = refused(people, "DeleteVirtualMFADevice", OTHER_ROOT, serial_number=f"{HOME}/spare")
    assert others[0] == "NoSuchEntity"
    assert len(people.page_all("ListVirtualMFADevices", "virtual_mfa_devices")) == 4
    assert len(people.page_all("ListMFADevices", "mfa_devices")) == 3


def test_there_are_so_many(people: People, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mfa_devices, "MOST_OF_A_USER", 1)
    monkeypatch.setattr(mfa_devices, "MOST_UNASSIGNED", 2)
    serial, seed = create(people, "1")
    enable(people, clock, serial, seed)
    serial, seed = create(people, "2")
    with pytest.raises(Fault, match="quota for MFADevicesPerUser: 1") as caught:
        enable(people, clock, serial, seed)
    assert caught.value.code == "LimitExceeded"
    create(people, "3")
    assert refused(people, "CreateVirtualMFADevice", virtual_mfa_device_name="4")[0] == (
        "LimitExceeded"
    )


def test_tags_come_and_go(people: People) -> None:
    serial, _ = create(people, "phone")
    people.do("TagMFADevice", serial_number=serial, tags=[{"key": "a", "value": "1"}])
    assert people.do("ListMFADeviceTags", serial_number=serial)["tags"] == [
        {"key": "a", "value": "1"}
    ]
    people.do("UntagMFADevice", serial_number=serial, tag_keys=["a"])
    assert people.do("ListMFADeviceTags", serial_number=serial)["tags"] == []


def test_a_policy_names_devices_by_their_arns(people: People, clock: Clock) -> None:
    """AWS's own example of a policy for people who manage their devices themselves."""
    ann, text = people.create_user("ann"), "iam:CreateVirtualMFADevice"
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": [text, "iam:DeleteVirtualMFADevice"],
         "Resource": "arn:aws:iam::*:mfa/${aws:username}"},
        {"Effect": "Allow", "Resource": "arn:aws:iam::*:user/${aws:username}",
         "Action": ["iam:EnableMFADevice", "iam:ListMFADevices", "iam:ResyncMFADevice"]},
        {"Effect": "Allow", "Action": "iam:DeactivateMFADevice", "Resource": "*",
         "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
    ]  # fmt: skip
    people.give_policy(ann, *statements)
    assert refused(people, "CreateVirtualMFADevice", ann, virtual_mfa_device_name="other") == (
        "AccessDenied",
        f"User: {ann.arn} is not authorized to perform: {text} on resource: {HOME}/other because"
        f" no identity-based policy allows the {text} action",
    )
    serial, seed = create(people, "ann", ann)
    enable(people, clock, serial, seed, ann, user_name="ann")
    assert refused(people, "EnableMFADevice", ann, user_name="bea")[0] == "AccessDenied"
    assert refused(people, "DeactivateMFADevice", ann, serial_number=serial)[0] == "AccessDenied"
