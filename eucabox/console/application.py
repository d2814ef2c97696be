"""Puts the console together: its pages, what runs before and after each, what templates may use."""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response, g, request, url_for
from werkzeug.exceptions import HTTPException

from eucabox import ids
from eucabox.console import answers, formats, guard, navigation, visitor
from eucabox.console.pages import (
    accounts,
    all_sessions,
    buckets,
    columns,
    confirmation,
    credentials,
    events,
    faults,
    first_run,
    groups,
    home,
    image,
    image_upload,
    images,
    inline_policies,
    instance,
    instance_type_sizes,
    instances,
    key_pairs,
    launch,
    log,
    mails,
    metrics,
    nudges,
    password,
    policies,
    recovery,
    roles,
    screen,
    second_factor,
    security_groups,
    serial,
    sessions,
    settings,
    sign_in,
    sign_up,
    sign_ups,
    usage,
    users,
    why_refused,
)
from eucabox.console.site import Console
from eucabox.console.sockets import Sockets
from eucabox.console.styles import STYLES
from eucabox.errors import Fault
from eucabox.events.request_counts import PAGES as PAGES_COUNTED

if TYPE_CHECKING:
    from eucabox.cloud import Cloud

PAGES = (
    home, sign_in, first_run, sign_up, confirmation, recovery, password, credentials, sessions,
    sign_ups, columns, events, usage, metrics, nudges, serial, screen,
    instances, instance, launch, key_pairs, security_groups,
    images, image, image_upload, buckets, second_factor,
    users, groups, roles, policies, inline_policies, why_refused,
    accounts, instance_type_sizes, settings, mails, all_sessions, log, faults,
)  # fmt: skip


def create_app(cloud: "Cloud") -> Console:
    """Return the console's application, for a listener of its own."""
    app = Console(cloud)
    app.sockets = Sockets(cloud)
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
    app.jinja_env.globals.update(_list_globals(app))
    app.context_processor(lambda: _offer(app))
    return app


def _number() -> Response | None:
    g.request_id, g.began = ids.request_id(), time.perf_counter()
    return None


def _list_globals(app: Console) -> dict[str, Callable[..., object] | str]:
    """What every template may use, and what is imported by one: Jinja2 runs an import once, for all
    requests, as long as it needs nothing of a page's own."""
    return {
        "url_for": app.build_address,
        "csrf": visitor.show_csrf,
        "notice": answers.find_notice,
        "styles": STYLES,
        "may": _may,
        "asset": functools.cache(
            lambda name: url_for("static", filename=name, v=app.assets_version)
        ),
    }


def _may(service: str, name: str) -> bool:
    """Whether who looks at the page may perform a verb on anything at all."""
    caller = visitor.current_visitor().caller
    return caller is not None and navigation.may(caller, service, name)


def _offer(app: Console) -> dict[str, object]:
    """What every page may use."""
    current = visitor.current_visitor()
    return {
        "user": current.caller,
        "offers": navigation.list_offers(current.caller),
        "here": request.endpoint or "",
        "region": app.cloud.config.cloud.region,
    }
