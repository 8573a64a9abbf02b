"""Metrics and log lines of the service, at its edges.

Metrics go through Ray, which shows them on every node's metrics port (and GET /metrics of a replica's
node); prometheus_client's own counters would read 0 there.
"""

import logging
from collections import Counter as Tally
from collections.abc import Sequence
from functools import cache
from typing import Any

from ray.util.metrics import Counter, Histogram

from optimization.result import Rebalance
from serve_app.correlation import correlation_id

SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0]


@cache
def _portfolios() -> Counter:
    description = "Portfolios of runs, by what became of them and how"
    return Counter("ordergen_portfolios", description, tag_keys=("outcome", "method"))


@cache
def _run_seconds() -> Histogram:
    description = "Seconds from the begin of a run to its last stored outcome"
    return Histogram("ordergen_run_seconds", description, SECONDS, tag_keys=("size",))


def count_run(outcomes: Sequence[Rebalance], seconds: float) -> None:
    """Note a run that is over."""
    methods = Tally(
        (str(one.status), str(one.certificate.method) if one.certificate else "none")
        for one in outcomes
    )
    for (outcome, method), count in methods.items():
        _portfolios().inc(count, {"outcome": outcome, "method": method})
    size = "one" if len(outcomes) == 1 else "many"
    _run_seconds().observe(seconds, {"size": size})


@cache
def correlate_logs() -> None:
    """Give every log record of this process the id of the request that it belongs to."""
    make = logging.getLogRecordFactory()

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.correlation_id = correlation_id.get()
        return record

    logging.setLogRecordFactory(made)
