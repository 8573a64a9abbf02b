"""Pages of stored outcomes as Arrow record batches, from their columns without an object a row.

The outcomes beside the columns are few. They come from objects, and are merged by ordinal.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from optimization import STATUSES, BlockOutcome, ScaledColumn, Side
from serve_app.api.exports.arrow_tables import (
    DECIMAL,
    OUTCOMES,
    OUTSIDE_BAND,
    POSITION,
    TEXT,
    TRANSACTIONS,
    RecordBatch,
    Table,
    outcomes_batch,
    transactions_batch,
)
from serve_app.api.exports.transactions import Line, list_lines
from serve_app.chunks.blocks import list_all_outcomes
from serve_app.rules.evaluation import BrokenRules, RuleCheck
from storage.rebalances.outcome_reader import OutcomePage

# The names stand for Any, because pyarrow comes without types.
Array = Any
Places = NDArray[np.intp]
PlacedBatch = tuple[Places, RecordBatch]
"""A batch with the ordinals of the portfolios of its rows."""

MAX_COEFFICIENT: Final = 10**DECIMAL.precision - 1
WORD_BITS: Final = 64


def outcome_table(rebalance_id: str, page: OutcomePage) -> Table:
    """Convert the outcomes of a page to a table of OUTCOMES, in the order of their ordinals."""
    batches = [(places, _build_outcomes(rebalance_id, block)) for places, block in _plain(page)]
    ordinals = np.array([ordinal for ordinal, _ in page.objects], np.intp)
    outcomes = [outcome for _, outcome in page.objects]
    return _merge([*batches, (ordinals, outcomes_batch(rebalance_id, outcomes))])


def transaction_table(rebalance_id: str, page: OutcomePage, trade_date: str) -> Table:
    """Convert the transactions of a page to a table of TRANSACTIONS, in the order of outcomes."""
    batches = [_build_trades(rebalance_id, *rows, trade_date) for rows in _plain(page)]
    lines, ordinals = list[Line](), list[int]()
    for ordinal, outcome in page.objects:
        lines += list_lines(rebalance_id, [outcome], trade_date)
        ordinals += [ordinal] * (len(lines) - len(ordinals))
    return _merge([*batches, (np.array(ordinals, np.intp), transactions_batch(lines))])


def list_broken_rules(page: OutcomePage, rules: RuleCheck) -> dict[str, BrokenRules]:
    """List the rules that the plans of a page break, by portfolio; nothing without rules.

    Plans in columns become objects, because a rule is evaluated on the plan of a portfolio.
    """
    if not rules:
        return {}
    outcomes = [outcome for _, outcome in page.objects]
    for _, block in _plain(page):
        outcomes += list_all_outcomes(block)
    return {outcome.portfolio_id: rules.list_broken(outcome) for outcome in outcomes}


def _plain(page: OutcomePage) -> Iterator[tuple[Places, BlockOutcome]]:
    """Yield the rows of the page in columns, with their ordinals."""
    for first, block in page.blocks:
        rows = page.find_rows(first, block)
        yield first + rows, block if len(rows) == len(block) else block.select(rows)


def _merge(batches: list[PlacedBatch]) -> Table:
    """Put batches together in the order of their ordinals."""
    table = pa.Table.from_batches(
        [batch for _, batch in batches if batch.num_rows] or [batches[0][1]]
    )
    ordinals = np.concatenate([places for places, _ in batches])
    if np.all(ordinals[1:] >= ordinals[:-1]):
        return table
    return table.take(pa.array(np.argsort(ordinals, kind="stable"))).combine_chunks()


def _build_outcomes(rebalance_id: str, block: BlockOutcome) -> RecordBatch:
    count, market_value = len(block), convert_to_decimals(block.market_value)
    columns = [
        pa.repeat(pa.scalar(rebalance_id, TEXT), count),
        pa.array(block.portfolio_ids, TEXT),
        pa.array([status.value for status in STATUSES], TEXT).take(pa.array(block.status)),
        market_value,
        market_value,  # the base, because outcomes in columns have no costs
        convert_to_decimals(block.cash_before),
        convert_to_decimals(block.cash_after),
        pa.array(np.zeros(count, np.int32)),
        pa.nulls(count, TEXT),
        pa.nulls(count, TEXT),
        pa.ListArray.from_arrays(np.zeros(count + 1, np.int32), pa.array([], OUTSIDE_BAND)),
        _positions(block),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=OUTCOMES)


def _positions(block: BlockOutcome) -> Array:
    """Build the lists of positions: securities of the model, then other holdings of each row."""
    others, (count, width) = block.others, block.before.units.shape
    counts = np.bincount(others.rows, minlength=count)
    ends = np.concatenate([[0], np.cumsum(counts + width)])
    of_model = (ends[:-1, None] + np.arange(width)).ravel()
    of_others = np.arange(len(others.rows)) + width * (others.rows.astype(np.intp) + 1)

    def spread(model: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        if not len(other):
            return model.ravel()
        flat = np.empty(ends[-1], np.result_type(model, other))
        flat[of_model], flat[of_others] = model.ravel(), other
        return flat

    def shares(model: ScaledColumn, other: ScaledColumn) -> Array:
        decimals = max(model.decimals, other.decimals)
        units = spread(model.at_scale(decimals).units, other.at_scale(decimals).units)
        return convert_to_decimals(ScaledColumn(units, decimals))

    places = spread(np.tile(np.arange(width), count), others.securities + width)
    rest = ScaledColumn(others.quantities.split()[1], others.quantities.decimals)
    columns = [
        *_securities(block, places),
        shares(block.before, others.quantities),
        shares(block.after, rest),
    ]
    struct = pa.StructArray.from_arrays(columns, fields=[*POSITION])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), struct)


def _build_trades(
    rebalance_id: str, ordinals: Places, block: BlockOutcome, trade_date: str
) -> PlacedBatch:
    rows, places, change = block.changes()
    count = len(rows)
    quantity = ScaledColumn(abs(change.units), change.decimals)
    security_id, price = _securities(block, places)
    prices = ScaledColumn.from_numbers(_prices(block))
    amount = _product(quantity.units, prices.units[places])
    sides = pa.array([Side.SELL.value, Side.BUY.value], TEXT)
    columns = [
        pa.repeat(pa.scalar(rebalance_id, TEXT), count),
        pa.array(block.portfolio_ids, TEXT).take(pa.array(rows)),
        security_id,
        sides.take(pa.array((change.units > 0).astype(np.int8))),
        convert_to_decimals(quantity),
        price,
        convert_to_decimals(ScaledColumn(amount, quantity.decimals + prices.decimals)),
        pa.repeat(pa.scalar(date.fromisoformat(trade_date), pa.date32()), count),
    ]
    return ordinals[rows], pa.RecordBatch.from_arrays(columns, schema=TRANSACTIONS)


def _product(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """Multiply numbers of at least 0, as Python integers if int64 could overflow."""
    if int(left.max(initial=0)) * int(right.max(initial=0)) >= 2 ** (WORD_BITS - 1):
        return left.astype(np.object_) * right.astype(np.object_)
    return left.astype(np.int64) * right.astype(np.int64)


def _securities(block: BlockOutcome, places: Places) -> tuple[Array, Array]:
    """Take ids and prices by place: securities of the model, then other holdings."""
    ids = [*(security.security_id for security in block.securities), *block.others.ids]
    indices = pa.array(places)
    return pa.array(ids, TEXT).take(indices), pa.array(_prices(block), DECIMAL).take(indices)


def _prices(block: BlockOutcome) -> list[Decimal]:
    return [*(security.price for security in block.securities), *block.others.prices]


def convert_to_decimals(column: ScaledColumn) -> Array:
    """Convert a flat column to DECIMAL; pa.ArrowInvalid for a number that would be rounded.

    >>> convert_to_decimals(ScaledColumn(np.array([1250, -75]), 2)).cast(pa.float64()).to_pylist()
    [12.5, -0.75]
    """
    if column.decimals > DECIMAL.scale:
        column = column.coarsest()
    units, decimals = column.units, column.decimals
    if decimals > DECIMAL.scale:
        raise pa.ArrowInvalid(f"a number of {decimals} decimals: data loss in {DECIMAL}")
    low, high = units, units >> WORD_BITS - 1
    if units.dtype == np.object_:
        # Checked here, because Arrow rescales modulo 2**128, and a number too large may wrap to one
        # that fits.
        most = MAX_COEFFICIENT // 10 ** (DECIMAL.scale - decimals)
        if max(map(abs, units.tolist()), default=0) > most:
            raise pa.ArrowInvalid(f"a number of more digits than {DECIMAL} has: data loss")
        low, high = units & (2**WORD_BITS - 1), units >> WORD_BITS
    words = np.empty((len(units), 2), np.uint64)  # a decimal128 is two, the low word first
    words[:, 0], words[:, 1] = low.astype(np.uint64), high.astype(np.int64).astype(np.uint64)
    # The numbers get their own scale first, because Arrow rescales whole columns.
    scaled = pa.decimal128(DECIMAL.precision, decimals)
    return pa.Array.from_buffers(scaled, len(units), [None, pa.py_buffer(words)]).cast(DECIMAL)
