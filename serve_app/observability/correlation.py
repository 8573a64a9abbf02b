"""The ids that tie together what one request caused, here and upstream."""

import re
import uuid
from contextvars import ContextVar

# No blanks and no control characters: the ids go into log lines and into the headers of other requests.
ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
request_id: ContextVar[str] = ContextVar("request_id", default="")


def accepted_or_new(offered: str | None) -> str:
    """The caller's id where it is usable, else a new one."""
    return offered if offered and ID.fullmatch(offered) else uuid.uuid4().hex
