"""Why is this refused: the evaluator's answer for a user, a verb and a resource; a refusal's sealed
message, opened."""

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console import why
from eucabox.console.answers import get_status
from eucabox.console.iam_pages import MOST_CHOICES, may_perform, read_field, try_list
from eucabox.console.why import Question
from eucabox.errors import Fault

pages = Blueprint("why_refused", __name__)
LONGEST = {"who": 2048, "verb": 128, "resource": 2048}
PREFIX = "context."  # of a field with the value of a condition key
MOST_KEYS = 20


@pages.get("/why")
def show() -> Response:
    """Show the form, and the answer to the question that the address has."""
    return _show_answer(_read_question())


@pages.post("/why")
def ask() -> Response:
    """Answer the form's question."""
    return _show_answer(_read_question())


@pages.post("/why/decode")
def decode() -> Response:
    """Open the sealed message of a refusal."""
    message = read_field("message").rpartition(" ")[2]  # or all that the client printed
    question = Question("", "")
    try:
        decoded = why.decode(message)
    except Fault as fault:
        return _show_page(question, get_status(fault), problem=fault.message, message=message)
    return _show_page(question, decoded=decoded, message=message)


def _read_question() -> Question:
    given = {name: request.values.get(name, "").strip()[:most] for name, most in LONGEST.items()}
    keys = [each for each in request.values if each.startswith(PREFIX)][:MOST_KEYS]
    values = {each.removeprefix(PREFIX): request.values[each].strip() for each in keys}
    context = {key: value for key, value in values.items() if value}
    return Question(given["who"], given["verb"], given["resource"] or "*", context)


def _show_answer(question: Question) -> Response:
    if not (question.who and question.verb):
        return _show_page(question)
    try:
        return _show_page(question, verdict=why.ask(question))
    except Fault as fault:
        return _show_page(question, get_status(fault), problem=fault.message)


def _show_page(
    question: Question,
    status: int = 200,
    *,
    problem: str = "",
    verdict: why.Verdict | None = None,
    decoded: object = None,
    message: str = "",
) -> Response:
    page = render_template(
        "why.html",
        question=question,
        verdict=verdict,
        decoded=decoded,
        message=message,
        entities=_list_entities(),
        verbs=why.list_verbs(),
        may_decode=may_perform("sts", "DecodeAuthorizationMessage"),
        prefix=PREFIX,
        problem=problem,
    )
    return make_response(page, status)


def _list_entities() -> list[tuple[str, str]]:
    """Return ARN and name of the users, roles and groups to ask about; none where there are more
    than can be chosen from, and then an ARN is typed."""
    entities: list[tuple[str, str]] = []
    for verb, kind in (("ListUsers", "user"), ("ListRoles", "role"), ("ListGroups", "group")):
        listed = try_list(verb, f"{kind}s") or []
        entities += [(str(each["arn"]), f"{kind} {each[f'{kind}_name']}") for each in listed]
    return entities if len(entities) <= MOST_CHOICES else []
