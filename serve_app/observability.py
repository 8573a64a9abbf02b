"""Log lines of the service: each has the id of the request that it belongs to."""

import logging
from functools import cache
from typing import Any

from serve_app.correlation import correlation_id


@cache
def correlate_logs() -> None:
    """Give every log record of this process the id of the request that it belongs to."""
    make = logging.getLogRecordFactory()

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.correlation_id = correlation_id.get()
        return record

    logging.setLogRecordFactory(made)
