"""Benchmark of a run over a whole book from a bulk file: read, solved exactly, stored.

    python benchmarks/bench_book.py [--portfolios 100000] [--positions 50] [--models 10] [--singles]
        [--outside 10] [--fractions 5] [--tight 20] [--nodes 3] [--chunk 2000]

The script writes a Parquet file of the book, starts the service with a database in a temporary
directory, begins one run over all portfolios and follows the run. A small run goes before, because
the workers load their modules in it. ``--singles`` requests single rebalances before and during the
run.

``--outside`` and ``--fractions`` are percentages of the portfolios: those with two holdings outside
their model, and with a fraction of a share. ``--tight`` is the percentage of models that keep all
the cash beside their targets: about half of their portfolios are short of it once the optimum is
rounded to shares (COVER in the table).

``--nodes`` starts a Ray cluster of a head and so many workers of two processors each on this
machine: no more work is done in a second, but the table shows what each part costs.

A model has at most 100,000 portfolios, so a larger book has more models than ``--models``. Models
are made one at a time, because ten million ids do not stay in memory; such a book takes 1.3 GB for
its file and some 5 GB for the database, in the directory for temporary files (TMPDIR).
"""

import argparse
import asyncio
import json
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_service import CONFIG, Caller, percentiles_ms, seconds
from numpy.typing import NDArray
from processes import STORE_KEEPER, descendants, name_kind, processor_s
from rich.console import Console
from rich.table import Table

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.options import RebalanceOptions
from serve_app.launch.launcher import run_service
from serve_app.launch.preflight import read_configuration
from serve_app.local.stand_ins import SimulatedMarket
from serve_app.settings import UPSTREAM_URLS, Settings
from serve_app.simulator import Market
from storage.embedded import server
from storage.embedded.free_port import free_port
from storage.models.model_store import ModelStore
from storage.mongo.connection import connect, disconnect

FILE = "book.parquet"
ROWS_A_GROUP = 64_000
LOOK_EVERY_S = 0.1
SAMPLE_EVERY_S = 1.0
WARMING = 1000
MAX_PORTFOLIOS = 100_000  # of a model
MIB = 2**20

console = Console(width=120)


def portfolio_id(number: int) -> str:
    """Build an id that sorts like its number."""
    return f"BookPortfolio{number:011d}"


def make_models(
    market: Market, portfolios: int, positions: int, models: int, tight: int = 0
) -> Iterator[Model]:
    """Yield models at nearly equal weights, each followed by its share of the book.

    Of the models, ``tight`` per cent keep 5 % in cash, which is what their targets leave.
    """
    band = DriftBand(Decimal("0.01"), Decimal("0.01"))
    priced = [str(security.security_id) for security in market.securities() if security.quote]
    models = max(models, -(-portfolios // MAX_PORTFOLIOS))
    for n in range(models):
        securities = random.Random(n).sample(priced, positions)
        steps, more = divmod(190, positions)
        weights = [Decimal(5 * (steps + (at < more))) / 1000 for at in range(positions)]
        targets = tuple(Target(*pair, band) for pair in zip(securities, weights, strict=True))
        first, last = n * portfolios // models, (n + 1) * portfolios // models
        ids = tuple(portfolio_id(number) for number in range(first, last))
        floor = RebalanceOptions(cash_floor=Percent(Decimal(5)))
        options = floor if n < models * tight // 100 else None
        yield Model(f"Book {n}", targets, ids, options=options)


@dataclass(frozen=True, slots=True)
class Mix:
    """Percentages of the portfolios that are not plain."""

    outside: int = 0
    fractions: int = 0

    def has(self, name: str, count: int) -> NDArray[np.bool_]:
        """Return which of some portfolios are of a kind, spread evenly and unlike other kinds."""
        percent, offset = {"outside": (self.outside, 0), "fractions": (self.fractions, 50)}[name]
        return (np.arange(count) * 37 + offset) % 100 < percent


PLAIN = Mix()


def write_book(
    path: Path, market: Market, models: Iterable[Model], mix: Mix = PLAIN, seed: int = 5
) -> None:
    """Write holdings of portfolios worth 1 to 20 million, a third of them outside a band."""
    prices = {
        str(security.security_id): security.quote.price
        for security in market.securities()
        if security.quote
    }
    rng = np.random.default_rng(seed)
    quantity = pa.decimal128(18, 4) if mix.fractions else pa.int64()
    schema = pa.schema(
        [("portfolio_id", pa.string()), ("security_id", pa.string()), ("quantity", quantity)]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for model in models:
            ids = [target.security_id for target in model.targets]
            others = sorted(prices.keys() - set(ids))[:2]
            weight = np.array([float(target.weight) for target in model.targets])
            price = np.array([float(prices[security_id]) for security_id in ids])
            for start in range(0, len(model.portfolio_ids), 1000):
                portfolios = model.portfolio_ids[start : start + 1000]
                count = len(portfolios)
                worth = rng.uniform(1e6, 2e7, (count, 1))
                noise = rng.normal(1, 0.2, (count, len(ids)))
                shares = np.maximum(worth * weight * noise / price, 0).astype(np.int64)
                cash = (worth[:, 0] * 0.05).astype(np.int64)
                quantities = np.where(mix.has("outside", count)[:, None], 100, 0)
                table = np.column_stack([cash, shares, np.repeat(quantities, len(others), axis=1)])
                has_row = np.column_stack(
                    [np.ones((count, len(ids) + 1)), quantities, quantities]
                ).astype(bool)
                rows = np.flatnonzero(has_row.ravel())
                columns = [
                    pa.array(np.repeat(np.array(portfolios), table.shape[1])).take(rows),
                    pa.array([None, *ids, *others] * count, pa.string()).take(rows),
                    _quantities(table, mix).take(rows),
                ]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=ROWS_A_GROUP)


def _quantities(shares: NDArray[np.int64], mix: Mix) -> pa.Array:
    if not mix.fractions:
        return pa.array(shares.ravel())
    units = shares * 10_000
    units[mix.has("fractions", len(shares)), 1] += 2_500  # a quarter of a share
    return pa.array([Decimal(unit_count).scaleb(-4) for unit_count in units.ravel().tolist()]).cast(
        pa.decimal128(18, 4)
    )


@contextmanager
def start_cluster(workers: int) -> Generator[None]:
    """Run a Ray cluster of a head without processors for tasks, and workers of two each."""
    import ray  # noqa: PLC0415 - the service reads its environment before
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    head = {"num_cpus": 0, "include_dashboard": True, "dashboard_port": free_port()}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(workers):
        nodes.add_node(num_cpus=2, object_store_memory=300 * MIB)
    ray.init(address=nodes.address, log_to_driver=False)
    yield
    ray.shutdown()
    nodes.shutdown()


async def store(settings: Settings, models: Iterable[Model]) -> list[str]:
    """Store models directly, because the API has a bound for the size of a body; return the ids."""
    assert settings.mongodb_uri is not None
    uri = settings.mongodb_uri.get_secret_value()
    database = connect(uri, settings.database_name, timeout_ms=60_000)
    ids = [str((await ModelStore(database).add(model)).model_id) for model in models]
    await disconnect(database)
    return ids


class Memory:
    """Peak memory of each kind of process, and of all but mongod together, sampled each second.

    The memory of a process is its own alone (USS), that of Ray's object store a kind of its own.
    """

    def __init__(self) -> None:
        self.base = self._now()
        self.most = dict(self.base)
        self.most_above = 0
        self._is_over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._is_over.wait(SAMPLE_EVERY_S):
            now = self._now()
            for kind, kind_bytes in now.items():
                self.most[kind] = max(self.most.get(kind, 0), kind_bytes)
            self.most_above = max(self.most_above, _ours(now) - _ours(self.base))

    @staticmethod
    def _now() -> dict[str, int]:
        memory: dict[str, int] = {}
        for process in descendants(os.getpid()):
            try:
                kind, own = name_kind(process), _own_memory(process)
            except (FileNotFoundError, ProcessLookupError):  # the process has ended
                continue
            memory[kind] = memory.get(kind, 0) + own
            if kind == STORE_KEEPER:
                memory["object store"] = memory.get("object store", 0) + _object_store(process)
                memory[kind] -= _private_in_store(process)
        return memory


def _ours(memory: dict[str, int]) -> int:
    return sum(memory.values()) - memory.get("mongod", 0)


def _object_store(raylet: Path) -> int:
    """Read the bytes of the object store that are in memory; its file has been unlinked."""
    for descriptor in (raylet / "fd").iterdir():
        with suppress(OSError):
            if "plasma" in str(descriptor.readlink()):
                return descriptor.stat().st_blocks * 512
    return 0


def _private_in_store(raylet: Path) -> int:
    """Read the bytes of the store that the raylet alone has touched, which count as its own."""
    private_bytes, is_ours = 0, False
    for line in (raylet / "smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_ours = "plasma" in line
        elif is_ours and line.startswith("Private_"):
            private_bytes += int(line.split()[1]) * 1024
    return private_bytes


def _own_memory(process: Path) -> int:
    """Read the bytes of memory that belong to this process alone."""
    lines = (process / "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def await_run(call: Caller, run_id: str) -> dict[str, Any]:
    """Poll the run until it is over, and return the run."""
    while True:
        run = json.loads(call("GET", f"/api/v1/runs/{run_id}"))
        if run["status"] not in {"QUEUED", "RUNNING"}:
            return run
        time.sleep(LOOK_EVERY_S)


def find_failure(port: int, run_id: str) -> Any:
    """Read outcomes until one has failed, and return its error."""
    url = f"http://127.0.0.1:{port}/api/v1/runs/{run_id}/outcomes"
    with httpx.stream("GET", url, timeout=600) as answer:
        outcomes = map(json.loads, answer.iter_lines())
        return next(
            (outcome["error"] for outcome in outcomes if outcome["status"] == "FAILED"), None
        )


def book_table(
    run: dict[str, Any], whole_s: float, memory: Memory, spent: dict[str, float]
) -> Table:
    """Print the counts of the run, its speed and the time of each stage."""
    table = Table(title=f"{run['portfolios']['done']:,} portfolios from a file, {run['status']}")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("seconds from the request to the end", f"{whole_s:.1f}")
    table.add_row("portfolios/s, end to end", f"{run['portfolios']['done'] / whole_s:,.0f}")
    for stage, stage_s in run["seconds"].items():
        portfolio_us = stage_s / run["portfolios"]["done"] * 1e6
        table.add_row(f"{stage}: microseconds a portfolio", f"{portfolio_us:,.0f}")
    for kind, spent_s in sorted(spent.items()):
        if round(spent_s / whole_s, 2):
            portfolio_us = spent_s / run["portfolios"]["done"] * 1e6
            table.add_row(f"processor of {kind}: microseconds a portfolio", f"{portfolio_us:,.1f}")
    portfolio_us = sum(spent.values()) / run["portfolios"]["done"] * 1e6
    table.add_row("processor of all of them: microseconds a portfolio", f"{portfolio_us:,.1f}")
    for name in ("counts", "methods"):
        for key, count in run[name].items():
            table.add_row(key, f"{count:,}")
    for kind, most in sorted(memory.most.items()):
        base = memory.base.get(kind, 0)
        table.add_row(f"memory of {kind}, MiB (before)", f"{most / MIB:,.0f} ({base / MIB:,.0f})")
    above = memory.most_above / MIB
    table.add_row("all but mongod above what it was before, MiB", f"{above:,.0f}")
    return table


def singles(port: int, portfolio: str, stop: Callable[[int], bool]) -> list[float]:
    """Time single rebalances, one after the other, until ``stop`` is true."""
    call, times = Caller(port), list[float]()
    while not stop(len(times)):
        times.append(seconds(lambda: call("POST", f"/api/v1/portfolio/{portfolio}/rebalance")))
    return times


def add_single(call: Caller, market: Market) -> str:
    """Add a model for single rebalances; return its portfolio, which is not in the book."""
    single = market.portfolio_id(0)
    body = {
        "name": "Single",
        "portfolios": [single],
        "positions": [
            {
                "security_id": security_id,
                "target": str(weight),
                "low_drift": "0.01",
                "high_drift": "0.01",
            }
            for security_id, weight in market.strategies[0].weights.items()
        ],
    }
    call("POST", "/api/v1/models", body, 201)
    return single


def measure(settings: Settings, models: list[str], arguments: argparse.Namespace) -> None:
    """Run over the book once, and print the tables."""
    call = Caller(settings.port)
    market = Market(settings.market_seed, settings.market_portfolios)
    single = add_single(call, market) if arguments.singles else ""
    idle = singles(settings.port, single, lambda count: count >= 300) if arguments.singles else []
    busy, over = list[float](), threading.Event()
    holdings = {"source": "file", "file": FILE}
    # Spread over the models, because a chunk is of one model and every worker has to be warm.
    numbers = range(0, arguments.portfolios, max(1, arguments.portfolios // WARMING))
    sample = {"portfolios": [portfolio_id(number) for number in numbers][:WARMING]}
    run_body = json.loads(call("POST", "/api/v1/runs", {**sample, "holdings": holdings}, 202))
    memory = Memory()
    await_run(call, run_body["run_id"])
    asking = threading.Thread(
        target=lambda: busy.extend(singles(settings.port, single, lambda _: over.is_set()))
    )
    if arguments.singles:
        asking.start()
    before, begin = processor_s(), time.perf_counter()
    scope = {"models": models} if arguments.singles else {"whole_book": True}
    request = {**scope, "holdings": holdings}
    with memory:
        run = json.loads(call("POST", "/api/v1/runs", request, 202))
        run = await_run(call, run["run_id"])
        whole_s = time.perf_counter() - begin
    spent = {kind: now - before.get(kind, 0) for kind, now in processor_s().items()}
    over.set()
    console.print(book_table(run, whole_s, memory, spent))
    if run["counts"].get("FAILED"):
        console.print("for instance", find_failure(settings.port, run["run_id"]))
    if arguments.singles:
        asking.join()
        for name, times in (("idle", idle[50:]), ("during the run", busy)):
            p50, _, p99, longest = percentiles_ms(times)
            console.print(
                f"single rebalances, {name}: p50 {p50:.1f} ms, p99 {p99:.1f},"
                f" longest {longest:.1f} ({len(times)})"
            )
        console.print(f"p99 ratio {percentiles_ms(busy)[2] / percentiles_ms(idle[50:])[2]:.1f}")
    console.print(f"load of the machine: {os.getloadavg()[0]:.1f}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {
        "portfolios": 100_000,
        "positions": 50,
        "models": 10,
        "outside": 0,
        "fractions": 0,
        "tight": 0,
        "nodes": 0,
        "chunk": Settings.model_fields["run_file_chunk_size"].default,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--singles", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Write the book, start the service, run, stop."""
    arguments = parse_arguments()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="order-generation-") as directory:
        values: dict[str, Any] = {
            "port": port,
            "data_directory": directory,
            "holdings_directory": directory,
            "market_portfolios": 10,
            "run_file_chunk_size": arguments.chunk,
        }
        settings, content = read_configuration(CONFIG, values)
        market = Market(settings.market_seed, settings.market_portfolios)
        sizes = arguments.portfolios, arguments.positions, arguments.models, arguments.tight
        mix = Mix(arguments.outside, arguments.fractions)
        write_book(Path(directory) / FILE, market, make_models(market, *sizes), mix)
        with ExitStack() as stack:
            if arguments.nodes:
                # Of their own, because on several nodes the service starts neither.
                database = server.start(Path(directory, "database"))
                stack.callback(server.stop, Path(directory, "database"))
                url = SimulatedMarket(settings.market_seed, settings.market_portfolios, None).url()
                values |= {
                    "mongodb_uri": database.uri,
                    **dict.fromkeys(UPSTREAM_URLS.values(), url),
                }
                settings, content = read_configuration(CONFIG, values)
                stack.enter_context(start_cluster(arguments.nodes))
            complete = stack.enter_context(run_service(settings, content, console.print))
            ids = asyncio.run(store(complete, make_models(market, *sizes)))
            measure(complete, ids, arguments)


if __name__ == "__main__":
    main()
