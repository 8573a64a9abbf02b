"""Portfolios as columns, and the text of an answer to compare it by."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from optimization import (
    NoSolutionInTimeError,
    OtherHoldings,
    Portfolio,
    PortfolioBlock,
    PortfolioOutcome,
    PricedTarget,
    ScaledColumn,
)
from optimization.exact.scaled_integers import narrow, to_units


def column(values: Sequence[Decimal], digits: int, shape: tuple[int, ...] = (-1,)) -> ScaledColumn:
    """Values at a scale, in int64 if they fit."""
    units = np.array([to_units(value, digits) for value in values], dtype=np.object_)
    return ScaledColumn(narrow(units).reshape(shape), digits)


def digits_of(values: Sequence[Decimal]) -> int:
    """Most digits after the point that one of the values is written with."""
    return max([0, *(-int(value.as_tuple().exponent) for value in values)])


def block_of(
    securities: Sequence[PricedTarget], portfolios: Sequence[Portfolio], digits: int | None = None
) -> PortfolioBlock:
    """Portfolios at one snapshot as a block, with so many digits of a quantity."""
    ids = [security.security_id for security in securities]
    prices = {name: price for portfolio in portfolios for name, price in portfolio.prices.items()}
    held = sorted({name for portfolio in portfolios for name in portfolio.holdings}.difference(ids))
    inside = [portfolio.holdings.get(name, Decimal(0)) for portfolio in portfolios for name in ids]
    outside = [
        (row, place, portfolio.holdings[name])
        for row, portfolio in enumerate(portfolios)
        for place, name in enumerate(held)
        if name in portfolio.holdings
    ]
    shares = [quantity for _, _, quantity in outside]
    digits = digits_of([*inside, *shares]) if digits is None else digits
    cash = [portfolio.cash for portfolio in portfolios]
    return PortfolioBlock(
        tuple(portfolio.portfolio_id for portfolio in portfolios),
        column(cash, digits_of(cash)),
        column(inside, digits, (len(portfolios), len(ids))),
        OtherHoldings(
            np.array([row for row, _, _ in outside], dtype=np.int32),
            np.array([place for _, place, _ in outside], dtype=np.int32),
            column(shares, digits),
            tuple(held),
            tuple(prices[name] for name in held),
        ),
    )


def block_as_written(
    securities: Sequence[PricedTarget], portfolios: Sequence[Portfolio]
) -> PortfolioBlock:
    """Portfolios as ``block_of`` makes them, each amount with its own digits."""
    block = block_of(securities, portfolios)
    ids = [security.security_id for security in securities]
    inside = [portfolio.holdings.get(name, Decimal(0)) for portfolio in portfolios for name in ids]
    places = zip(block.others.rows.tolist(), block.others.securities.tolist(), strict=True)
    outside = [portfolios[row].holdings[block.others.ids[at]] for row, at in places]
    return replace(
        block,
        cash=ScaledColumn.from_written([portfolio.cash for portfolio in portfolios]),
        quantities=ScaledColumn.from_written(inside, (len(portfolios), len(ids))),
        others=replace(block.others, quantities=ScaledColumn.from_written(outside)),
    )


def complete_text(answer: object) -> str:
    """Everything that an answer has, every digit of it, but for the seconds it took."""
    if isinstance(answer, NoSolutionInTimeError):
        return f"{type(answer).__name__} {answer.portfolio_id}"
    if isinstance(answer, PortfolioOutcome) and answer.certificate is not None:
        answer = replace(answer, certificate=replace(answer.certificate, seconds=0.0))
    return repr(answer)
