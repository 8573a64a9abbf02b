"""Log lines of the service: each has the id of the request that it belongs to."""

import logging
from functools import cache
from typing import Any

from serve_app.correlation import correlation_id
from storage.chunks import Report


def count_chunk(report: Report) -> None:
    """Note a chunk of a run over a book that is done."""
    for outcome, count in report.counts.items():
        _chunk_portfolios().inc(count, {"outcome": outcome.value})
    for stage, seconds in report.seconds.items():
        _chunk_seconds().observe(seconds, {"stage": stage})


@cache
def _chunk_portfolios() -> Counter:
    description = "Portfolios of runs over a book, by what became of them"
    return Counter("ordergen_book_portfolios", description, tag_keys=("outcome",))


@cache
def _chunk_seconds() -> Histogram:
    description = "Seconds that a chunk of a run took to fetch, to solve and to write"
    return Histogram("ordergen_chunk_seconds", description, SECONDS, tag_keys=("stage",))


@cache
def correlate_logs() -> None:
    """Give every log record of this process the id of the request that it belongs to."""
    make = logging.getLogRecordFactory()

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.correlation_id = correlation_id.get()
        return record

    logging.setLogRecordFactory(made)
