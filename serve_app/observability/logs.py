"""Log lines of the service: where they go, and the id of the request that each belongs to."""

import logging
from functools import cache
from typing import Any

from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from serve_app.observability.correlation import correlation_id

OURS = ("serve_app", "storage", "optimization")

logger = logging.getLogger(__name__)


@cache
def correlate_logs() -> None:
    """Give every log record of this process the id of the request that it belongs to, and ours to Serve's log.

    Else they would reach it by way of the standard error: as INFO, each line of a traceback on its own.
    """
    make = logging.getLogRecordFactory()

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.correlation_id = correlation_id.get()
        return record

    logging.setLogRecordFactory(made)
    for name in OURS:
        logging.getLogger(name).parent = logging.getLogger("ray.serve")
    # One line instead of the default WARNING, because what fails for good is logged by its caller.
    set_on_retry_hooks((log_retry,))


def log_retry(details: RetryDetails) -> None:
    """Log an attempt that failed and is made again."""
    logger.debug(
        "attempt %d of %s failed, the next is in %.1f s: %r",
        details.retry_num,
        details.name,
        details.wait_for,
        details.caused_by,
    )
