"""Holdings from files: the values of rows, and refused files."""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from serve_app.chunks.fetch import find_source, identify_holdings
from serve_app.resources import FILE
from serve_app.settings import Settings, read_settings
from serve_app.upstream.errors import (
    HoldingsFileError,
    HoldingsMissingError,
    UpstreamContractError,
)
from serve_app.upstream.holdings.files import fingerprint
from serve_app.upstream.holdings.parquet import (
    MAX_ROWS_PER_BATCH,
    HoldingsFile,
    open_holdings_file,
)
from serve_app.upstream.holdings.source import Balance
from storage.runs.run import HoldingsRef

Row = tuple[str, str | None, Any]
P, Q, R = "P" * 24, "Q" * 24, "R" * 24
A, B = "A" * 24, "B" * 24
ROWS: tuple[Row, ...] = (
    (P, None, "1000.50"),
    (P, A, "12"),
    (P, B, "-3.125"),
    (Q, A, "7"),
    (R, None, "-20.01"),
)
KINDS = ("book.parquet", "book.arrow", "book.feather")


def table(rows: Sequence[Row], quantity: pa.DataType | None = None) -> pa.Table:
    ids, securities, amounts = zip(*rows, strict=True)
    exact = [None if amount is None else Decimal(amount) for amount in amounts]
    return pa.table(
        {
            "portfolio_id": pa.array(ids, pa.string()),
            "security_id": pa.array(securities, pa.string()),
            "quantity": pa.array(exact, pa.decimal128(38, 9)).cast(
                quantity or pa.decimal128(38, 9)
            ),
        }
    )


def write_file(path: Path, made: pa.Table, **options: Any) -> HoldingsFile:
    if path.suffix == ".parquet":
        pq.write_table(made, path, **options)
    else:
        feather.write_feather(made, str(path))
    return open_holdings_file(path.parent, path.name)


def in_directory(directory: Path) -> Settings:
    return read_settings({"holdings_directory": directory})


@pytest.mark.parametrize("name", KINDS)
async def test_parquet_and_arrow_give_cash_and_shares_to_the_last_digit(
    tmp_path: Path, name: str
) -> None:
    found = await write_file(tmp_path / name, table(ROWS)).read_holdings([R, P, Q])

    assert found == {
        P: Balance(P, Decimal("1000.50"), {A: Decimal(12), B: Decimal("-3.125")}),
        Q: Balance(Q, Decimal(0), {A: Decimal(7)}),  # no row of cash
        R: Balance(R, Decimal("-20.01"), {}),
    }


async def test_a_directory_of_files_is_one_book(tmp_path: Path) -> None:
    book = tmp_path / "2026-11-23"
    book.mkdir()
    write_file(book / "1.parquet", table(ROWS[:3]))
    write_file(book / "2.parquet", table(ROWS[3:]))

    found = await open_holdings_file(book.parent, book.name).read_holdings([P, R])

    assert found[P] == Balance(P, Decimal("1000.50"), {A: Decimal(12), B: Decimal("-3.125")})
    assert found[R] == Balance(R, Decimal("-20.01"), {})


async def test_a_portfolio_without_a_row_has_no_balances(tmp_path: Path) -> None:
    found = await write_file(tmp_path / "book.parquet", table(ROWS)).read_holdings(["X" * 24, P])
    assert isinstance(found["X" * 24], HoldingsMissingError)
    assert isinstance(found[P], Balance)


async def test_a_file_without_any_row_leaves_everyone_without_balances(tmp_path: Path) -> None:
    empty = table(ROWS).slice(0, 0)
    found = await write_file(tmp_path / "book.parquet", empty).read_holdings([P, Q])
    assert all(isinstance(balance, HoldingsMissingError) for balance in found.values())


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ((P, A, "1"), "two rows of one security"),
        ((P, None, "1"), "two rows of one security"),
        ((P, "C" * 24, None), "a row without a quantity"),
    ],
)
async def test_rows_that_contradict_fail_their_portfolio_alone(
    tmp_path: Path, row: Row, what: str
) -> None:
    found = await write_file(tmp_path / "book.parquet", table([*ROWS, row])).read_holdings([P, Q])
    assert isinstance(found[P], UpstreamContractError)
    assert what in str(found[P])
    assert isinstance(found[Q], Balance)


async def test_a_holding_of_nothing_is_none(tmp_path: Path) -> None:
    found = await write_file(
        tmp_path / "book.parquet", table([(P, A, "0"), (P, B, "1")])
    ).read_holdings([P])
    assert found[P] == Balance(P, Decimal(0), {B: Decimal(1)})


async def test_whole_shares_may_be_integers(tmp_path: Path) -> None:
    whole = table([(P, None, "1000"), (P, A, "12")], pa.int64())
    found = await write_file(tmp_path / "book.parquet", whole).read_holdings([P])
    assert found[P] == Balance(P, Decimal(1000), {A: Decimal(12)})


async def test_a_quantity_of_38_digits_is_read_as_it_stands(tmp_path: Path) -> None:
    amount = "12345678901234567890123456789.123456789"
    found = await write_file(tmp_path / "book.parquet", table([(P, None, amount)])).read_holdings(
        [P]
    )
    assert found[P] == Balance(P, Decimal(amount), {})


@pytest.mark.parametrize("name", ["book.parquet", "book.arrow"])
async def test_rows_in_any_order_and_any_groups_are_read_the_same(
    tmp_path: Path, name: str
) -> None:
    mixed = table([ROWS[at] for at in (3, 1, 4, 0, 2)])
    options = {"row_group_size": 2} if name.endswith("parquet") else {}
    found = await write_file(tmp_path / name, mixed, **options).read_holdings([P, Q, R])
    sorted_file = write_file(tmp_path / f"sorted-{name}", table(ROWS))
    assert found == await sorted_file.read_holdings([P, Q, R])


async def test_a_book_of_many_row_groups_gives_each_portfolio_its_own_rows(tmp_path: Path) -> None:
    ids = [f"{number:024}" for number in range(300)]
    rows: list[Row] = [(one, None, str(number)) for number, one in enumerate(ids)]
    file = write_file(tmp_path / "book.parquet", table(rows), row_group_size=7)
    for first in range(0, 300, 60):
        wanted = ids[first : first + 60]
        found = await file.read_holdings(wanted)
        assert [found[portfolio_id] for portfolio_id in wanted] == [
            Balance(portfolio_id, Decimal(int(portfolio_id)), {}) for portfolio_id in wanted
        ]


async def test_row_groups_without_statistics_are_read_the_same(tmp_path: Path) -> None:
    plain = write_file(tmp_path / "plain.parquet", table(ROWS), row_group_size=2)
    bare = table(ROWS)
    file = write_file(tmp_path / "bare.parquet", bare, row_group_size=2, write_statistics=False)
    assert await file.read_holdings([P, Q, R]) == await plain.read_holdings([P, Q, R])


async def test_one_record_batch_may_be_a_whole_book(tmp_path: Path) -> None:
    ids = [f"{number:024}" for number in range(MAX_ROWS_PER_BATCH // 2 + 10)]
    columns = {
        "portfolio_id": pa.array(ids * 2).sort(),
        "security_id": pa.array([None, A] * len(ids), pa.string()),
        "quantity": pa.array(range(2 * len(ids))),
    }
    with pa.ipc.new_file(tmp_path / "book.arrow", pa.table(columns).schema) as writer:
        writer.write_batch(pa.record_batch(columns))
    file = open_holdings_file(tmp_path, "book.arrow")
    wanted = [ids[0], ids[MAX_ROWS_PER_BATCH // 2 - 1], ids[MAX_ROWS_PER_BATCH // 2], ids[-1]]
    found = await file.read_holdings(wanted)
    assert found == {
        portfolio_id: Balance(
            portfolio_id, Decimal(2 * int(portfolio_id)), {A: Decimal(2 * int(portfolio_id) + 1)}
        )
        for portfolio_id in wanted
    }


async def test_files_that_are_being_written_are_no_part_of_a_directory(tmp_path: Path) -> None:
    for name in ("book.parquet", "_book.parquet", ".book.parquet"):
        write_file(tmp_path / name, table(ROWS))
    found = await open_holdings_file(tmp_path.parent, tmp_path.name).read_holdings([P])
    assert found[P] == Balance(P, Decimal("1000.50"), {A: Decimal(12), B: Decimal("-3.125")})


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (table(ROWS, pa.float64()), "quantities of double"),
        (table(ROWS).set_column(0, "portfolio_id", pa.array(range(5))), "portfolio_id of int64"),
        (table(ROWS).drop_columns(["security_id"]), "no column security_id"),
        (table(ROWS).rename_columns(["portfolio", "security_id", "quantity"]), "portfolio_id"),
        (table(ROWS).set_column(2, "quantity", pa.array(["1"] * 5)), "quantities of string"),
    ],
)
def test_a_table_that_is_not_of_the_format_is_refused_by_what_is_wrong(
    tmp_path: Path, made: pa.Table, rule: str
) -> None:
    with pytest.raises(HoldingsFileError, match=rule):
        write_file(tmp_path / "book.parquet", made)


@pytest.mark.parametrize("name", ["book.parquet", "book.arrow"])
def test_something_else_under_the_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("portfolio_id,security_id,quantity\n")
    with pytest.raises(HoldingsFileError, match=r"is not an? (Parquet|Arrow) file"):
        open_holdings_file(tmp_path, name)


def test_a_file_that_is_not_there_is_named_without_its_directory(tmp_path: Path) -> None:
    with pytest.raises(HoldingsFileError, match=r"none\.parquet is not in") as refused:
        identify_holdings(in_directory(tmp_path), HoldingsRef(FILE, "none.parquet"))
    assert str(tmp_path) not in str(refused.value)


def test_without_a_directory_no_file_is_read() -> None:
    with pytest.raises(HoldingsFileError, match="HOLDINGS_DIRECTORY is not set"):
        identify_holdings(read_settings({}), HoldingsRef(FILE, "book.parquet"))


@pytest.mark.parametrize("name", ["../book.parquet", "a/../../book.parquet", "link.parquet"])
def test_a_name_that_leads_out_of_the_directory_is_refused(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "holdings"
    directory.mkdir()
    write_file(tmp_path / "book.parquet", table(ROWS))
    (directory / "link.parquet").symlink_to(tmp_path / "book.parquet")
    with pytest.raises(HoldingsFileError, match="outside HOLDINGS_DIRECTORY"):
        identify_holdings(in_directory(directory), HoldingsRef(FILE, name))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))  # such a name has at most 107 characters


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def elsewhere(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def make_nested(path: Path) -> None:
    (path / "deeper").mkdir(parents=True)
    write_file(path / "deeper" / "part.parquet", table(ROWS))


@pytest.mark.parametrize("make", [fifo, make_socket, endless, elsewhere, circle, make_nested])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in the directory of a book"])
def test_what_is_no_regular_file_is_refused_by_its_name_and_never_opened(
    tmp_path: Path, make: Callable[[Path], None], *, inside: bool
) -> None:
    write_file(tmp_path / "good.parquet", table(ROWS))
    make(tmp_path / "odd.parquet")
    settings, name = in_directory(tmp_path), "odd.parquet"
    if inside:
        settings, name = in_directory(tmp_path.parent), f"{tmp_path.name}/odd.parquet"
    book = HoldingsRef(FILE, tmp_path.name if inside else name)

    with pytest.raises(HoldingsFileError) as refused:
        identify_holdings(settings, book)

    assert refused.value.file.startswith(name)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "book.parquet/part"])
def test_a_name_that_no_file_has_is_refused(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / "book.parquet", table(ROWS))
    with pytest.raises(HoldingsFileError):
        identify_holdings(in_directory(tmp_path), HoldingsRef(FILE, name))


def test_a_link_within_the_directory_is_followed(tmp_path: Path) -> None:
    write_file(tmp_path / "2026-11-23.parquet", table(ROWS))
    (tmp_path / "newest.parquet").symlink_to("2026-11-23.parquet")
    begun = identify_holdings(in_directory(tmp_path), HoldingsRef(FILE, "newest.parquet"))
    nothing: Any = None
    assert isinstance(find_source(in_directory(tmp_path), nothing, begun), HoldingsFile)


def test_a_directory_without_a_file_is_no_book(tmp_path: Path) -> None:
    with pytest.raises(HoldingsFileError, match="without a file"):
        identify_holdings(in_directory(tmp_path.parent), HoldingsRef(FILE, tmp_path.name))


async def test_a_file_that_changed_since_the_run_began_is_not_read_on(tmp_path: Path) -> None:
    settings: Settings = in_directory(tmp_path)
    resources: Any = None
    write_file(tmp_path / "book.parquet", table(ROWS))
    begun = identify_holdings(settings, HoldingsRef(FILE, "book.parquet"))
    assert isinstance(find_source(settings, resources, begun), HoldingsFile)

    write_file(tmp_path / "book.parquet", table([*ROWS, ("X" * 24, None, "5")]))

    with pytest.raises(HoldingsFileError, match="was changed while the run was going on"):
        find_source(settings, resources, begun)
    again = identify_holdings(settings, replace(begun, fingerprint=None))
    found = await find_source(settings, resources, again).read_holdings(["X" * 24])
    assert found["X" * 24] == Balance("X" * 24, Decimal(5), {})


def test_a_file_that_is_added_to_a_directory_changes_its_fingerprint(tmp_path: Path) -> None:
    write_file(tmp_path / "1.parquet", table(ROWS[:3]))
    before = fingerprint(tmp_path.parent, tmp_path.name)
    write_file(tmp_path / "2.parquet", table(ROWS[3:]))
    assert fingerprint(tmp_path.parent, tmp_path.name) != before
