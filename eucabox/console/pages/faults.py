"""What is wrong with the cloud and its host, each with how to mend it."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.visitor import judge, perform

pages = Blueprint("faults", __name__)
ORDER = ("FAIL", "warn", "ok")
VERB = ("bootstrap", "DescribeFaults")


@pages.get("/faults")
def show() -> str:
    """Show where the findings will be: a look at the host takes seconds."""
    judge(*VERB)
    return render_template("faults.html", again=request.args.get("again"))


@pages.get("/faults/findings")
def show_findings() -> str:
    """Show them alone, the worst first; the host is looked at where that was long ago, or again."""
    told = perform(*VERB, max_age=0) if "again" in request.args else perform(*VERB)
    findings = told["findings"]
    assert isinstance(findings, list)
    ordered = sorted(findings, key=lambda each: _rank(each["state"]))
    return render_template("_faults.html", told=told, findings=ordered)


@pages.post("/faults")
def check() -> Response:
    """Have the page look at the host again."""
    judge(*VERB)
    return make_response(redirect(url_for("faults.show", again="yes"), 303))


def _rank(state: str) -> int:
    return ORDER.index(state) if state in ORDER else 0
