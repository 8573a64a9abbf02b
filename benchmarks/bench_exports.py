"""Benchmark of the tables of a stored run: from its columns, and from an object for each outcome.

    python benchmarks/bench_exports.py [--outcomes 100000] [--positions 50] [--without-objects]

Both ways read the same rebalance from an embedded database and write the same table, in turn, in
one process: processor time holds for a busy machine too, that of the database left out. The memory
of the process is its own alone (USS), above what it was before the table, sampled by each part.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from bson import ObjectId
from rich.console import Console
from rich.table import Table

from optimization import NO_OVERRIDES, STATUSES, BlockOutcome, OtherHoldings, ScaledColumn, Status
from optimization.domain.drift_band import DriftBand
from optimization.domain.portfolio import PricedTarget
from serve_app.api.exports.arrow_tables import (
    FILE_ENDINGS,
    OUTCOMES,
    TABLE_WRITERS,
    TRANSACTIONS,
    outcomes_batch,
    transactions_batch,
)
from serve_app.api.exports.stored_tables import outcome_tables, transaction_tables
from serve_app.api.exports.transactions import list_lines
from storage.embedded.server import start, stop
from storage.mongo.connection import connect, disconnect
from storage.rebalances.rebalance import Rebalance, new_rebalance_id
from storage.rebalances.rebalance_store import RebalanceStore
from storage.schema import ensure_indexes

DAY = "2026-11-26"
BLOCK_ROWS = 2_048
OBJECT_BATCH = 100  # outcomes that a table from objects reads at once
MIB = 2**20

Pages = Callable[[RebalanceStore, Rebalance], AsyncIterator[Any]]


async def stored_run(store: RebalanceStore, outcomes: int, positions: int) -> Rebalance:
    """Store plain outcomes, a third of which trade in every security."""
    rng, band = np.random.default_rng(7), DriftBand(Decimal("0.01"), Decimal("0.01"))
    model = tuple(
        PricedTarget(
            f"{at:024}", Decimal(rng.integers(100, 90_000).item()).scaleb(-2), Decimal(0), band
        )
        for at in range(positions)
    )
    run = Rebalance(
        new_rebalance_id(),
        str(ObjectId()),
        1,
        "B",
        model,
        NO_OVERRIDES,
        outcomes,
        datetime.now(UTC),
    )
    run = await store.open(replace(run, run_id=str(ObjectId())))
    for first in range(0, outcomes, BLOCK_ROWS):
        places = np.arange(first, min(first + BLOCK_ROWS, outcomes))
        is_traded = places % 3 == 0
        before = rng.integers(0, 5_000, (len(places), positions))
        after = before + np.where(is_traded[:, None], rng.integers(1, 50, before.shape), 0)
        amounts = [ScaledColumn(rng.integers(10**4, 10**9, len(places)), 2) for _ in range(4)]
        block = BlockOutcome(
            model,
            tuple(f"{at:024}" for at in places.tolist()),
            np.full(len(places), STATUSES.index(Status.REBALANCED), np.int8),
            *amounts,
            ScaledColumn(before, 0),
            ScaledColumn(after, 0),
            OtherHoldings.none(),
            {},
        )
        await store.record_block(run.rebalance_id, range(first, first + len(places)), block)
    return run


async def outcomes_from_objects(store: RebalanceStore, rebalance: Rebalance) -> AsyncIterator[Any]:
    for first in range(0, rebalance.number_of_portfolios, OBJECT_BATCH):
        outcomes = await store.list_outcomes(rebalance, first, OBJECT_BATCH)
        yield pa.Table.from_batches([outcomes_batch(rebalance.rebalance_id, outcomes)])


async def trades_from_objects(store: RebalanceStore, rebalance: Rebalance) -> AsyncIterator[Any]:
    for first in range(0, rebalance.number_of_portfolios, OBJECT_BATCH):
        outcomes = await store.list_outcomes(rebalance, first, OBJECT_BATCH)
        lines = [*list_lines(rebalance.rebalance_id, outcomes, DAY)]
        yield pa.Table.from_batches([transactions_batch(lines)])


async def trades_from_columns(store: Any, rebalance: Rebalance) -> AsyncIterator[Any]:
    first = await store.read_outcome_page(rebalance, 0)
    async for page in transaction_tables(store, rebalance, first, DAY):
        yield page


def outcomes_from_columns(store: Any, rebalance: Rebalance) -> AsyncIterator[Any]:
    return outcome_tables(store, rebalance)


def own_memory() -> int:
    """Read the bytes of memory that belong to this process alone."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


async def measure(
    kind: str, schema: Any, pages: Pages, store: RebalanceStore, rebalance: Rebalance
) -> tuple[float, float, int, int]:
    """Write one table; return seconds of this process, of the wall, bytes, and memory above."""
    before, size, most = own_memory(), 0, 0
    spent_s, begin = time.process_time(), time.perf_counter()
    async for part in TABLE_WRITERS[kind](schema, pages(store, rebalance)):
        size += len(part)
        most = max(most, own_memory() - before) if part else most
    return time.process_time() - spent_s, time.perf_counter() - begin, size, most


async def compare(uri: str, outcomes: int, positions: int, left_out: str) -> Table:
    """Write every table both ways, in turn."""
    database = connect(uri, "exports", timeout_ms=60_000)
    await ensure_indexes(database)
    store = RebalanceStore(database)
    run = await stored_run(store, outcomes, positions)
    table = Table(title=f"{outcomes:,} outcomes of {positions} positions")
    for head in (
        "table",
        "form",
        "from",
        "processor, µs an outcome",
        "outcomes/s",
        "MB",
        "USS above, MiB",
    ):
        table.add_column(head, justify="left" if head in {"table", "form", "from"} else "right")
    ways: dict[str, tuple[Any, dict[str, Pages]]] = {
        "outcomes": (
            OUTCOMES,
            {"objects": outcomes_from_objects, "columns": outcomes_from_columns},
        ),
        "transactions": (
            TRANSACTIONS,
            {"objects": trades_from_objects, "columns": trades_from_columns},
        ),
    }
    for name, (schema, pages) in ways.items():
        for kind, ending in FILE_ENDINGS.items():
            for source, read in pages.items():
                if source == left_out:
                    continue
                spent_s, whole_s, size, most = await measure(kind, schema, read, store, run)
                cost, rate = spent_s / outcomes * 1e6, outcomes / whole_s
                figures = f"{cost:,.1f}", f"{rate:,.0f}", f"{size / 1e6:,.0f}", f"{most / MIB:,.0f}"
                table.add_row(name, ending, source, *figures)
    await disconnect(database)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outcomes", type=int, default=100_000)
    parser.add_argument("--positions", type=int, default=50)
    parser.add_argument("--without-objects", action="store_true", help="for a million outcomes")
    arguments = parser.parse_args()
    left_out = "objects" if arguments.without_objects else ""
    sizes = arguments.outcomes, arguments.positions
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="order-generation-") as directory:
        uri = start(Path(directory)).uri
        try:
            console.print(asyncio.run(compare(uri, *sizes, left_out)))
        finally:
            stop(Path(directory))
    console.print(f"load of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
