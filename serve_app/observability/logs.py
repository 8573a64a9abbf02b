"""Log configuration: destination, correlation id and caller of the service's log lines."""

import logging
from functools import cache
from typing import Any

from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from serve_app.call_context import correlation_id, principal

OURS = ("serve_app", "storage", "optimization")

logger = logging.getLogger(__name__)


@cache
def correlate_logs() -> None:
    """Add correlation id and caller to every log record, and send ours to Serve's log.

    Records would otherwise reach Serve's log through standard error, all at level INFO, with each
    line of a traceback as a record of its own.
    """
    make = logging.getLogRecordFactory()

    def make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.correlation_id = correlation_id.get()
        record.principal = principal.get()
        return record

    # The cache allows one call in a process, because each call would wrap the previous factory.
    logging.setLogRecordFactory(make_record)
    for name in OURS:
        logging.getLogger(name).parent = logging.getLogger("ray.serve")
    # A failed attempt is one line at DEBUG, because the caller logs the failure of the last one.
    set_on_retry_hooks((log_retry,))


def log_retry(details: RetryDetails) -> None:
    """Log a failed attempt that is retried."""
    logger.debug(
        "attempt %d of %s failed, the next is in %.1f s: %r",
        details.retry_num,
        details.name,
        details.wait_for,
        details.caused_by,
    )
