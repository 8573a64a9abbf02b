"""Metrics of the service: counts and durations, by labels with a bounded number of values.

They are exported by Ray, which prefixes ``ray_`` and serves them on every node's metrics port,
because counters of prometheus_client itself would read 0 there. GET /metrics has these metrics
alone, without the prefix.
"""

import re
from collections import Counter as Tally
from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType

from ray.util.metrics import Counter, Gauge, Histogram

from optimization import Method, PortfolioOutcome, Proof, Status
from serve_app.observability.events import log_request
from serve_app.observability.observers import Observers
from serve_app.observability.traces import record_span
from storage.runs.chunk_store import Report

SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0]
LONG_S = [0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0]
SHORT_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
MILLISECONDS = [
    *(1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0),
    *(seconds * 1000 for seconds in SECONDS[7:]),
]
OWN = re.compile(
    r"^(# (?:HELP|TYPE) )?ray_((?:http|rebalances?|solver|orders|upstream|database)_.*\n?)",
    re.MULTILINE,
)


def select_own_series(text: str) -> str:
    """Select the service's own metrics from those of a node, without Ray's prefix.

    Ray's own series are megabytes, and a monitoring system reads them from the node.
    """
    return "".join(f"{match[1] or ''}{match[2]}" for match in OWN.finditer(text))


class HttpMetrics:
    """Request metrics of one replica.

    Implements serve_app.api.middleware.responses.RequestWatch.
    """

    def __init__(self) -> None:
        labels = ("method", "route", "status")
        # The replica counts itself, because a gauge of Ray can be set but not incremented.
        self._in_flight = 0
        self._requests = Counter("http_requests_total", "Requests that were answered", labels)
        self._milliseconds = Histogram(
            "http_request_duration_milliseconds",
            "Milliseconds from a request to the end of its answer",
            MILLISECONDS,
            labels,
        )
        self._gauge = Gauge("http_requests_in_flight", "Requests that are being answered")

    def note_begin(self) -> None:
        """Record the start of a request."""
        self._in_flight += 1
        self._gauge.set(self._in_flight)

    def note_end(self, method: str, route: str, status: str, milliseconds: float) -> None:
        """Record the end of a response, and log it."""
        self._in_flight -= 1
        self._gauge.set(self._in_flight)
        labels = {"method": method, "route": route, "status": status}
        self._requests.inc(1, labels)
        self._milliseconds.observe(milliseconds, labels)
        log_request(method, route, status, milliseconds)


@cache
def _rebalances() -> Counter:
    description = "Rebalances by status at their end"
    return Counter("rebalances_total", description, ("status",))


@cache
def _rebalance_seconds() -> Histogram:
    description = "Seconds from the start of a rebalance to its last stored outcome"
    return Histogram("rebalance_duration_seconds", description, SECONDS, ("size",))


@cache
def _runs() -> Counter:
    return Counter("rebalance_runs_total", "Runs by status at their end", ("status",))


@cache
def _run_seconds() -> Histogram:
    description = "Seconds from the request of a run to its end"
    return Histogram("rebalance_run_duration_seconds", description, LONG_S, ("status",))


@cache
def _portfolios() -> Counter:
    description = "Portfolios by status of their outcome"
    return Counter("rebalance_portfolios_total", description, ("outcome",))


@cache
def _stage_seconds() -> Histogram:
    description = "Seconds that a chunk of a run over a book was fetched, solved and written"
    return Histogram("rebalance_chunk_duration_seconds", description, SECONDS, ("stage",))


@cache
def _plans() -> Counter:
    description = "Plans by how they were found and what is known of them"
    return Counter("solver_plans_total", description, ("method", "proof"))


@cache
def _solve_seconds() -> Histogram:
    description = "Seconds for which a block of portfolios was solved"
    return Histogram("solver_block_duration_seconds", description, SECONDS)


@cache
def _orders() -> Counter:
    description = "Orders submitted to the order service by outcome"
    return Counter("orders_submitted_total", description, ("outcome",))


@cache
def _upstream_requests() -> Counter:
    description = "Requests to other services, each try for itself"
    return Counter("upstream_requests_total", description, ("upstream", "outcome"))


@cache
def _upstream_seconds() -> Histogram:
    description = "Seconds until another service answered or failed"
    return Histogram("upstream_request_duration_seconds", description, SECONDS, ("upstream",))


@cache
def _circuits() -> Counter:
    description = "Circuits to other services that opened, of each process"
    return Counter("upstream_circuits_opened_total", description, ("upstream",))


@cache
def _commands() -> Counter:
    description = "Commands that were sent to the database"
    return Counter("database_commands_total", description, ("command", "outcome"))


@cache
def _command_seconds() -> Histogram:
    description = "Seconds until the database answered"
    return Histogram("database_command_duration_seconds", description, SHORT_S, ("command",))


def count_rebalance(portfolios: int, seconds: float) -> None:
    """Record a completed rebalance and its duration."""
    size = "one" if portfolios == 1 else "many"
    _rebalances().inc(1, {"status": "COMPLETED"})
    _rebalance_seconds().observe(seconds, {"size": size})


def count_run(status: str, seconds: float) -> None:
    """Record the end of a run that any replica drove."""
    _runs().inc(1, {"status": status})
    # Negative seconds become 0, because the clocks of the first and last replica may differ.
    _run_seconds().observe(max(seconds, 0.0), {"status": status})


def count_outcomes(counts: Mapping[Status, int]) -> None:
    """Record the outcomes of portfolios by status."""
    for outcome, count in counts.items():
        _portfolios().inc(count, {"outcome": str(outcome)})


def count_chunk(report: Report) -> None:
    """Record a finished chunk of a run."""
    count_outcomes(report.counts)
    for stage, seconds in report.seconds.items():
        _stage_seconds().observe(seconds, {"stage": stage})


def count_stopped_rebalance() -> None:
    """Record a rebalance that ended early."""
    _rebalances().inc(1, {"status": "STOPPED"})


def count_solved(
    outcomes: Collection[PortfolioOutcome],
    seconds: float,
    plain: Mapping[Method, int] = MappingProxyType({}),
) -> None:
    """Record a solved block: these outcomes, and the number of ``plain`` outcomes by method."""
    _solve_seconds().observe(seconds)
    record_span("solve", seconds, portfolios=len(outcomes) + sum(plain.values()))
    certificates = (outcome.certificate for outcome in outcomes if outcome.certificate is not None)
    plans = Tally((str(certificate.method), str(certificate.proof)) for certificate in certificates)
    for method, count in plain.items():
        plans[str(method), str(Proof.OPTIMAL)] += count
    for (method, proof), count in plans.items():
        _plans().inc(count, {"method": method, "proof": proof})


def count_orders(outcomes: Mapping[str, int]) -> None:
    """Record orders that were sent, or found at the order service."""
    for outcome, count in outcomes.items():
        _orders().inc(count, {"outcome": outcome})


def count_upstream(upstream: str, outcome: str, seconds: float) -> None:
    """Record one attempt of a request to an upstream."""
    _upstream_requests().inc(1, {"upstream": upstream, "outcome": outcome})
    _upstream_seconds().observe(seconds, {"upstream": upstream})
    record_span(f"{upstream} service", seconds, outcome=outcome)


def count_circuit(upstream: str) -> None:
    """Record that the circuit of an upstream opened."""
    _circuits().inc(1, {"upstream": upstream})


def count_command(command: str, outcome: str, seconds: float) -> None:
    """Record one command to the database."""
    _commands().inc(1, {"command": command, "outcome": outcome})
    _command_seconds().observe(seconds, {"command": command})
    record_span(f"mongodb {command}", seconds, outcome=outcome)


OBSERVERS = Observers(upstream=count_upstream, circuit=count_circuit, database=count_command)
