"""Outcomes and transactions in columns, as Parquet and Arrow: the numbers that objects have."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from fastapi import FastAPI

from optimization import NO_OVERRIDES, BlockOutcome, ScaledColumn
from serve_app.api.exports.arrow_tables import (
    ARROW_STREAM,
    add_rules,
    outcomes_batch,
    transactions_batch,
)
from serve_app.api.exports.stored_tables import outcome_tables
from serve_app.api.exports.transactions import list_lines
from serve_app.api.responses import derive_trade_date
from serve_app.settings import Settings
from storage.errors import NotFoundError
from storage.rebalances import outcome_reader
from storage.rebalances.rebalance import Rebalance, RebalanceStatus, new_rebalance_id
from storage.runs.run import HoldingsRef, Run, RunStatus, Selection
from tests.support.arrow import TABLES, read_table
from tests.support.command_server import serve
from tests.support.fakes import Stored
from tests.support.samples import make_answers, make_id, make_outcome, make_rebalance

COUNT = 1_300
WITHIN_S = 30


class Book:
    """A run in the database whose rebalances are made here, without an engine."""

    def __init__(self, stored: Stored) -> None:
        self.run = Run(
            new_rebalance_id(), Selection(), NO_OVERRIDES, HoldingsRef("pages"), datetime.now(UTC)
        )
        self.parts: list[Rebalance] = []
        self._stored = stored

    async def open(self, status: RunStatus = RunStatus.COMPLETED) -> "Book":
        run = replace(self.run, status=status)
        assert await self._stored.resources.runs.add(run, "nobody", 1)
        return self

    async def add(
        self, made: BlockOutcome, first: int = 0, of: int | None = None, *, ends: bool = True
    ) -> Rebalance:
        """Store a rebalance of this block, which may be a part of more portfolios."""
        part = replace(
            make_rebalance(len(made) if of is None else of),
            run_id=self.run.run_id,
            securities=made.securities,
        )
        rebalances = self._stored.rebalances
        part = await rebalances.open(part)
        ordinals = range(first, first + len(made))
        await rebalances.record_block(part.rebalance_id, ordinals, made)
        if ends:
            at = datetime.now(UTC)
            part = await rebalances.finish(part.rebalance_id, RebalanceStatus.COMPLETED, at)
        self.parts.append(part)
        return part

    @property
    def path(self) -> str:
        return f"/api/v1/runs/{self.run.run_id}/outcomes"


@pytest.fixture
def book(stored: Stored) -> Book:
    return Book(stored)


def of_every_kind() -> BlockOutcome:
    """Block with refusals, fractions, holdings outside the model, and shares beyond int64."""
    rebalance = make_rebalance(COUNT)
    beside = {at: make_outcome(rebalance, at) for at in (0, 2, 4, 511, 600, COUNT - 1)}
    made = make_answers(rebalance, range(COUNT), beside)
    before, after = (column.units.astype(np.object_) for column in (made.before, made.after))
    before[7], after[7] = [[10**19, 5, 2**65], [10**18, 5, 0]]
    shares = [ScaledColumn(each, 2) for each in (before, after)]
    others = replace(made.others, quantities=ScaledColumn(made.others.quantities.units * 17, 1))
    return replace(made, before=shares[0], after=shares[1], others=others)


async def objects_of(stored: Stored, parts: Sequence[Rebalance], day: str | None = None) -> Any:
    """Make the table from an object for each outcome: of outcomes, or with a day of trades."""
    batches = list[Any]()
    for part in parts:
        found = await stored.rebalances.list_outcomes(part)
        if day is None:
            batches.append(outcomes_batch(part.rebalance_id, found))
        else:
            batches.append(transactions_batch([*list_lines(part.rebalance_id, found, day)]))
    made = pa.Table.from_batches(batches)
    return add_rules(made, [(None, None)] * made.num_rows)


async def table(client: httpx.AsyncClient, path: str, kind: str) -> Any:
    answer = await client.get(path, headers={"accept": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    return read_table(kind, answer.content)


def trades_of(part: Rebalance) -> str:
    return f"/api/v1/rebalance/{part.rebalance_id}/transactions"


@pytest.mark.parametrize("kind", TABLES)
async def test_tables_from_columns_are_those_of_objects(
    client: httpx.AsyncClient, stored: Stored, book: Book, settings: Settings, kind: str
) -> None:
    await book.open()
    for made in (of_every_kind(), make_answers(make_rebalance(20), range(20))):
        await book.add(made)

    found = await table(client, book.path, kind)
    trades = await table(client, trades_of(book.parts[0]), kind)

    assert found == await objects_of(stored, book.parts)
    day = derive_trade_date(book.parts[0], settings.time_zone)
    assert trades == await objects_of(stored, book.parts[:1], day)
    assert found.num_rows == COUNT + 20
    large = found["positions"].to_pylist()[7]
    assert large[2]["original_quantity"] == Decimal(2**65) / 100


@pytest.mark.parametrize("kind", TABLES)
async def test_readers_of_a_run_that_goes_on_see_the_outcomes_known_so_far(
    client: httpx.AsyncClient, stored: Stored, book: Book, kind: str
) -> None:
    await book.open(RunStatus.RUNNING)
    made = make_answers(
        make_rebalance(30), range(700, 730), {703: make_outcome(make_rebalance(1), 703)}
    )
    part = await book.add(made, 700, 5_000, ends=False)

    answer = await client.get(book.path, headers={"accept": kind})
    trades = await client.get(trades_of(part), headers={"accept": kind})

    known = [make_id("P", at) for at in range(700, 730)]
    assert read_table(kind, answer.content)["portfolio_id"].to_pylist() == known
    assert "-running." in answer.headers["content-disposition"]
    assert trades.headers["x-rebalance-status"] == "RUNNING"
    assert set(read_table(kind, trades.content)["portfolio_id"].to_pylist()) < set(known)
    assert read_table(kind, answer.content) == await objects_of(stored, [part])


@pytest.mark.parametrize("kind", TABLES)
async def test_a_run_of_nothing_has_a_table_of_nothing(
    client: httpx.AsyncClient, book: Book, kind: str
) -> None:
    await book.open()

    found = await table(client, book.path, kind)

    assert (found.num_rows, found.num_columns) == (0, 14)


@pytest.mark.parametrize("kind", TABLES)
async def test_a_run_with_refusals_alone_has_outcomes_and_no_transactions(
    client: httpx.AsyncClient, stored: Stored, book: Book, kind: str
) -> None:
    await book.open()
    rebalance = make_rebalance(20)
    refusals = {
        at: make_outcome(rebalance, at % 2 * 2 + 2) for at in range(20)
    }  # infeasible, failed
    part = await book.add(make_answers(rebalance, range(20), refusals))

    found, trades = await table(client, book.path, kind), await table(client, trades_of(part), kind)

    assert found == await objects_of(stored, [part])
    assert set(found["error_code"].to_pylist()) == {"infeasible", "prices-missing"}
    assert (trades.num_rows, trades.num_columns) == (0, 10)


@pytest.mark.parametrize("place", [3, 555])
async def test_a_number_that_does_not_fit_never_ends_in_a_table_that_looks_whole(
    app: FastAPI, book: Book, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(outcome_reader, "MAX_PAGE_ROWS", 512)
    await book.open()
    cash = np.arange(600).astype(np.object_)
    cash[place] = 10**21
    await book.add(
        replace(make_answers(make_rebalance(600), range(600)), cash_after=ScaledColumn(cash, 0))
    )

    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        asked = client.get(book.path, headers={"accept": ARROW_STREAM})
        if place < 512:  # nothing has been sent yet
            assert (await asked).status_code == 500
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await asked


async def test_a_rebalance_that_is_removed_meanwhile_ends_its_table_unfinished(
    stored: Stored, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome_reader, "MAX_PAGE_ROWS", 512)
    await book.open()
    part = await book.add(make_answers(make_rebalance(COUNT), range(COUNT)))
    pages = outcome_tables(stored.port, part)

    first = await anext(pages)
    await stored.rebalances.delete(part.rebalance_id, part.version)

    assert first.num_rows == 512
    with pytest.raises(NotFoundError, match=part.rebalance_id):
        [page async for page in pages]


async def test_a_run_that_retention_removed_has_no_table(
    client: httpx.AsyncClient, stored: Stored, book: Book
) -> None:
    await book.open()
    part = await book.add(make_answers(make_rebalance(20), range(20)))
    await stored.rebalances.forget_parts(book.run.run_id)
    await stored.resources.runs.forget(book.run.run_id)

    for path in (book.path, trades_of(part)):
        answer = await client.get(path, headers={"accept": ARROW_STREAM})
        assert answer.status_code == 404, path


class CountingStore:
    """Store that counts the pages that are read."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.pages = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def read_outcome_page(self, *arguments: Any) -> Any:
        self.pages += 1
        return await self._port.read_outcome_page(*arguments)


@pytest.fixture
async def counting(stored: Stored) -> AsyncIterator[CountingStore]:
    before = stored.port
    stored.port = CountingStore(before)  # pyright: ignore[reportAttributeAccessIssue]
    yield stored.port  # pyright: ignore[reportReturnType]
    stored.port = before


async def test_a_client_that_leaves_in_the_middle_ends_the_reading(
    counting: CountingStore, app: FastAPI, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome_reader, "MAX_PAGE_ROWS", 1)
    monkeypatch.setattr(outcome_reader, "MAX_PAGE_OBJECTS", 1)
    await book.open(RunStatus.RUNNING)
    # A portfolio that has an outcome, and very many that have none.
    await book.add(
        make_answers(make_rebalance(1), range(1), {0: make_outcome(make_rebalance(1), 0)}),
        0,
        9_000_000,
        ends=False,
    )

    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("GET", book.path, headers={"accept": ARROW_STREAM}) as answer:
            await anext(answer.aiter_raw())
        async with asyncio.timeout(WITHIN_S):
            while True:
                before = counting.pages
                await asyncio.sleep(0.2)
                if counting.pages == before:
                    break
        alive = await client.get("/health/live")

    assert 0 < counting.pages < 9_000_000
    assert alive.status_code == 200
