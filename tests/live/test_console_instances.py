"""A guest's life on the console's pages, in a real browser: launch, see it run, look at its
console, log in, terminate."""

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from eucabox.image.tiny_guest import TinyGuest
from tests.live.console import SIZES, Visit, visiting
from tests.live.guests import OPTIONS, PATIENCE, describe, install, said_over_ssh
from tests.live.process import Running

MILLISECONDS = PATIENCE * 1000
HOSTILE = "<img src=x onerror=alert(1)>"


def launch(visit: Visit, image_id: str, folder: Path) -> tuple[str, Path]:
    """Launch a guest with a new key; its id, and the file of the key."""
    page = visit.open("/instances/launch")
    page.get_by_label("Name", exact=False).first.fill(f"web {HOSTILE}")
    page.get_by_label("Image").select_option(image_id)
    page.get_by_label("Type").select_option("m1.tiny")
    expect(page.get_by_label("Name of the new key pair")).to_be_hidden()
    page.get_by_label("Key pair", exact=True).select_option("new")
    page.get_by_label("Name of the new key pair").fill("mine")
    page.get_by_label("User data").fill(
        "#!/bin/sh\necho '<script>alert(1)</script>' > /dev/ttyS0\n"
    )
    visit.press("Launch")
    with page.expect_download() as event:
        page.get_by_role("link", name="Download mine.pem").click()
    key = folder / event.value.suggested_filename
    key.touch(mode=0o600)
    key.write_bytes(Path(event.value.path()).read_bytes())
    instance_id = page.locator(".note.good a").inner_text()
    return instance_id, key


def test_a_guest_lives_on_the_pages(
    cloud: Running, visit: Visit, tiny_guest: TinyGuest, tmp_path: Path
) -> None:
    image_id = install(cloud, tiny_guest)
    instance_id, key = launch(visit, image_id, tmp_path)
    page = visit.open("/instances")
    page.evaluate("window.isTheSame = true")
    row = page.locator("tr", has_text=instance_id)
    expect(row).to_contain_text(HOSTILE)
    expect(row.locator(".tag.good")).to_have_text("running", timeout=MILLISECONDS)
    assert page.evaluate("window.isTheSame"), "the list renewed itself"
    expect(row.get_by_role("button", name="SSH")).to_be_visible()
    assert visit.find_overhang() == []

    row.get_by_role("link", name="web").click()
    page.evaluate("window.isTheSame = true")
    log = page.get_by_role("log")
    expect(log).to_contain_text("END SSH HOST KEY", timeout=MILLISECONDS)
    expect(log).to_contain_text("<script>alert(1)</script>", timeout=MILLISECONDS)
    at_end = "each => each.scrollHeight - each.scrollTop - each.clientHeight < 5"
    assert log.evaluate(at_end)
    assert page.evaluate("window.isTheSame"), "the console followed the guest"
    page.get_by_label("Key", exact=True).fill("role")
    page.get_by_label("Value").fill(HOSTILE)
    visit.press("Set the tag")
    expect(page.get_by_text("The tag is set.")).to_be_visible()
    ec2 = cloud.client("ec2")
    tags = {each["Key"]: each["Value"] for each in describe(ec2, instance_id)["Tags"]}
    assert tags == {"Name": f"web {HOSTILE}", "role": HOSTILE}

    line = page.locator("#summary .secret code").inner_text()
    address = re.fullmatch(r"ssh -i mine\.pem root@([0-9.]+)", line)
    assert address
    page.locator("#summary").get_by_role("link", name="default").click()
    visit.press("Let SSH in from my address")
    expect(page.locator("#rules")).to_contain_text("22 (SSH)")
    assert said_over_ssh(address[1], key, "echo in") == "in\n"
    words = ["ssh", *OPTIONS, *line.split()[1:], "hostname"]
    subprocess.run(words, cwd=key.parent, check=True, timeout=40, capture_output=True)

    page = visit.open("/instances?q=web")
    page.locator("tr", has_text=instance_id).get_by_role("checkbox").check()
    expect(page.get_by_text("1 chosen")).to_be_visible()
    page.locator("form.bulk").get_by_role("button", name="Terminate").click()
    page.locator("#sure").get_by_role("button", name="Terminate").click()
    expect(page.get_by_text(f"{instance_id} terminating.")).to_be_visible()
    state = page.locator("tr", has_text=instance_id).locator("[data-label=State]")
    expect(state).to_contain_text("terminated", timeout=MILLISECONDS)
    ec2.close()


def test_my_address_fills_the_field(visit: Visit) -> None:
    page = visit.open("/security-groups")
    page.get_by_role("link", name="default").click()
    visit.press("My address")
    assert re.fullmatch(r"[0-9.]+/32", page.get_by_label("From, or to").input_value())
    page.get_by_label("Port").fill("8080")
    visit.press("Add the rule")
    expect(page.locator("#rules")).to_contain_text("8080")


def test_a_key_pair_is_downloaded_and_the_list_shows_it(visit: Visit) -> None:
    page = visit.open("/key-pairs")
    page.get_by_label("Name").first.fill("second")
    with page.expect_download() as event:
        visit.press("Create it and download the private key")
    assert "PRIVATE KEY" in Path(event.value.path()).read_text()
    expect(page.locator("#key-pairs")).to_contain_text("second", timeout=20_000)


@pytest.mark.parametrize("size", SIZES)
def test_a_page_of_a_guest_that_ran_suits_all_eyes_and_windows(
    cloud: Running, browser: Browser, visit: Visit, size: str
) -> None:
    found = {}
    with visiting(browser, cloud, size) as other:
        other.sign_in("admin")
        other.open("/instances").locator("#instances a[href^='/instances/i-']").first.click()
        expect(other.page.get_by_role("log")).to_be_visible()
        found["instance"] = other.find_faults()
        other.open("/security-groups").get_by_role("link", name="default").click()
        found["group"] = other.find_faults()
        other.check()
    assert found == {"instance": [], "group": []}
