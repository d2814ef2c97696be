from pathlib import Path

from eucabox.domains import state_reasons
from eucabox.domains.instance_rows import InstanceRows
from eucabox.state import State
from tests.domains.rows import row_of
from tests.rows import add_instance


def test_an_instance_that_starts_without_metadata_says_why(tmp_path: Path) -> None:
    state = State(tmp_path / "eucabox.db")
    lacking, whole = (add_instance(state, state="pending") for _ in range(2))
    rows = InstanceRows(state)
    assert rows.mark_running(lacking, state_reasons.no_metadata("nginx (process 7) has the port."))
    assert rows.mark_running(whole)
    text = "Server.MetadataUnavailable: nginx (process 7) has the port."
    assert [row_of(state, each)["state_reason_message"] for each in (lacking, whole)] == [
        text,
        "",
    ]
    state.close()
