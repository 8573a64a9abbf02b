"""Correlation ids: tie the log lines and upstream requests to the request that caused them."""

import re
import uuid
from contextvars import ContextVar

# No blanks and no control characters, because the ids go into log lines and request headers.
ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
request_id: ContextVar[str] = ContextVar("request_id", default="")


def accepted_or_new(offered: str | None) -> str:
    """Return the caller's id if it is valid, else a new id."""
    return offered if offered and ID.fullmatch(offered) else uuid.uuid4().hex
