"""/metrics for Prometheus: for this machine alone, or for whoever has the token."""

import ipaddress
from hmac import compare_digest
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from eucabox.console.pages.sign_in import public
from eucabox.console.site import current_console

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

pages = Blueprint("metrics", __name__)
# What a proxy adds to a request that it hands on: then this machine is not who asks.
HANDED_ON = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")


@pages.get("/metrics")
@public
def show() -> Response:
    """Show what is counted."""
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    _check_scraper()
    console = current_console()
    if "metrics" not in console.extensions:
        console.extensions["metrics"] = _make_registry()
    text = generate_latest(console.extensions["metrics"])
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def _make_registry() -> "CollectorRegistry":
    """Made when it is first asked for: most consoles are never scraped."""
    from prometheus_client import CollectorRegistry, ProcessCollector

    from eucabox.console.metrics_collector import CloudCollector

    registry = CollectorRegistry(auto_describe=False)
    registry.register(CloudCollector(current_console().cloud))
    ProcessCollector(registry=registry)
    return registry


def _check_scraper() -> None:
    token = current_console().cloud.config.console.metrics_token
    if token:
        sent = request.headers.get("Authorization", "").partition(" ")
        if sent[0].lower() == "bearer" and compare_digest(sent[2].encode(), token.encode()):
            return
        raise Unauthorized(
            "The token of [console] metrics_token is missing, or is another one.",
            www_authenticate=WWWAuthenticate("bearer"),
        )
    is_handed_on = any(name in request.headers for name in HANDED_ON)
    if is_handed_on or not _is_loopback(request.remote_addr or ""):
        raise Forbidden("Only this machine reads these. [console] metrics_token lets others.")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
