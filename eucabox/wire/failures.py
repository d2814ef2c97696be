"""What went wrong with a request becomes its protocol's error answer; judges nothing."""

import logging
from collections.abc import Callable

from eucabox.errors import Fault
from eucabox.wire.request import Answer, Request

log = logging.getLogger("eucabox.api")


def word(
    problem: Exception,
    refuse: Callable[[Fault, str, str], Answer],
    request: Request,
    service: str,
) -> tuple[Answer, str]:
    """Return the answer, by the protocol's `refuse`, and its code. What is no Fault is logged with
    its trace and answered as InternalError. Call it where the problem was caught."""
    if isinstance(problem, Fault):
        fault = problem
        fault.facts.setdefault("Resource", request.path)
    else:
        log.exception("a request of the service %s failed", service)
        fault = Fault()
    return refuse(fault, request.request_id, service), fault.code
