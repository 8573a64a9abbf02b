"""Business events as log lines, so that the log of a correlation id tells the whole story.

An event is named as in the audit log. It is logged after it happened, while the audit log stores it
together with the change: the log is for operators, the audit log is the evidence.
"""

import logging
from collections.abc import Mapping

from storage.audit.trail import Action

logger = logging.getLogger(__name__)

# Prefixes of routes that machines poll every few seconds.
PROBES = ("/health", "/metrics")


def log_event(
    action: Action, object_id: str | None, **facts: str | int | Mapping[str, int]
) -> None:
    """Log an event with its facts, each a field of the JSON line."""
    if logger.isEnabledFor(logging.INFO):
        shown = "".join(f" {name}={value}" for name, value in facts.items())
        extra = {"event": action.value, "object_id": object_id, **facts}
        logger.info("%s %s%s", action.value, object_id, shown, extra=extra)


def log_request(method: str, route: str, status: str, milliseconds: float) -> None:
    """Log an answered request, by the template of its route; probes that succeed at DEBUG."""
    is_probe = status == "200" and route.startswith(PROBES)
    level = logging.DEBUG if is_probe else logging.INFO
    if logger.isEnabledFor(level):
        extra = {
            "event": "request",
            "http_method": method,
            "http_route": route,
            "http_status": status,
            "duration_ms": round(milliseconds, 1),
        }
        logger.log(level, "%s %s %s %.1f ms", method, route, status, milliseconds, extra=extra)
