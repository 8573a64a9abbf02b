"""Benchmark of the whole service on one machine: requests, runs, liveness, and API keys.

    python benchmarks/bench_service.py [--portfolios 1000] [--positions 50] [--requests 500]
        [--runs 5] [--pairs 200] [--keys-only]

The script starts the service on a free port, with its own database in a temporary directory and the
simulated market. One caller with one connection shares the processors with the service. What an API
key costs is measured between two more applications of the same cluster, alike but for AUTH.
"""

import argparse
import asyncio
import http
import http.client
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from processes import processor_s
from rich.console import Console
from rich.table import Table

from serve_app.auth.key_requests import KeyRequest
from serve_app.auth.permissions import Role
from serve_app.launch.launcher import run_service
from serve_app.launch.preflight import read_configuration
from serve_app.settings import Settings
from serve_app.simulator import Market
from storage.access.api_key_store import ApiKeyStore
from storage.embedded.free_port import free_port
from storage.mongo.connection import connect, disconnect

CONFIG = Path(__file__).parents[1] / "serve_config.yaml"
BAND = {"low_drift": "0.01", "high_drift": "0.01"}
WARM_UP = 50
BETWEEN_PINGS_S = 0.01
ROUTED_WITHIN_S = 30
HOP = "ingress -> replica, nothing done"
MAX_RATIO_OF_A_KEY = 1.04
LONG_BODY = (1_000, 520)  # portfolios, holdings of each: 16 MB
# Figures of the replaced service on a machine of the same size.
ORIGINAL_PORTFOLIO_MS = 107
ORIGINAL_PORTFOLIOS_PER_S = 15

console = Console()


class Caller:
    """Caller with one open connection of the standard library, because that costs least."""

    def __init__(self, port: int, key: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

    def __call__(self, method: str, path: str, body: object = None, expected: int = 200) -> bytes:
        text = body if isinstance(body, bytes | None) else json.dumps(body)
        self._connection.request(method, path, text, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == expected, f"{path} answered {answer.status}: {content[:500]!r}"
        return content

    def status(self, path: str) -> int:
        """Send a GET, and return the status of the response."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def seconds(work: Callable[[], object]) -> float:
    """Measure the seconds of the work."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def percentiles_ms(times_s: list[float]) -> tuple[float, float, float, float]:
    """Compute the median, 95th and 99th percentile and maximum."""
    cut = statistics.quantiles(times_s, n=100, method="inclusive")
    return 1000 * cut[49], 1000 * cut[94], 1000 * cut[98], 1000 * max(times_s)


def time_repeatedly(work: Callable[[], object], times: int) -> list[float]:
    """Measure the seconds of each repetition, after a warm-up."""
    for _ in range(min(WARM_UP, times)):
        work()
    return [seconds(work) for _ in range(times)]


def deploy_hop(port: int) -> None:
    """Deploy an ingress that calls an idle replica, beside the service."""
    from ray import serve  # noqa: PLC0415 - because its environment has to be set first

    class Nothing:
        async def __call__(self) -> str:
            return ""

    class Asks:
        def __init__(self, nothing: Any) -> None:
            self._nothing = nothing

        async def __call__(self, _request: Any) -> str:
            return await self._nothing.remote()

    options: dict[str, Any] = {"ray_actor_options": {"num_cpus": 0}, "max_ongoing_requests": 100}
    nothing = serve.deployment(**options)(Nothing).bind()
    serve.run(serve.deployment(**options)(Asks).bind(nothing), name="hop", route_prefix="/hop")
    wait_until_routed(port, "/hop")


def wait_until_routed(port: int, path: str) -> None:
    """Wait until the proxy knows an application.

    Each attempt has a connection of its own, because the proxy learns of the application later and
    an older connection never does.
    """
    until = time.monotonic() + ROUTED_WITHIN_S
    while Caller(port).status(path) != http.HTTPStatus.OK and time.monotonic() < until:
        time.sleep(0.1)


def deploy_with_auth(settings: Settings, port: int, auth: str) -> str:
    """Deploy the service once more with this AUTH; return the prefix of its routes."""
    from ray import serve  # noqa: PLC0415 - because its environment has to be set first

    from serve_app.app import DEPLOYMENTS, compose_application  # noqa: PLC0415

    own = settings.model_copy(update={"auth": auth})
    scaling = {name: {"ray_actor_options": {"num_cpus": 0}} for name in DEPLOYMENTS}
    prefix = f"/auth-{auth}"
    serve.run(compose_application(own, scaling), name=f"auth-{auth}", route_prefix=prefix)
    wait_until_routed(port, f"{prefix}/health/live")
    return prefix


async def add_key(settings: Settings) -> str:
    """Store an API key that may rebalance; return its text."""
    assert settings.mongodb_uri is not None
    database = connect(settings.mongodb_uri.get_secret_value(), settings.database_name)
    try:
        text, key = KeyRequest("bench", (Role.TRADER,)).make("bench")
        await ApiKeyStore(database).add(key)
    finally:
        await disconnect(database)
    return str(text)


def measure_keys(settings: Settings, port: int, portfolio_id: str, pairs: int) -> Table:
    """Time single rebalances with a key and without, in pairs whose order alternates."""
    routes = [deploy_with_auth(settings, port, auth) for auth in ("none", "keys")]
    callers = Caller(port), Caller(port, asyncio.run(add_key(settings)))
    path = f"/api/v1/portfolio/{portfolio_id}/rebalance"

    def rebalance(which: int) -> float:
        return seconds(lambda: callers[which]("POST", f"{routes[which]}{path}"))

    for which in (0, 1) * WARM_UP:
        rebalance(which)
    times: tuple[list[float], list[float]] = [], []
    for number in range(pairs):
        first = number % 2  # because the second of a pair may find warmer caches
        for which in (first, 1 - first):
            times[which].append(rebalance(which))
    ratios = [with_key / without for without, with_key in zip(*times, strict=True)]
    table = Table(title=f"POST portfolio rebalance, {pairs} alternating pairs")
    for column in ("", "p50", "p95", "p99", "longest"):
        table.add_column(column, justify="right" if column else "left")
    for name, samples in zip(("without a key, ms", "with a key, ms"), times, strict=True):
        table.add_row(name, *(f"{ms:.2f}" for ms in percentiles_ms(samples)))
    ratio = f"{statistics.median(ratios):.3f}"
    table.add_row("with / without, median of the pairs", ratio, f"at most {MAX_RATIO_OF_A_KEY}")
    return table


def build_model(
    name: str, securities: list[str], portfolio_ids: tuple[str, ...]
) -> dict[str, object]:
    """Build a model of nearly equal weights in steps of half a percent, 95 % in total."""
    steps, more = divmod(190, len(securities))
    positions = [
        {
            "security_id": security_id,
            "target": str(Decimal(5 * (steps + (n < more))) / 1000),
            **BAND,
        }
        for n, security_id in enumerate(securities)
    ]
    return {"name": name, "positions": positions, "portfolios": portfolio_ids}


def ping(port: int, stop: Event, results: Connection) -> None:
    """Time /health/live repeatedly, in a process of its own."""
    call, times = Caller(port), list[float]()
    while not stop.is_set():
        times.append(seconds(lambda: call("GET", "/health/live")))
        time.sleep(BETWEEN_PINGS_S)
    results.send(times)


def time_health_during(port: int, work: Callable[[], object]) -> list[float]:
    """Time /health/live during the work."""
    context = multiprocessing.get_context("spawn")
    stop, (receiving, sending) = context.Event(), context.Pipe(duplex=False)
    process = context.Process(target=ping, args=(port, stop, sending))
    process.start()
    try:
        work()
    finally:
        stop.set()
    times = receiving.recv()
    process.join()
    return times


def measure_requests(call: Caller, model_id: str, portfolio_id: str, times: int) -> Table:
    """Time single requests, one after the other."""
    rebalance = f"/api/v1/portfolio/{portfolio_id}/rebalance"
    model = f"/api/v1/model/{model_id}"
    rows: Mapping[str, Callable[[], object]] = {
        "empty route (/health/live)": lambda: call("GET", "/health/live"),
        HOP: lambda: call("GET", "/hop"),
        "GET model": lambda: call("GET", model),
        "POST portfolio rebalance": lambda: call("POST", rebalance),
    }
    table = Table(title=f"Milliseconds of {times} requests, one at a time")
    for column in ("request", "p50", "p95", "p99", "longest", "p50 in hops"):
        table.add_column(column, justify="left" if column == "request" else "right")
    measured = {name: percentiles_ms(time_repeatedly(work, times)) for name, work in rows.items()}
    hop_ms = measured[HOP][0]
    for name, figures in measured.items():
        table.add_row(name, *(f"{ms:.1f}" for ms in figures), f"{figures[0] / hop_ms:.1f}")
    table.add_row("the original: one portfolio", str(ORIGINAL_PORTFOLIO_MS), "", "", "", "")
    return table


def measure_runs(port: int, model_id: str, portfolios: int, runs: int) -> Table:
    """Time runs of many portfolios, after a warm-up, and /health/live during the runs.

    The table also has the processor time of each kind of process, because the market and the caller
    share the processors with the service only here.
    """
    call, path = Caller(port), f"/api/v1/model/{model_id}/rebalance"
    call("POST", path)
    times: list[float] = []
    before = processor_s()
    pings = time_health_during(
        port, lambda: times.extend(seconds(lambda: call("POST", path)) for _ in range(runs))
    )
    spent = {kind: now - before.get(kind, 0) for kind, now in processor_s().items()}
    table = Table(title=f"{runs} runs of {portfolios:,} portfolios")
    for column in ("", "median", "fastest", "slowest"):
        table.add_column(column, justify="right" if column else "left")
    three = statistics.median(times), min(times), max(times)
    table.add_row("seconds", *(f"{run_s:.2f}" for run_s in three))
    table.add_row("portfolios/s", *(f"{portfolios / run_s:,.0f}" for run_s in three))
    table.add_row("the original: portfolios/s", str(ORIGINAL_PORTFOLIOS_PER_S), "", "")
    p50, _, p99, longest = percentiles_ms(pings)
    table.add_row(
        "/health/live meanwhile, ms", f"{p50:.1f}", f"p99 {p99:.1f}", f"max {longest:.1f}"
    )
    for kind, spent_s in sorted(spent.items(), key=lambda pair: -pair[1]):
        figure = f"{1e6 * spent_s / runs / portfolios:,.0f}"
        table.add_row(f"processor of {kind}, µs a portfolio", figure, "", "")
    return table


def long_body() -> bytes:
    """Build a body of POST /optimize of 16 MB."""
    portfolios, holdings = LONG_BODY
    prices = {f"S{number:023}": f"{5 + number % 195}.25" for number in range(5_000)}
    securities = list(prices)
    owned = [
        {
            "portfolio_id": f"P{number:023}",
            "cash": "100000.25",
            "holdings": {securities[(7 * number + 9 * k) % 5_000]: 1 + k for k in range(holdings)},
        }
        for number in range(portfolios)
    ]
    model = {"positions": build_model("Given", securities[:50], ())["positions"]}
    return json.dumps({"model": model, "prices": prices, "portfolios": owned}).encode()


def measure_long_body(port: int, times: int) -> Table:
    """Time a long body, after a warm-up, and /health/live meanwhile."""
    call, body = Caller(port), long_body()
    call("POST", "/api/v1/optimize", body)
    durations: list[float] = []
    pings = time_health_during(
        port,
        lambda: durations.extend(
            time_repeatedly(lambda: call("POST", "/api/v1/optimize", body), times)
        ),
    )
    table = Table(title=f"POST /optimize of {len(body) / 1e6:.0f} MB, {times} times")
    for column in ("", "median", "fastest", "slowest"):
        table.add_column(column, justify="right" if column else "left")
    three = statistics.median(durations), min(durations), max(durations)
    table.add_row("seconds", *(f"{run_s:.2f}" for run_s in three))
    p50, _, p99, longest = percentiles_ms(pings)
    table.add_row(
        "/health/live meanwhile, ms", f"{p50:.1f}", f"p99 {p99:.1f}", f"max {longest:.1f}"
    )
    return table


def measure(settings: Settings, market: Market, arguments: argparse.Namespace) -> None:
    """Store the models, measure, and print."""
    port = settings.port
    call = Caller(port)
    own = list(market.strategies[0].weights)
    more = [
        str(security.security_id)
        for security in market.securities()
        if security.security_id not in own
    ]
    wide = build_model("Wide", [*own, *more][: arguments.positions], market.portfolio_ids(1))
    many = build_model("Many", own, market.portfolio_ids())
    # The newest model of a portfolio is the one that its rebalance takes.
    many_id, wide_id = (
        json.loads(call("POST", "/api/v1/models", body, 201))["model_id"] for body in (many, wide)
    )
    console.print(f"load average before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    if not arguments.keys_only:
        measure_service(port, market, many_id, wide_id, arguments)
    console.print(measure_keys(settings, port, market.portfolio_id(0), arguments.pairs))


def measure_service(
    port: int, market: Market, many_id: str, wide_id: str, arguments: argparse.Namespace
) -> None:
    """Measure requests, runs and long bodies, and print."""
    deploy_hop(port)
    call = Caller(port)
    console.print(
        measure_requests(call, wide_id, market.portfolio_id(0), arguments.requests),
        measure_runs(port, many_id, market.portfolios, arguments.runs),
        measure_long_body(port, arguments.runs),
    )


def main() -> None:
    """Start the service, measure it, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    defaults = {"portfolios": 1000, "positions": 50, "requests": 500, "runs": 5, "pairs": 200}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keys-only", action="store_true", help="measure API keys alone")
    arguments = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="order-generation-") as directory:
        values = {
            "port": port,
            "data_directory": directory,
            "market_portfolios": arguments.portfolios,
        }
        settings, content = read_configuration(CONFIG, values)
        with run_service(settings, content, console.print) as complete:
            measure(complete, Market(settings.market_seed, arguments.portfolios), arguments)


if __name__ == "__main__":
    main()
