"""What pages say after a form, and of several rows what came of each."""

import time

import pytest
from werkzeug.exceptions import BadRequest

from eucabox.console import bulk, notices
from eucabox.console.answers import redirect_with_notice
from eucabox.console.notices import Notice, Notices, RowOutcome
from eucabox.console.site import Console
from eucabox.errors import NoSuchEntity
from tests.console.conftest import ORIGIN, Visit


def test_a_notice_is_its_visitors_alone_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Notices()
    notice_id = kept.keep("ann", Notice("Done."))
    assert kept.find("ann", notice_id) == Notice("Done.")
    assert kept.find("bob", notice_id) is kept.find("ann", "x") is None
    for _ in range(notices.MOST_NOTICES):
        kept.keep("ann", Notice("More."))
    assert kept.find("ann", notice_id) is None
    late = kept.keep("ann", Notice("Late."))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + notices.SECONDS)
    assert kept.find("ann", late) is None


def act(console: Console, chosen: list[str]) -> tuple[str, ...]:
    """Do something with what was chosen; those with an x are refused."""

    def try_one(name: str) -> None:
        if "x" in name:
            raise NoSuchEntity(reason=f"There is no {name}.")

    with console.test_request_context("/", method="POST", base_url=ORIGIN, data={"chosen": chosen}):
        outcomes = bulk.perform_each(bulk.read_chosen(), try_one)
        response = bulk.show_outcomes("home.show", "stopped", outcomes)
        assert response.status_code == 303
        notice_id = str(response.location).partition("notice=")[2]
        notice = console.notices.find("", notice_id)
        assert notice
        lines = [f"{each.name} {each.is_done} {each.text}".strip() for each in notice.outcomes]
        return notice.kind, notice.text, *lines


def test_each_row_has_its_result_and_one_refusal_holds_up_no_other(console: Console) -> None:
    kind, text, first, second, third = act(console, ["a", "x1", "b", "a"])
    assert (kind, text, first, third) == ("warn", "2 of 3 stopped.", "a True", "b True")
    assert second.startswith("x1 False")
    assert "x1" in second.removeprefix("x1 False")
    assert act(console, ["a"]) == ("good", "a stopped.")
    assert act(console, ["x"])[:2] == ("bad", "x: not stopped.")
    assert act(console, []) == ("warn", "Nothing was chosen.")


def test_what_no_page_sends_is_refused(console: Console) -> None:
    for wrong in ([str(each) for each in range(101)], ["a\0b"], ["a" * 2000]):
        with pytest.raises(BadRequest):
            act(console, wrong)


def test_a_page_shows_its_visitors_notice_once_it_is_led_there(
    console: Console, admin_visit: Visit, alice: object
) -> None:
    session = admin_visit.cookie("__Host-eucabox")
    headers = {"Cookie": f"__Host-eucabox={session}"}
    with console.test_request_context("/", base_url=ORIGIN, headers=headers):
        console.preprocess_request()
        outcomes = (RowOutcome("<b>", is_done=False, text="<i>why</i>"),)
        response = redirect_with_notice("home.show", "It & that.", "bad", outcomes)
    page = admin_visit.get(str(response.location)).text
    assert "It &amp; that." in page
    refused = admin_visit.get(str(response.location).replace("/?", "/users/nobody?"))
    assert (refused.status_code, "It &amp; that." in refused.text) == (404, True)
    assert "<strong>&lt;b&gt;</strong> &lt;i&gt;why&lt;/i&gt;" in page
    other = Visit(console)
    other.sign_in("alice")
    assert "It &amp; that." not in other.get(str(response.location)).text
