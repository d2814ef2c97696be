"""One form for several rows of a list: which were chosen, and what came of each."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, request
from werkzeug.exceptions import BadRequest

from eucabox.console.answers import redirect_with_notice
from eucabox.console.guard import check_text
from eucabox.console.notices import RowOutcome
from eucabox.errors import Fault

FIELD = "chosen"
MOST_CHOSEN, MOST_NAME = 100, 1024


def read_chosen() -> list[str]:
    """Return the rows that were chosen, each once; raises BadRequest for more than a page has."""
    names = list(dict.fromkeys(request.form.getlist(FIELD)))
    if len(names) > MOST_CHOSEN:
        raise BadRequest(f"At most {MOST_CHOSEN} can be chosen at once.")
    return [check_text(each, MOST_NAME, "What was chosen") for each in names]


def perform_each(names: Sequence[str], act: Callable[[str], object]) -> tuple[RowOutcome, ...]:
    """Do something with each of these, and tell of each what came of it: a refusal of one holds
    up no other."""
    return tuple(_perform_one(each, act) for each in names)


def _perform_one(name: str, act: Callable[[str], object]) -> RowOutcome:
    try:
        act(name)
    except Fault as fault:
        return RowOutcome(name, is_done=False, text=fault.message)
    return RowOutcome(name, is_done=True)


def show_outcomes(
    endpoint: str, done: str, outcomes: tuple[RowOutcome, ...], **values: Any
) -> Response:
    """Lead the browser to a page (303) that says how many were, such as, "stopped", and why the
    others were not."""
    if not outcomes:
        return redirect_with_notice(endpoint, "Nothing was chosen.", "warn", **values)
    count = sum(each.is_done for each in outcomes)
    kind = "good" if count == len(outcomes) else "warn" if count else "bad"
    text = f"{count} of {len(outcomes)} {done}." if len(outcomes) > 1 else _tell_one(done, outcomes)
    refused = tuple(each for each in outcomes if not each.is_done)
    return redirect_with_notice(
        endpoint, text, kind, outcomes if len(outcomes) > 1 else refused, **values
    )


def _tell_one(done: str, outcomes: tuple[RowOutcome, ...]) -> str:
    outcome = outcomes[0]
    return f"{outcome.name} {done}." if outcome.is_done else f"{outcome.name}: not {done}."
