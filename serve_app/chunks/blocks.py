"""Chunk as a block: portfolios of one model in arrays, from their holdings to their outcomes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimization import (
    BESIDE,
    BlockOutcome,
    OtherHoldings,
    PortfolioBlock,
    PortfolioOutcome,
    PricesMissingError,
    ScaledColumn,
)
from serve_app.chunks.fetch import look_up_prices
from serve_app.chunks.solve import convert_answer
from serve_app.upstream.holdings.source import HoldingsBlock
from serve_app.upstream.prices import PriceSnapshot
from serve_app.upstream.securities import SecurityService

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class BlockInputs:
    """Input of a chunk in arrays: the portfolios that can be solved, and the errors of the rest."""

    portfolio_ids: tuple[str, ...]  # all portfolios of the chunk
    rows: NDArray[np.intp]  # places of the block's portfolios in the chunk, ascending
    block: PortfolioBlock
    errors: Mapping[int, Exception]  # key: place in the chunk


async def price_block(
    holdings: HoldingsBlock, securities: SecurityService, snapshot: PriceSnapshot
) -> BlockInputs:
    """Fetch the prices of the holdings outside the model, and price them.

    Raises UpstreamUnavailableError if the security service does not respond.
    """
    return price_holdings(
        holdings, await look_up_prices(frozenset(holdings.other_ids), securities, snapshot)
    )


def price_holdings(holdings: HoldingsBlock, prices: Mapping[str, Decimal]) -> BlockInputs:
    """Price the holdings outside the model; a holding without a price is an error."""
    priced_ids = [
        security_id for security_id in holdings.other_ids if prices.get(security_id, ZERO) > ZERO
    ]
    errors = {**holdings.errors, **_find_unpriced_rows(holdings, frozenset(priced_ids))}
    rows = np.delete(np.arange(len(holdings.portfolio_ids)), list(errors))
    entries = np.flatnonzero(~np.isin(holdings.other_rows, list(errors)))
    place = {security_id: at for at, security_id in enumerate(priced_ids)}
    places = np.array([place.get(security_id, -1) for security_id in holdings.other_ids], np.int32)
    others = OtherHoldings(
        np.searchsorted(rows, holdings.other_rows[entries]).astype(np.int32),
        places[holdings.other_securities[entries]],
        holdings.other_quantities.select(entries),
        tuple(priced_ids),
        tuple(prices[security_id] for security_id in priced_ids),
    )
    whole = PortfolioBlock(
        holdings.portfolio_ids, holdings.cash, holdings.quantities, OtherHoldings.none()
    )
    block = replace(whole.select(rows) if errors else whole, others=others)
    return BlockInputs(holdings.portfolio_ids, rows, block, errors)


def _find_unpriced_rows(
    holdings: HoldingsBlock, priced_ids: frozenset[str]
) -> dict[int, PricesMissingError]:
    is_unpriced = np.array(
        [security_id not in priced_ids for security_id in holdings.other_ids], np.bool_
    )
    if not is_unpriced.any():
        return {}
    missing: dict[int, list[str]] = defaultdict(list)
    for entry in np.flatnonzero(is_unpriced[holdings.other_securities]).tolist():
        security_id = holdings.other_ids[holdings.other_securities[entry]]
        missing[int(holdings.other_rows[entry])].append(security_id)
    return {row: PricesMissingError(tuple(ids)) for row, ids in missing.items()}


def complete_outcome(inputs: BlockInputs, outcome: BlockOutcome) -> BlockOutcome:
    """Put the portfolios with errors back at their places, as FAILED outcomes beside the others."""
    ids, rows = inputs.portfolio_ids, inputs.rows
    beside = {
        **{int(rows[row]): separate_outcome for row, separate_outcome in outcome.beside.items()},
        **inputs.errors,
    }
    outcomes = {row: convert_answer(ids[row], answer) for row, answer in beside.items()}
    if not inputs.errors:
        return replace(outcome, beside=outcomes)
    status, method = np.full(len(ids), BESIDE, np.int8), np.zeros(len(ids), np.int8)
    status[rows] = outcome.status
    if len(outcome.method):
        method[rows] = outcome.method
    columns = ("market_value", "cash_before", "cash_after", "objective", "before", "after")
    return replace(
        outcome,
        portfolio_ids=ids,
        status=status,
        method=method,
        others=replace(outcome.others, rows=rows[outcome.others.rows].astype(np.int32)),
        binding=replace(outcome.binding, rows=rows[outcome.binding.rows].astype(np.int32)),
        beside=outcomes,
        **{name: _spread(getattr(outcome, name), rows, len(ids)) for name in columns},
    )


def list_all_outcomes(outcome: BlockOutcome) -> list[PortfolioOutcome]:
    """List the outcomes of all portfolios of a complete block."""
    return _select_outcomes(outcome.outcomes())


def list_separate_outcomes(outcome: BlockOutcome) -> list[PortfolioOutcome]:
    """List the outcomes beside the columns of a complete block."""
    return _select_outcomes(outcome.beside.values())


def _select_outcomes(answers: Iterable[PortfolioOutcome | Exception]) -> list[PortfolioOutcome]:
    return [answer for answer in answers if isinstance(answer, PortfolioOutcome)]


def _spread(column: ScaledColumn, rows: NDArray[np.intp], size: int) -> ScaledColumn:
    """Move the rows of a column to their places among ``size`` rows; the other rows are 0."""

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        everywhere = np.zeros((size, *values.shape[1:]), values.dtype)
        everywhere[rows] = values
        return everywhere

    digits = None if column.digits is None else spread(column.digits)
    return ScaledColumn(spread(column.units), column.decimals, digits)
