"""A second factor in a real browser and with real clients, shown by a real app's library."""

import time
from typing import Any

import boto3
import pyotp
import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Browser, Page, expect

from tests.live.console import Visit, visiting
from tests.live.process import Running

STEP = 30


def show(seed: str, ahead: int = 0) -> str:
    """The code of now, or of so many steps later."""
    return str(pyotp.TOTP(seed).at(int(time.time()) + ahead * STEP))


def set_up(visit: Visit) -> str:
    """Set up a device with the keyboard and the mouse; its seed."""
    page = visit.open("/second-factor")
    assert visit.find_faults() == []
    page.locator("#password").fill("a long enough password")
    visit.press("Set it up")
    assert page.locator(".qr").evaluate("each => each.naturalWidth") > 150
    assert visit.find_faults() == []
    seed = page.locator("#seed").inner_text().replace(" ", "")
    page.get_by_label("First code").fill(show(seed, -1))
    page.get_by_label("Second code").fill(show(seed))
    visit.press("Turn it on")
    expect(page.get_by_text("The device is set up.")).to_be_visible()
    return seed


def enter(page: Page, code: str) -> None:
    page.get_by_label("Code").fill(code)
    page.keyboard.press("Enter")


def test_from_setting_up_to_losing_it(cloud: Running, browser: Browser) -> None:
    with visiting(browser, cloud) as visit, visiting(browser, cloud) as other:
        visit.set_first_password()
        seed = set_up(visit)
        assert visit.find_faults() == []
        visit.press("Sign out")
        page = visit.sign_in("admin")
        expect(page.get_by_role("heading", name="One more step")).to_be_visible()
        assert visit.find_faults() == []
        visit.open("/credentials")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        visit.sign_in("admin")
        enter(page, "000000")
        expect(page.get_by_text("That is not the code of now")).to_be_visible()
        code = show(seed, 1)
        enter(page, code)
        expect(page.get_by_role("heading", name="Hello, admin")).to_be_visible()
        other.sign_in("admin")
        enter(other.page, code)
        expect(other.page.get_by_text("was used already")).to_be_visible()
        assert "1 MFA device deleted" in cloud.command("user", "mfa-reset", "admin").stdout
        other.sign_in("admin")
        expect(other.page.get_by_role("heading", name="Hello, admin")).to_be_visible()
        for each in (visit, other):
            each.check()


def test_clients_make_enable_and_use_a_device(cloud: Running) -> None:
    iam: Any = cloud.client("iam")
    sts: Any = cloud.client("sts")
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]
    seed, serial = made["Base32StringSeed"].decode(), made["SerialNumber"]
    assert made["QRCodePNG"].startswith(b"\x89PNG")
    iam.enable_mfa_device(
        UserName="root", SerialNumber=serial,
        AuthenticationCode1=show(seed, -1), AuthenticationCode2=show(seed),
    )  # fmt: skip
    (listed,) = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    assert listed["SerialNumber"] == serial
    code = show(seed, 1)
    session = sts.get_session_token(SerialNumber=serial, TokenCode=code)["Credentials"]
    own: Any = boto3.client(
        "iam", endpoint_url=cloud.endpoint, region_name="eucabox",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )  # fmt: skip
    assert own.list_mfa_devices()["MFADevices"]
    with pytest.raises(ClientError, match="invalid MFA one time pass code") as caught:
        sts.get_session_token(SerialNumber=serial, TokenCode=code)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    with pytest.raises(ClientError) as caught:
        iam.delete_virtual_mfa_device(SerialNumber=serial)
    assert caught.value.response["Error"]["Code"] == "DeleteConflict"
    iam.deactivate_mfa_device(UserName="root", SerialNumber=serial)
    iam.delete_virtual_mfa_device(SerialNumber=serial)
