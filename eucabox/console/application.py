"""Puts the console together: its pages, what runs before and after each, what templates may use."""

import time
from typing import TYPE_CHECKING

from flask import Response, g, request, url_for
from werkzeug.exceptions import HTTPException

from eucabox import ids
from eucabox.console import answers, formats, guard, navigation, visitor
from eucabox.console.pages import (
    buckets,
    columns,
    confirmation,
    credentials,
    events,
    first_run,
    home,
    image,
    image_upload,
    images,
    metrics,
    password,
    recovery,
    second_factor,
    sessions,
    sign_in,
    sign_up,
    sign_ups,
    usage,
)
from eucabox.console.site import Console
from eucabox.errors import Fault
from eucabox.events.request_counts import PAGES as PAGES_COUNTED

if TYPE_CHECKING:
    from eucabox.cloud import Cloud

PAGES = (
    home, sign_in, first_run, sign_up, confirmation, recovery, password, credentials, sessions,
    sign_ups, columns, buckets, events, usage, metrics, second_factor, images, image, image_upload,
)  # fmt: skip


def create_app(cloud: "Cloud") -> Console:
    """Return the console's application, for a listener of its own."""
    app = Console(cloud)
    app.before_request(_number)
    app.before_request(guard.check_request)
    app.after_request(answers.finish)
    app.register_error_handler(HTTPException, answers.refuse)
    app.register_error_handler(Fault, answers.refuse_fault)
    app.register_error_handler(Exception, answers.refuse_failure)
    for module in PAGES:
        app.register_blueprint(module.pages)
    PAGES_COUNTED.names = {("console", each) for each in app.view_functions}
    formats.register(app.jinja_env.filters)
    app.context_processor(lambda: _offer(app))
    return app


def _number() -> Response | None:
    g.request_id, g.began = ids.request_id(), time.perf_counter()
    return None


def _offer(app: Console) -> dict[str, object]:
    """What every template may use."""
    current = visitor.current_visitor()
    return {
        "user": current.caller,
        "csrf": visitor.show_csrf,
        "offers": navigation.list_offers(current.caller),
        "here": request.endpoint or "",
        "notice": answers.find_notice,
        "may": lambda service, name: bool(
            current.caller and navigation.may(current.caller, service, name)
        ),
        "asset": lambda name: url_for("static", filename=name, v=app.assets_version),
        "region": app.cloud.config.cloud.region,
    }
