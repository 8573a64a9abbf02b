"""Holdings as arrays: the same as balances, whatever rows a file has and wherever they stand."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.upstream.errors import (
    HoldingsMissingError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.holdings.block import convert_to_block, fetch_block
from serve_app.upstream.holdings.parquet import open_holdings_file
from serve_app.upstream.holdings.source import Balance, BalanceOrError, HoldingsBlock
from tests.upstream.holdings.test_summaries import IDS, Books, accounting, summary

Row = tuple[str | None, str | None, Decimal | None]
P, Q, R, S = PORTFOLIOS = tuple(letter * 24 for letter in "PQRS")
A, B, C, D = SECURITIES = tuple(letter * 24 for letter in "ABCD")
TYPES = (
    pa.int16(),
    pa.int64(),
    pa.uint64(),
    pa.decimal32(6, 1),
    pa.decimal64(15, 3),
    pa.decimal128(38, 9),
    pa.decimal128(20, 0),
    pa.decimal128(12, -2),
    pa.decimal256(60, 20),
)


def amounts_of(kind: pa.DataType) -> st.SearchStrategy[Decimal]:
    """Amounts that a type can hold, many of them zero or at its limits."""
    if pa.types.is_integer(kind):
        high = 2 ** (kind.bit_width - pa.types.is_signed_integer(kind)) - 1
        low = -high - 1 if pa.types.is_signed_integer(kind) else 0
        units = st.integers(low, high) | st.sampled_from([0, 1, low, high])
        return units.map(Decimal)
    high = 10**kind.precision - 1
    units = st.integers(-high, high) | st.sampled_from([0, 10 ** max(kind.scale, 0), high, -high])
    return units.map(lambda unit_count: Decimal(f"{unit_count}E{-kind.scale}"))


@st.composite
def books(draw: st.DrawFn) -> list[tuple[pa.DataType, list[Row]]]:
    """Draw files, each of one type of quantities, with rows in any order."""
    files: list[tuple[pa.DataType, list[Row]]] = []
    for kind in draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3)):
        amount = amounts_of(kind) | st.sampled_from([Decimal(0), Decimal(100)])
        portfolio = st.sampled_from([P, P, Q, R, None])
        row = st.tuples(portfolio, st.sampled_from([*SECURITIES, None]), amount | st.none())
        several = st.lists(row, max_size=12)
        whole = several | several.map(lambda rows: [row for row in rows if row[2] is not None])
        distinct = whole.map(lambda rows: list({row[:2]: row for row in rows}.values()))
        files.append((kind, draw(whole | distinct)))
    return files


def write(directory: Path, files: Sequence[tuple[pa.DataType, list[Row]]], draw: Any) -> None:
    for number, (kind, rows) in enumerate(files):
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        is_decimal = pa.types.is_decimal(kind)
        amounts = columns[2] if is_decimal else [_whole(amount) for amount in columns[2]]
        made = pa.table(
            {
                "portfolio_id": pa.array(columns[0], pa.string()),
                "security_id": pa.array(columns[1], pa.string()),
                "quantity": pa.array(amounts, kind),
            }
        )
        size = draw(st.integers(1, 6))
        if not (is_decimal and kind.scale < 0) and draw(st.booleans()):
            pq.write_table(made, directory / f"{number}.parquet", row_group_size=size)
            continue
        if draw(st.booleans()):
            encoded = made["security_id"].dictionary_encode()
            made = made.set_column(1, "security_id", encoded)
        with pa.ipc.new_file(directory / f"{number}.arrow", made.schema) as writer:
            writer.write_table(made, max_chunksize=size)


def _whole(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount)


def read_rows(files: Sequence[tuple[pa.DataType, list[Row]]], portfolio_id: str) -> object:
    """Read the rows of one portfolio by the letter of the format."""
    rows = [row[1:] for _, rows in files for row in rows if row[0] == portfolio_id]
    held: dict[str | None, Decimal | None] = dict(rows)
    if not rows:
        return HoldingsMissingError
    if None in dict(enumerate(row[1] for row in rows)).values():
        return "a row without a quantity"
    if len(held) < len(rows):
        return "two rows of one security"
    return held.pop(None, Decimal(0)), {
        security_id: shares for security_id, shares in held.items() if shares
    }


def comparable(found: BalanceOrError) -> object:
    match found:
        case Balance():
            return found.cash, dict(found.holdings)
        case UpstreamContractError():
            return str(found).rpartition(" has ")[2]
        case _:
            return type(found)


def as_balances(block: HoldingsBlock, security_ids: Sequence[str]) -> Mapping[str, BalanceOrError]:
    held: dict[int, dict[str, Decimal]] = defaultdict(dict)
    for row, column in itertools.product(range(len(block.portfolio_ids)), range(len(security_ids))):
        if shares := block.quantities.value(row, column):
            held[row][security_ids[column]] = shares
    for at, (row, place) in enumerate(zip(block.other_rows, block.other_securities, strict=True)):
        held[int(row)][block.other_ids[place]] = block.other_quantities.value(at)
    return {
        one: block.errors.get(row) or Balance(one, block.cash.value(row), held[row])
        for row, one in enumerate(block.portfolio_ids)
    }


def check_shape(block: HoldingsBlock) -> None:
    """Check what the block promises beyond its values."""
    order = list(zip(block.other_rows.tolist(), block.other_securities.tolist(), strict=True))
    assert order == sorted(set(order))
    assert list(block.other_ids) == sorted(set(block.other_ids))
    assert {place for _, place in order} == set(range(len(block.other_ids)))
    assert all(block.other_quantities.units != 0)
    for row in block.errors:
        assert not block.cash.units[row]
        assert not block.quantities.units[row].any()
        assert row not in block.other_rows


@given(st.data())
async def test_a_block_holds_what_the_rows_of_each_portfolio_say(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("book") / uuid4().hex
    directory.mkdir()
    files = data.draw(books())
    write(directory, files, data.draw)
    source = open_holdings_file(directory.parent, directory.name)
    wanted = data.draw(st.permutations(PORTFOLIOS))[: data.draw(st.integers(1, 4))]
    dense = data.draw(st.lists(st.sampled_from(SECURITIES), unique=True))

    block = await source.read_block(wanted, dense)
    balances = await source.read_holdings(wanted)

    want = {portfolio_id: read_rows(files, portfolio_id) for portfolio_id in wanted}
    check_shape(block)
    assert {portfolio_id: comparable(found) for portfolio_id, found in balances.items()} == want
    blocks = as_balances(block, dense)
    assert {portfolio_id: comparable(found) for portfolio_id, found in blocks.items()} == want


def owns(portfolio_id: str, cash: str, **shares: str) -> Balance:
    held = {security: Decimal(count) for security, count in shares.items()}
    return Balance(portfolio_id, Decimal(cash), held)


def test_balances_of_a_service_make_the_same_block_as_rows() -> None:
    gone = UpstreamUnavailableError("accounting", "it took over 1 s", 1.0)
    found: dict[str, BalanceOrError] = {
        P: owns(P, "1000.50", **{A: "12", C: "-3", D: "7"}),
        Q: gone,
        R: owns(R, "-20.01", **{C: str(10**30)}),
        S: owns(S, "0.00"),
    }

    block = convert_to_block([S, R, Q, P], [B, A], found)

    check_shape(block)
    assert as_balances(block, [B, A]) == found
    assert block.errors == {2: gone}
    assert block.portfolio_ids == (S, R, Q, P)
    assert (block.cash.decimals, block.quantities.decimals) == (2, 0)


@pytest.mark.parametrize(
    "second",
    [owns(Q, "5.5", **{A: "1"}), owns(Q, "5.25", **{A: "1.5", D: "2"}), owns(Q, "1E+2")],
    ids=["cash", "shares", "exponent"],
)
def test_every_amount_keeps_the_digits_that_it_is_written_with(second: Balance) -> None:
    found: dict[str, BalanceOrError] = {
        P: owns(P, "1000.50", **{A: "12", B: "3.000", C: "0.25"}),
        Q: second,
    }

    block = convert_to_block([P, Q], [A, B], found)

    assert repr(as_balances(block, [A, B])) == repr(found)


async def test_a_source_whose_decimals_differ_gives_a_block() -> None:
    books = Books(dict(zip(IDS, [summary("5.5", ("A", "2")), summary("0.25")], strict=False)))

    block = await fetch_block(accounting(books), IDS[:2], ["A"], 1)

    assert [str(block.cash.value(row)) for row in (0, 1)] == ["5.5", "0.25"]
