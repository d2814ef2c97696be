"""The first page: its blocks, alone and together, and parts of pages that renew themselves."""

from datetime import UTC, datetime, timedelta

from eucabox import ids
from eucabox.console.site import Console
from eucabox.state import State
from tests.console.conftest import Visit

RENEWAL = {"X-Part": "yes", "X-Renewal": "yes"}


def test_blocks_come_with_the_page_and_alone(admin_visit: Visit) -> None:
    page = admin_visit.get("/").text
    for block in ("instances", "capacity"):
        alone = admin_visit.get(f"/home/{block}").text
        assert f'id="home-{block}"' in alone
        assert alone.strip() in page
        assert "<html" not in alone
    assert "Nothing runs." in page
    assert "m1.small" in page
    assert "data-at-once" in page  # of what takes a while
    assert admin_visit.get("/home/none").status_code == 404


def test_a_part_that_renews_itself_is_no_use_of_the_session(
    admin_visit: Visit, state: State, lines: list[str]
) -> None:
    before = ids.time_text(datetime.now(UTC) - timedelta(minutes=30))
    (session,) = state.query("select session_hash from login_sessions")
    state.update("login_sessions", session, last_used=before)

    def last_used() -> str:
        row = state.one("select last_used from login_sessions")
        assert row
        return str(row["last_used"])

    lines.clear()
    assert admin_visit.get("/home/instances", **RENEWAL).status_code == 200
    assert last_used() == before
    assert [each for each in lines if "page=home" in each] == []
    assert admin_visit.get("/").status_code == 200
    assert last_used() > before


def test_a_part_of_a_page_whose_session_is_over_has_the_page_load_anew(console: Console) -> None:
    response = Visit(console).get("/home/instances", **RENEWAL)
    assert response.status_code == 401
    assert "<" not in response.text
