"""What is wrong with the cloud and its host, each with how to mend it."""

from flask import Blueprint, Response, make_response, redirect, render_template, url_for

from eucabox.console.visitor import perform

pages = Blueprint("faults", __name__)
ORDER = ("FAIL", "warn", "ok")


@pages.get("/faults")
def show() -> str:
    """List them, the worst first; the host is looked at where that was long ago."""
    told = perform("bootstrap", "DescribeFaults")
    findings = told["findings"]
    assert isinstance(findings, list)
    ordered = sorted(findings, key=lambda each: _rank(each["state"]))
    return render_template("faults.html", told=told, findings=ordered)


@pages.post("/faults")
def check() -> Response:
    """Look at the host again."""
    perform("bootstrap", "DescribeFaults", max_age=0)
    return make_response(redirect(url_for("faults.show"), 303))


def _rank(state: str) -> int:
    return ORDER.index(state) if state in ORDER else 0
