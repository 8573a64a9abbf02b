"""Documents of columns: what they hold, how they are split, and that blocks read back equal."""

from decimal import Decimal
from typing import Any

import bson
import numpy as np
import pytest
from bson.codec_options import CodecOptions
from bson.decimal128 import Decimal128
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import (
    BESIDE,
    STATUSES,
    BindingRows,
    BlockOutcome,
    Method,
    OtherHoldings,
    PricedTarget,
    ScaledColumn,
    Status,
)
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import TYPE_REGISTRY
from storage.rebalances import outcome_columns
from storage.rebalances.outcome_columns import (
    count_rows_per_document,
    decode_block,
    decode_statuses,
    encode_rows,
)
from storage.rebalances.rebalance import new_rebalance_id
from tests.support.samples import (
    BAND,
    make_answers,
    make_id,
    make_outcome,
    make_rebalance,
    make_securities,
)

OPTIONS: CodecOptions[Document] = CodecOptions(type_registry=TYPE_REGISTRY)
MAX_DOCUMENT_BYTES = 16 * 2**20
RID = new_rebalance_id()
NAMES = "band.A", "band.B", "cash_floor", "scope"


def read_back(document: Document) -> Document:
    """Return the document as a reader of the database gets it."""
    return bson.decode(bson.encode(document, codec_options=OPTIONS), codec_options=OPTIONS)


def documents_of(made: BlockOutcome, first: int = 0) -> list[Document]:
    step = count_rows_per_document(len(made.securities))
    starts = range(0, len(made), step)
    return [
        read_back(encode_rows(RID, first + start, made, slice(start, start + step)))
        for start in starts
    ]


def with_columns(made: BlockOutcome, **columns: Any) -> BlockOutcome:
    names = (*BlockOutcome.__dataclass_fields__,)
    return BlockOutcome(**{name: getattr(made, name) for name in names} | columns)


def integers(shape: tuple[int, ...], largest: int) -> st.SearchStrategy[Any]:
    dtype = np.int64 if largest < 2**63 else np.object_
    size = int(np.prod(shape))
    numbers = st.lists(st.integers(-largest, largest), min_size=size, max_size=size)
    return numbers.map(lambda units: np.array(units, dtype=dtype).reshape(shape))


@st.composite
def columns(draw: st.DrawFn, shape: tuple[int, ...], decimals: int | None = None) -> ScaledColumn:
    largest = draw(st.sampled_from([9, 2**31, 2**61, 10**34 - 1, 10**36]))
    scale = draw(st.integers(0, 20)) if decimals is None else decimals
    units = draw(integers(shape, largest))
    if not draw(st.booleans()):
        return ScaledColumn(units, scale)
    # Fewer digits than the scale, where the last ones are 0.
    fewer = st.lists(st.integers(0, scale + 2), min_size=units.size, max_size=units.size)
    dropped = np.array(draw(fewer), np.int32).reshape(shape)
    power = np.array([10**digits for digits in dropped.ravel().tolist()], np.object_).reshape(shape)
    is_exact = units.astype(np.object_) % power == 0
    return ScaledColumn(units, scale, scale - np.where(is_exact, dropped, 0))


@st.composite
def blocks(draw: st.DrawFn) -> BlockOutcome:
    count, model = draw(st.integers(1, 6)), make_securities(draw(st.integers(1, 3)))
    shape, scale = (count, len(model)), draw(st.integers(0, 9))
    ids = tuple(make_id("X", at) for at in range(3))
    digits = draw(st.integers(0, 18))
    price = st.decimals("0.01" if digits > 1 else 1, 10**9, places=digits)
    prices = draw(st.lists(price, min_size=3, max_size=3).map(tuple))
    held = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, 2))).map(sorted))
    rows, places = (np.array([holding[at] for holding in held], dtype=np.int32) for at in (0, 1))
    quantities = draw(columns((len(held),)))
    quantities.units[quantities.units == 0] = 1
    status = draw(st.lists(st.sampled_from([BESIDE, 0, 1]), min_size=count, max_size=count))
    bound = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, 3))).map(sorted))
    at, which = (np.array([binding[part] for binding in bound], dtype=np.int32) for part in (0, 1))
    return BlockOutcome(
        model,
        tuple(make_id("P", at) for at in range(count)),
        np.array(status, dtype=np.int8),
        *(draw(columns((count,))) for _ in range(4)),
        draw(columns(shape, scale)),
        draw(columns(shape, scale)),
        OtherHoldings(rows, places, quantities, ids, prices),
        {row: make_outcome(make_rebalance(), row) for row in range(count) if status[row] == BESIDE},
        binding=BindingRows(at, which, draw(columns((len(bound),))), NAMES),
        method=draw(methods(count)),
    )


def methods(count: int) -> st.SearchStrategy[Any]:
    places = st.lists(st.sampled_from([0, 1]), min_size=count, max_size=count)
    return (places | st.just([])).map(lambda drawn: np.array(drawn, dtype=np.int8))


def is_wide(made: BlockOutcome, row: int) -> bool:
    """Return whether a number of the row has more than 34 digits."""
    columns = (made.market_value, made.cash_before, made.cash_after, made.objective)
    numbers = [int(column.units[row]) for column in columns]
    numbers += [*made.before.units[row].tolist(), *made.after.units[row].tolist()]
    numbers += made.others.quantities.units[made.others.rows == row].tolist()
    numbers += made.binding.slacks.units[made.binding.rows == row].tolist()
    return any(abs(number) >= 10**34 for number in numbers)


@settings(max_examples=200, deadline=None)
@given(blocks())
def test_every_row_reads_back_with_the_same_digits_or_is_beside(made: BlockOutcome) -> None:
    (document,) = documents_of(made, first=7)

    first, read = decode_block(document, made.securities)

    assert first == 7
    assert read.portfolio_ids == made.portfolio_ids
    traded, counts = 0, dict.fromkeys(STATUSES, 0)
    for row in range(len(made)):
        if made.status[row] == BESIDE or is_wide(made, row):
            assert read.status[row] == BESIDE
            assert read.transactions[row] == 0
        else:
            assert repr(read.outcome(row)) == repr(made.outcome(row))
            traded += int(made.transactions[row])
            counts[STATUSES[made.status[row]]] += 1
    assert document["transactions"] == traded
    assert document["counts"] == {status.value: n for status, n in counts.items() if n}


def test_a_document_without_methods_has_separable_optima_alone() -> None:
    made = with_columns(
        make_answers(make_rebalance(), range(3)), method=np.array([0, 1, 0], dtype=np.int8)
    )
    (document,) = documents_of(made)
    old = {name: value for name, value in document.items() if name != "method"}

    assert document["method"]["values"] == ["SEPARABLE", "COVER", "MILP"]
    assert decode_block(document, made.securities)[1].count_methods() == {
        Method.SEPARABLE: 2,
        Method.COVER: 1,
    }
    assert decode_block(old, made.securities)[1].count_methods() == {Method.SEPARABLE: 3}
    (plain,) = documents_of(with_columns(made, method=np.zeros(3, dtype=np.int8)))
    assert "method" not in plain


@pytest.mark.parametrize(
    ("largest", "dtype", "width"),
    [
        (2**15 - 1, "<i2", 2),
        (2**15, "<i4", 4),
        (2**31 - 1, "<i4", 4),
        (2**31, "<i8", 8),
        (2**63 - 1, "<i8", 8),
        (2**63, "decimal128", 16),
    ],
)
def test_a_column_has_the_smallest_type_that_its_numbers_fit(
    largest: int, dtype: str, width: int
) -> None:
    made = make_answers(make_rebalance(3), range(3))
    units = np.array([0, -largest, largest], dtype=np.object_ if width == 16 else np.int64)
    made = with_columns(made, cash_after=ScaledColumn(units, 2))

    (document,) = documents_of(made)

    column = document["cash_after"]
    assert (column["dtype"], column["shape"], column["decimals"]) == (dtype, [3], 2)
    assert len(column["data"]) == 3 * width
    _, read = decode_block(document, made.securities)
    assert read.cash_after.units.tolist() == units.tolist()


@pytest.mark.parametrize(
    ("large", "dtype", "places"),
    [
        ({3: 2**15}, "<i2", [3]),
        ({0: -(2**15) - 1, 40: 2**63 - 1}, "<i2", [0, 40]),
        (dict.fromkeys(range(7), 2**20), "<i4", None),
        (dict.fromkeys(range(7), 2**20) | {9: -(2**63)}, "<i4", [9]),
        (dict.fromkeys(range(7), 2**40), "<i8", None),
        ({3: 2**63}, "decimal128", None),
    ],
)
def test_a_few_large_numbers_are_exceptions_of_a_narrow_column(
    large: dict[int, int], dtype: str, places: list[int] | None
) -> None:
    made = make_answers(make_rebalance(50), range(50))
    units = np.array([large.get(at, at) for at in range(50)], dtype=np.object_)
    made = with_columns(made, cash_after=ScaledColumn(units, 2))

    (document,) = documents_of(made)

    column = document["cash_after"]
    assert column["dtype"] == dtype
    found = column.get("exceptions")
    assert (found and np.frombuffer(found["places"], "<i4").tolist()) == places
    _, read = decode_block(document, made.securities)
    assert read.cash_after.units.tolist() == units.tolist()


def test_a_decimal128_is_one_of_the_database_and_has_its_scale_in_itself() -> None:
    values = [Decimal("-12345678901234567890.25"), Decimal("0.00"), Decimal(10**30)]
    made = with_columns(
        make_answers(make_rebalance(3), range(3)), market_value=ScaledColumn.from_numbers(values)
    )

    (document,) = documents_of(made)

    data = document["market_value"]["data"]
    read = [Decimal128.from_bid(data[at : at + 16]).to_decimal() for at in range(0, 48, 16)]
    assert read == values


def test_a_row_beyond_34_digits_is_beside_and_its_neighbours_are_not() -> None:
    made = make_answers(make_rebalance(4), range(4))
    units = made.before.units.astype(np.object_)
    units[1, 2] = 10**34
    made = with_columns(made, before=ScaledColumn(units, 0))

    (document,) = documents_of(made)

    assert [status == BESIDE for status in decode_statuses(document)] == [False, True, False, False]
    assert document["before"]["dtype"] == "<i2"


def test_rows_with_very_many_other_holdings_are_beside_so_that_a_document_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outcome_columns, "MAX_OTHERS", 1)
    made = make_answers(make_rebalance(12), range(12))
    holders = made.others.rows.tolist()
    assert len(holders) > 1

    (document,) = documents_of(made)

    beside = np.flatnonzero(decode_statuses(document) == BESIDE).tolist()
    assert beside == holders[1:]
    assert document["others"]["ids"] == list(made.others.ids)


def test_rows_with_very_many_binding_constraints_are_beside_so_that_a_document_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outcome_columns, "MAX_BINDING", 3)
    rows = np.array([0, 0, 1, 3, 3, 3], dtype=np.int32)
    slacks = ScaledColumn(np.arange(6), 2)
    binding = BindingRows(rows, np.arange(6, dtype=np.int32), slacks, tuple("ABCDEF"))

    (document,) = documents_of(
        with_columns(make_answers(make_rebalance(4), range(4)), binding=binding)
    )

    assert [status == BESIDE for status in decode_statuses(document)] == [False, False, False, True]
    assert document["binding"]["names"] == ["A", "B", "C"]


def test_a_document_has_the_other_securities_that_its_rows_hold_and_no_more() -> None:
    made = make_answers(make_rebalance(2_000), range(2_000))
    ids = tuple(make_id("X", at) for at in range(2_000))
    rows = np.arange(2_000, dtype=np.int32)
    held = ScaledColumn(np.ones(2_000, dtype=np.int64), 0)
    others = OtherHoldings(rows, rows, held, ids, (Decimal(1),) * 2_000)

    documents = documents_of(with_columns(made, others=others))

    assert [len(document["others"]["ids"]) for document in documents] == [512, 512, 512, 464]
    _, last = decode_block(documents[-1], made.securities)
    assert last.others.ids == ids[1_536:]


def test_the_widest_chunk_of_250_portfolios_and_5_000_securities_is_split_below_the_limit() -> None:
    price = Decimal("12.3456")
    model = tuple(PricedTarget(make_id("S", at), price, Decimal(0), BAND) for at in range(5_000))
    wide = np.full((250, 5_000), 10**33, dtype=np.object_)
    amounts = ScaledColumn(np.full(250, 10**33, dtype=np.object_), 9)
    ids = tuple(make_id("P", at) for at in range(250))
    status = np.full(250, STATUSES.index(Status.IN_BAND), dtype=np.int8)
    shares = ScaledColumn(wide, 9)
    made = BlockOutcome(
        model, ids, status, *(amounts,) * 4, shares, shares, OtherHoldings.none(), {}
    )

    documents = [encode_rows(RID, at, made, slice(at, at + 52)) for at in range(0, 250, 52)]

    assert [len(document["ids"]) for document in documents] == [52, 52, 52, 52, 42]
    sizes = [len(bson.encode(document, codec_options=OPTIONS)) for document in documents]
    assert max(sizes) < 8.1 * 2**20 < MAX_DOCUMENT_BYTES
    assert sum(len(document["before"]["data"]) for document in documents) == wide.size * 16


def test_the_split_depends_on_the_number_of_securities_alone() -> None:
    assert [count_rows_per_document(count) for count in (1, 50, 500, 5_000)] == [512, 512, 512, 52]
    made = make_answers(make_rebalance(1_100), range(1_100))
    assert [document["_id"][25:] for document in documents_of(made, first=3)] == [
        "0000003",
        "0000515",
        "0001027",
    ]
