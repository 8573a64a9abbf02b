"""Benchmark of the stores against the bare driver: medians of interleaved runs on one server.

python benchmarks/bench_storage.py [--forms 4000]
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
import tracemalloc
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import bson
import numpy as np
from bson import ObjectId
from bson.codec_options import CodecOptions
from pymongo import IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from rich.console import Console
from rich.table import Table

from optimization import NO_OVERRIDES, STATUSES, BlockOutcome, OtherHoldings, ScaledColumn
from optimization.domain.certificate import Certificate, Method, Proof
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.outcome import PortfolioOutcome, Status
from optimization.domain.portfolio import PricedTarget
from serve_app.api.exports.stored_rebalances import (
    MAX_OUTCOMES_PER_PAGE,
    ListedRebalance,
    PortfolioSlice,
    page_text,
)
from storage.embedded.server import Server, start, stop
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, connect, disconnect
from storage.mongo.decimal_codec import TYPE_REGISTRY
from storage.mongo.sorting import DESCENDING
from storage.rebalances.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import (
    build_id_range,
    build_outcome_id,
    encode_outcome,
    encode_outcome_batches,
)
from storage.rebalances.rebalance import Rebalance, new_rebalance_id
from storage.rebalances.rebalance_store import RebalanceStore
from storage.rebalances.trade_search import ALL_TRADES
from storage.schema import ensure_indexes

POSITIONS = 50
PORTFOLIOS = 20_000
ROUNDS = 7
READS = 400
COLUMNS, DOCUMENTS = "columns", "documents"
BAND = DriftBand(Decimal("0.01"), Decimal("0.02"))
RANDOM = random.Random(7)
OPTIONS: CodecOptions[Document] = CodecOptions(type_registry=TYPE_REGISTRY)


def identifier(at: int) -> str:
    return f"{at:024}"


def securities() -> tuple[PricedTarget, ...]:
    prices = [Decimal(RANDOM.randint(100, 90_000)).scaleb(-2) for _ in range(POSITIONS)]
    weight = Decimal("0.015")
    return tuple(
        PricedTarget(identifier(at), price, weight, BAND) for at, price in enumerate(prices)
    )


SECURITIES = securities()


def outcome(ordinal: int) -> PortfolioOutcome:
    before = tuple(RANDOM.randint(0, 5_000) for _ in SECURITIES)
    after = tuple(shares + RANDOM.randint(0, 50) for shares in before)
    cents = Decimal(RANDOM.randint(10**8, 10**9)).scaleb(-2)
    return PortfolioOutcome(
        identifier(ordinal),
        Status.REBALANCED,
        cents,
        Decimal("1234.56"),
        Decimal("78.90"),
        SECURITIES,
        (),
        before,
        after,
        Certificate(Proof.OPTIMAL, Method.SEPARABLE, cents / 1000, cents / 1000),
    )


def subdocuments(document_id: str, outcome: PortfolioOutcome) -> Document:
    """Build the rejected shape of an outcome: one subdocument a position, with every value."""
    positions = [
        {
            "security_id": drift.security.security_id,
            "price": drift.security.price,
            "original_quantity": Decimal(drift.original_quantity),
            "adjusted_quantity": Decimal(drift.adjusted_quantity),
            "original_position_market_value": drift.original_quantity * drift.security.price,
            "adjusted_position_market_value": drift.adjusted_quantity * drift.security.price,
            "target": drift.security.weight,
            "high_drift": drift.security.band.high,
            "low_drift": drift.security.band.low,
            "actual": drift.actual,
        }
        for drift in outcome.drifts
    ]
    amounts = {"market_value": outcome.market_value, "cash_after": outcome.cash_after}
    return {"_id": document_id, "portfolio_id": outcome.portfolio_id, **amounts} | {
        "positions": positions
    }


def a_run(portfolios: int) -> Rebalance:
    started_at = datetime.now(UTC)
    return Rebalance(
        new_rebalance_id(),
        str(ObjectId()),
        1,
        "Bench",
        SECURITIES,
        NO_OVERRIDES,
        portfolios,
        started_at,
    )


async def seconds(work: Coroutine[Any, Any, object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def insert_in_batches(
    database: AsyncDatabase[Document], name: str, documents: list[Document]
) -> None:
    collection = database[name]
    for first in range(0, len(documents), 1_000):
        await collection.insert_many(documents[first : first + 1_000], ordered=False)


async def measure_writes(database: AsyncDatabase[Document], table: Table) -> None:
    outcomes = [outcome(ordinal) for ordinal in range(PORTFOLIOS)]
    for name in ("bare", "subdocuments"):
        await database[name].create_indexes([IndexModel([("portfolio_id", 1), ("_id", -1)])])
    times: dict[str, list[float]] = {"bare": [], "record": [], "subdocuments": []}
    sizes: dict[str, float] = {}
    for _ in range(ROUNDS):
        ids = [build_outcome_id(new_rebalance_id(), ordinal) for ordinal in range(PORTFOLIOS)]
        documents = [encode_outcome(key, row) for key, row in zip(ids, outcomes, strict=True)]
        some = [subdocuments(key, row) for key, row in zip(ids[:4_000], outcomes, strict=False)]
        sizes["record"] = len(bson.encode(documents[0], codec_options=OPTIONS))
        sizes["subdocuments"] = len(bson.encode(some[0], codec_options=OPTIONS))
        times["bare"].append(await seconds(insert_in_batches(database, "bare", documents)))
        record = RebalanceStore(database).record(new_rebalance_id(), range(PORTFOLIOS), outcomes)
        times["record"].append(await seconds(record))
        slow = await seconds(insert_in_batches(database, "subdocuments", some))
        times["subdocuments"].append(slow * PORTFOLIOS / len(some))
    rate = {name: PORTFOLIOS / median(values) for name, values in times.items()}
    table.add_row(
        "results/s against a bare insert_many of the same documents",
        f"{rate['record']:,.0f} / {rate['bare']:,.0f}",
        f"{rate['record'] / rate['bare']:.2f}",
        ">= 0.8",
    )
    table.add_row(
        "results/s against one subdocument a position",
        f"{rate['record']:,.0f} / {rate['subdocuments']:,.0f}",
        f"{rate['record'] / rate['subdocuments']:.1f}",
        ">= 5",
    )
    table.add_row(
        "bytes against one subdocument a position",
        f"{sizes['record']:,.0f} / {sizes['subdocuments']:,.0f}",
        f"{sizes['record'] / sizes['subdocuments']:.3f}",
        "<= 0.1",
    )


async def measure_model_read(database: AsyncDatabase[Document], table: Table) -> None:
    targets = tuple(Target(identifier(at), Decimal("0.015"), BAND) for at in range(POSITIONS))
    models = ModelStore(database)
    added = await models.add(Model("Bench", targets, (identifier(1),)))
    model_id = str(added.model_id)
    key = {"_id": ObjectId(model_id)}
    bare: list[float] = []
    read: list[float] = []
    for _ in range(READS):
        began = time.perf_counter()
        await database["models"].find_one(key)
        between = time.perf_counter()
        await models.read(model_id)
        bare.append(between - began)
        read.append(time.perf_counter() - between)
    table.add_row(
        f"reading a model of {POSITIONS} against a bare find_one, ms",
        f"{median(read) * 1e3:.2f} / {median(bare) * 1e3:.2f}",
        f"{median(read) / median(bare):.2f}",
        "<= 1.2",
    )


async def measure_pages(database: AsyncDatabase[Document], table: Table) -> None:
    rebalances = RebalanceStore(database)
    small, large = a_run(1_000), a_run(100_000)
    for run in (small, large):
        for first in range(0, run.number_of_portfolios, 10_000):
            ordinals = range(first, min(first + 10_000, run.number_of_portfolios))
            rows = [outcome(ordinal) for ordinal in ordinals]
            await rebalances.record(run.rebalance_id, ordinals, rows)
    times: dict[str, list[float]] = {small.rebalance_id: [], large.rebalance_id: []}
    for _ in range(READS // 4):
        for run in (small, large):
            offset = RANDOM.randrange(run.number_of_portfolios - 100)
            began = time.perf_counter()
            assert len(await rebalances.list_outcomes(run, offset, 100)) == 100
            times[run.rebalance_id].append(time.perf_counter() - began)
    of_large, of_small = median(times[large.rebalance_id]), median(times[small.rebalance_id])
    table.add_row(
        "a page of 100 of 100,000 results against one of 1,000, ms",
        f"{of_large * 1e3:.2f} / {of_small * 1e3:.2f}",
        f"{of_large / of_small:.2f}",
        "<= 1.5",
    )


async def measure_listing(database: AsyncDatabase[Document], table: Table) -> None:
    """Time the JSON text of a page of GET /rebalances, as the ingress writes it."""
    rebalances = RebalanceStore(database)
    run = a_run(MAX_OUTCOMES_PER_PAGE)
    rows = [outcome(ordinal) for ordinal in range(MAX_OUTCOMES_PER_PAGE)]
    await rebalances.record(run.rebalance_id, range(MAX_OUTCOMES_PER_PAGE), rows)
    del rows

    async def write(count: int) -> int:
        portfolios = PortfolioSlice(run, 0, count, partial(rebalances.list_outcomes, run))
        return sum([len(part) async for part in page_text([ListedRebalance(portfolios)], UTC)])

    times: dict[int, list[float]] = {100: [], MAX_OUTCOMES_PER_PAGE: []}
    for _ in range(ROUNDS):
        for count, durations in times.items():
            durations.append(await seconds(write(count)))
    peaks: dict[int, float] = {}
    for count in times:
        tracemalloc.start()
        size = await write(count)
        peaks[count] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    most, few = median(times[MAX_OUTCOMES_PER_PAGE]), median(times[100])
    table.add_row(
        f"a page of 5,000 portfolios ({size / 2**20:.0f} MiB of JSON) against one of 100, ms",
        f"{most * 1e3:.0f} / {few * 1e3:.1f}",
        f"{most / few:.1f}",
        "<= 75",
    )
    table.add_row(
        "peak of memory of the first against that of the second, MiB",
        f"{peaks[MAX_OUTCOMES_PER_PAGE]:.1f} / {peaks[100]:.1f}",
        f"{peaks[MAX_OUTCOMES_PER_PAGE] / peaks[100]:.2f}",
        "<= 2",
    )


def block(first: int, count: int) -> BlockOutcome:
    """Build the outcomes of a chunk in columns, with the same numbers as ``outcome`` gives."""
    random = np.random.default_rng(first)
    before = random.integers(0, 5_000, (count, POSITIONS))
    after = before + random.integers(0, 50, (count, POSITIONS))
    amounts = [ScaledColumn(random.integers(10**9, 10**10, count), 2) for _ in range(4)]
    shares = ScaledColumn(before, 0), ScaledColumn(after, 0)
    status = np.full(count, STATUSES.index(Status.REBALANCED), dtype=np.int8)
    ids = tuple(identifier(at) for at in range(first, first + count))
    none = OtherHoldings.none()
    return BlockOutcome(SECURITIES, ids, status, *amounts, *shares, none, {})


@dataclass
class Cost:
    """Microseconds of CPU and bytes for each portfolio, and milliseconds of each kind of read."""

    ours: list[float] = field(default_factory=list[float])
    database: list[float] = field(default_factory=list[float])
    size: float = 0.0
    reads: dict[str, float] = field(default_factory=dict[str, float])


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def write_run(
    database: AsyncDatabase[Document], chunks: list[BlockOutcome], pid: int, cost: Cost, form: str
) -> Rebalance:
    """Store a run chunk by chunk, in columns or, as before, in a document a portfolio."""
    rebalances, size = RebalanceStore(database), len(chunks[0])
    rows = (
        [
            [outcome for outcome in chunk.outcomes() if isinstance(outcome, PortfolioOutcome)]
            for chunk in chunks
        ]
        if form == DOCUMENTS
        else []
    )
    part_of = str(ObjectId()) if form == COLUMNS else None  # says where to look first
    run = replace(a_run(size * len(chunks)), run_id=part_of)
    await rebalances.open(run)
    ours, theirs = time.process_time(), cpu_s(pid)
    for at, chunk in enumerate(chunks):
        ordinals = range(at * size, (at + 1) * size)
        if form == COLUMNS:
            await rebalances.record_block(run.rebalance_id, ordinals, chunk)
        else:
            for batch in encode_outcome_batches(run.rebalance_id, ordinals, rows[at]):
                await database[OUTCOMES].insert_many(batch, ordered=False)
    cost.ours.append((time.process_time() - ours) / run.number_of_portfolios * 1e6)
    cost.database.append((cpu_s(pid) - theirs) / run.number_of_portfolios * 1e6)
    return run


async def read_run(database: AsyncDatabase[Document], rebalance: Rebalance) -> dict[str, float]:
    """Time the reads of one portfolio, of a page of 100 and of every transaction."""
    rebalances, count = RebalanceStore(database), rebalance.number_of_portfolios
    single: list[float] = []
    page: list[float] = []
    for _ in range(READS // 2):
        at = RANDOM.randrange(count - 100)
        single.append(await seconds(rebalances.read_outcome(rebalance, identifier(at))))
        page.append(await seconds(rebalances.list_outcomes(rebalance, at, 100)))

    async def list_all() -> None:
        for offset in range(0, count, 1_000):
            page = await rebalances.list_outcomes(rebalance, offset, 1_000)
            assert sum(len(outcome.transactions) for outcome in page)

    return {
        "one portfolio": median(single),
        "a page of 100": median(page),
        f"every transaction of {count:,} portfolios": await seconds(list_all()),
        "the number of transactions": await seconds(
            rebalances.count_transactions(rebalance.rebalance_id)
        ),
        "the totals of all amounts": await seconds(rebalances.total_outcomes(rebalance)),
        "the totals of all trades": await seconds(rebalances.total_trades(rebalance, ALL_TRADES)),
        "the 100 largest trades": await seconds(
            rebalances.search_trades(rebalance, ALL_TRADES, (("amount", DESCENDING),), 0, 100)
        ),
    }


async def compare_forms(
    database: AsyncDatabase[Document], pid: int, table: Table, portfolios: int
) -> None:
    """Compare a run stored in columns with the same run in a document a portfolio."""
    for size in (250, 2_000):
        chunks = [block(first, size) for first in range(0, portfolios, size)]
        costs = {COLUMNS: Cost(), DOCUMENTS: Cost()}
        for _ in range(ROUNDS):
            for form, cost in costs.items():
                run = await write_run(database, chunks, pid, cost, form)
        for form, cost in costs.items():
            run = await write_run(database, chunks, pid, cost, form)
            cost.reads = await read_run(database, run)
            name = OUTCOME_CHUNKS if form == COLUMNS else OUTCOMES
            rows = await database[name].find({"_id": build_id_range(run.rebalance_id)}).to_list()
            size_bytes = sum(len(bson.encode(document, codec_options=OPTIONS)) for document in rows)
            cost.size = size_bytes / run.number_of_portfolios
        columns, documents = costs[COLUMNS], costs[DOCUMENTS]
        rows = [
            ("write, µs of our process", median(columns.ours), median(documents.ours), 0.25),
            ("write, µs of mongod", median(columns.database), median(documents.database), 0.5),
            ("bytes a portfolio", columns.size, documents.size, 0.5),
        ]
        rows += [
            (f"read {kind}, ms", columns.reads[kind] * 1e3, documents.reads[kind] * 1e3, 1.0)
            for kind in columns.reads
        ]
        for what, ours, theirs, target in rows:
            pair, ratio = f"{ours:,.2f} / {theirs:,.2f}", f"{ours / theirs:.2f}"
            table.add_row(f"chunks of {size:,}: {what}", pair, ratio, f"<= {target}")


async def measure(server: Server, table: Table, forms: int | None) -> None:
    database = connect(server.uri, "bench", timeout_ms=20_000)
    await ensure_indexes(database)
    await compare_forms(database, server.pid, table, forms or PORTFOLIOS)
    if forms is None:
        await measure_writes(database, table)
        await measure_model_read(database, table)
        await measure_pages(database, table)
        await measure_listing(database, table)
    await disconnect(database)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forms", type=int, help="compare columns with documents alone, so many")
    forms = parser.parse_args().forms
    with tempfile.TemporaryDirectory() as directory:
        server = start(Path(directory))
        table = Table("storage", "ours / theirs", "ratio", "target", title=server.engine)
        asyncio.run(measure(server, table, forms))
        stop(Path(directory))
    Console().print(table)


if __name__ == "__main__":
    main()
