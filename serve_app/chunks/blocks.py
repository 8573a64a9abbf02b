"""Chunk as a block: portfolios of one model in arrays, from their holdings to their outcomes."""

from collections import defaultdict
from collections.abc import Mapping
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
from serve_app.chunks.fetch import prices_of
from serve_app.chunks.solve import failed_outcome
from serve_app.upstream.holdings.source import HoldingsBlock
from serve_app.upstream.prices import PriceSnapshot
from serve_app.upstream.securities import SecurityService

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class BlockInputs:
    """Input of a chunk in arrays: the portfolios that can be solved, and the errors of the rest."""

    portfolio_ids: tuple[str, ...]  # of the whole chunk
    rows: NDArray[np.intp]  # places of the block's portfolios in the chunk, ascending
    block: PortfolioBlock
    errors: Mapping[int, Exception]  # by place in the chunk


async def price_block(
    held: HoldingsBlock, securities: SecurityService, snapshot: PriceSnapshot
) -> BlockInputs:
    """Fetch the prices of the holdings outside the model, and price them.

    Raises UpstreamUnavailableError if the security service does not respond.
    """
    return price_holdings(held, await prices_of(frozenset(held.other_ids), securities, snapshot))


def price_holdings(held: HoldingsBlock, prices: Mapping[str, Decimal]) -> BlockInputs:
    """Price the holdings outside the model; a portfolio with one without a price gets an error."""
    priced = [one for one in held.other_ids if prices.get(one, ZERO) > ZERO]
    errors = {**held.errors, **_unpriced_rows(held, frozenset(priced))}
    rows = np.delete(np.arange(len(held.portfolio_ids)), list(errors))
    entries = np.flatnonzero(~np.isin(held.other_rows, list(errors)))
    place = {one: at for at, one in enumerate(priced)}
    places = np.array([place.get(one, -1) for one in held.other_ids], np.int32)
    others = OtherHoldings(
        np.searchsorted(rows, held.other_rows[entries]).astype(np.int32),
        places[held.other_securities[entries]],
        held.other_quantities.select(entries),
        tuple(priced),
        tuple(prices[one] for one in priced),
    )
    whole = PortfolioBlock(held.portfolio_ids, held.cash, held.quantities, OtherHoldings.none())
    block = replace(whole.select(rows) if errors else whole, others=others)
    return BlockInputs(held.portfolio_ids, rows, block, errors)


def _unpriced_rows(held: HoldingsBlock, priced: frozenset[str]) -> dict[int, PricesMissingError]:
    is_unpriced = np.array([one not in priced for one in held.other_ids], np.bool_)
    if not is_unpriced.any():
        return {}
    missing: dict[int, list[str]] = defaultdict(list)
    for entry in np.flatnonzero(is_unpriced[held.other_securities]).tolist():
        security_id = held.other_ids[held.other_securities[entry]]
        missing[int(held.other_rows[entry])].append(security_id)
    return {row: PricesMissingError(tuple(ids)) for row, ids in missing.items()}


def complete_outcome(inputs: BlockInputs, solved: BlockOutcome) -> BlockOutcome:
    """Put the portfolios with errors back at their places, as FAILED outcomes beside the others."""
    ids, rows = inputs.portfolio_ids, inputs.rows
    beside = {**{int(rows[row]): one for row, one in solved.beside.items()}, **inputs.errors}
    outcomes = {row: _outcome_of(ids[row], answer) for row, answer in beside.items()}
    if not inputs.errors:
        return replace(solved, beside=outcomes)
    status, method = np.full(len(ids), BESIDE, np.int8), np.zeros(len(ids), np.int8)
    status[rows] = solved.status
    if len(solved.method):
        method[rows] = solved.method
    columns = ("market_value", "cash_before", "cash_after", "objective", "before", "after")
    return replace(
        solved,
        portfolio_ids=ids,
        status=status,
        method=method,
        others=replace(solved.others, rows=rows[solved.others.rows].astype(np.int32)),
        binding=replace(solved.binding, rows=rows[solved.binding.rows].astype(np.int32)),
        beside=outcomes,
        **{name: _spread(getattr(solved, name), rows, len(ids)) for name in columns},
    )


def _outcome_of(portfolio_id: str, answer: PortfolioOutcome | Exception) -> PortfolioOutcome:
    if isinstance(answer, PortfolioOutcome):
        return answer
    return failed_outcome(portfolio_id, answer)


def objects_of(outcome: BlockOutcome) -> list[PortfolioOutcome]:
    """List the outcomes of all portfolios of a complete block."""
    return [each for each in outcome.outcomes() if isinstance(each, PortfolioOutcome)]


def outcomes_beside(outcome: BlockOutcome) -> list[PortfolioOutcome]:
    """List the outcomes beside the columns of a complete block."""
    return [each for each in outcome.beside.values() if isinstance(each, PortfolioOutcome)]


def _spread(column: ScaledColumn, rows: NDArray[np.intp], size: int) -> ScaledColumn:
    """Move the rows of a column to their places among ``size`` rows; the other rows are 0."""

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        everywhere = np.zeros((size, *values.shape[1:]), values.dtype)
        everywhere[rows] = values
        return everywhere

    digits = None if column.digits is None else spread(column.digits)
    return ScaledColumn(spread(column.units), column.decimals, digits)
