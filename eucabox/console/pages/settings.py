"""The settings in force, each with the file that it is from."""

from flask import Blueprint, render_template

from eucabox.console.visitor import perform

pages = Blueprint("settings", __name__)


@pages.get("/settings")
def show() -> str:
    """List them, by section."""
    told = perform("bootstrap", "DescribeSettings")
    settings = told["settings"]
    assert isinstance(settings, list)
    sections: dict[str, list[dict[str, str]]] = {}
    for each in settings:
        sections.setdefault(each["section"], []).append(each)
    return render_template("settings.html", sections=sections, told=told)
