"""Tables in the forms of Arrow: exact, a few pages in memory, never broken off unnoticed."""

import asyncio
import gc
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from optimization import Edge, OutsideBand
from serve_app.api.exports import arrow_tables
from serve_app.api.exports.arrow_tables import (
    OUTCOMES,
    PARQUET,
    TABLE_WRITERS,
    outcomes_batch,
    parquet_file,
)
from tests.support.arrow import TABLES, read_table
from tests.support.samples import make_id, make_outcome, make_outcomes, make_rebalance

FAILED, INFEASIBLE = 4, 2


async def pages(count: int, rows: int) -> AsyncIterator[Any]:
    rebalance = make_rebalance(count * rows)
    for page in range(count):
        chosen = range(page * rows, (page + 1) * rows)
        batch = outcomes_batch(rebalance.rebalance_id, make_outcomes(rebalance, chosen))
        yield pa.Table.from_batches([batch])


def test_an_outcome_is_a_row_with_its_positions() -> None:
    rebalance = make_rebalance(5)

    rows = outcomes_batch(rebalance.rebalance_id, make_outcomes(rebalance)).to_pylist()

    first, refused, failed = rows[0], rows[INFEASIBLE], rows[FAILED]
    assert first["market_value"] == Decimal("1000000.123456789012345678")
    assert [each["original_quantity"] for each in first["positions"]] == [
        Decimal("10.5"),
        -3,
        2**40,
    ]
    assert [each["price"] for each in first["positions"]] == [
        security.price for security in rebalance.securities
    ]
    assert (refused["status"], refused["error_code"]) == ("INFEASIBLE", "infeasible")
    assert refused["error_detail"] == "no whole lot"
    assert (failed["portfolio_id"], failed["market_value"], failed["positions"]) == (
        make_id("P", FAILED),
        None,
        [],
    )


@pytest.mark.parametrize(
    ("outside", "shown"),
    [
        ("120.00", "120"),
        ("0.6666666666666666666667", "0.666666666666666667"),  # of a third, in units of 10 decimals
    ],
)
def test_a_security_outside_its_band_is_in_its_row(outside: str, shown: str) -> None:
    rebalance = make_rebalance(1)
    line = OutsideBand(make_id("S", 1), Edge.ABOVE, Decimal(outside), ("direction",))
    one = make_outcome(rebalance, 0)
    made = type(one)(
        **{name: getattr(one, name) for name in one.__slots__} | {"outside_band": (line,)}
    )

    (row,) = outcomes_batch(rebalance.rebalance_id, [made]).to_pylist()

    assert row["outside_band"] == [
        {
            "security_id": make_id("S", 1),
            "side": "ABOVE",
            "outside": Decimal(shown),
            "held_by": ["direction"],
        }
    ]


def test_a_number_that_would_be_rounded_is_no_number_of_a_table() -> None:
    rebalance = make_rebalance(1)
    one = make_outcome(rebalance, 0)
    cash = Decimal("0.1234567890123456789")
    made = type(one)(**{name: getattr(one, name) for name in one.__slots__} | {"cash_after": cash})

    with pytest.raises(pa.ArrowInvalid, match="data loss"):
        outcomes_batch(rebalance.rebalance_id, [made])


@pytest.mark.parametrize("kind", TABLES)
async def test_pages_are_written_as_they_come(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_tables, "ROW_GROUP_ROWS", 100)

    parts = [part async for part in TABLE_WRITERS[kind](OUTCOMES, pages(7, 40))]

    table = read_table(kind, b"".join(parts))
    expected = [make_id("P", at) for at in range(280)]
    assert table["portfolio_id"].to_pylist() == expected
    assert sum(map(bool, parts)) >= 3


async def test_a_parquet_file_has_row_groups_of_many_pages_and_ends_with_its_footer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrow_tables, "ROW_GROUP_ROWS", 100)

    parts = [part async for part in parquet_file(OUTCOMES, pages(7, 40))]

    file = parquet.ParquetFile(pa.BufferReader(b"".join(parts)))
    groups = [file.metadata.row_group(at).num_rows for at in range(file.metadata.num_row_groups)]
    assert groups == [120, 120, 40]
    with pytest.raises(pa.ArrowInvalid):
        read_table(PARQUET, b"".join(parts[:-1]))


async def test_a_row_group_of_wide_rows_ends_at_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    page = await anext(pages(1, 40))
    monkeypatch.setattr(arrow_tables, "ROW_GROUP_BYTES", page.nbytes * 3 // 2)

    body = b"".join([part async for part in parquet_file(OUTCOMES, pages(5, 40))])

    file = parquet.ParquetFile(pa.BufferReader(body))
    groups = [file.metadata.row_group(at).num_rows for at in range(file.metadata.num_row_groups)]
    assert groups == [80, 80, 40]


@pytest.mark.parametrize("kind", TABLES)
async def test_pages_without_rows_leave_no_trace(kind: str) -> None:
    async def some_empty() -> AsyncIterator[Any]:
        async for page in pages(2, 3):
            yield page.slice(0, 0)
            yield page
            yield page.slice(0, 0)

    body = b"".join([part async for part in TABLE_WRITERS[kind](OUTCOMES, some_empty())])

    plain = b"".join([part async for part in TABLE_WRITERS[kind](OUTCOMES, pages(2, 3))])
    assert read_table(kind, body)["portfolio_id"] == read_table(kind, plain)["portfolio_id"]
    assert len(body) == len(plain)


@pytest.mark.parametrize("kind", TABLES)
async def test_a_caller_that_leaves_in_the_middle_ends_the_reading(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_tables, "ROW_GROUP_ROWS", 10)
    read, has_left = list[int](), asyncio.Event()

    async def watched() -> AsyncIterator[Any]:
        try:
            async for page in pages(1_000, 20):
                read.append(page.num_rows)
                yield page
        finally:
            has_left.set()

    async def receive() -> None:
        async for _ in TABLE_WRITERS[kind](OUTCOMES, watched()):
            received.set()

    received = asyncio.Event()
    caller = asyncio.create_task(receive())
    await received.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    del caller
    gc.collect()
    async with asyncio.timeout(10):
        await has_left.wait()
    assert len(read) < 1_000
