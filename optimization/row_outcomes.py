"""Row outcomes: portfolio outcomes whose fields are read from arrays on demand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import repeat
from math import floor
from typing import Any, Self

import numpy as np

from optimization.domain.certificate import Certificate, Proof
from optimization.domain.numbers import EXACT
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import (
    NO_WEIGHT,
    WEIGHT_PARTS,
    PortfolioOutcome,
    Status,
    compute_weight,
    weight_from_parts,
)
from optimization.domain.portfolio import OtherTargets, Portfolio, PricedTarget
from optimization.exact.block_outcome import METHODS
from optimization.exact.portfolio_columns import PortfolioRows, collect_rows
from optimization.exact.scaled_column import count_written_decimals
from optimization.exact.scaled_integers import INT64_SAFE, Integers, ModelUnits, to_decimal
from optimization.row_plans import RowPlans, solve_rows
from optimization.time_budget import TimeBudget

ZERO, ONE = Decimal(0), Decimal(1)


def answer_rows(
    securities: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    budget: TimeBudget,
    units: ModelUnits,
) -> Iterator[tuple[int, PortfolioOutcome]]:
    """Yield the place and the outcome of each portfolio that the arrays answer.

    Raises SolverInterruptedError if the budget is interrupted.
    """
    ids = [security.security_id for security in securities]
    for rows in collect_rows(ids, units, portfolios):
        # Odd lots of fractional holdings need columns of their own.
        if not rows.is_whole and any(
            options.lots.get(security_id, ONE) != ONE for security_id in ids
        ):
            continue
        for part in solve_rows(securities, rows.block, options, budget, units):
            outcomes = RowOutcomes.from_plans(securities, units, rows, part)
            for row in np.flatnonzero(part.is_answer).tolist():
                yield rows.places[int(part.numbers[row])], outcomes.make_outcome(row)


@dataclass(frozen=True, eq=False)
class RowOutcomes:
    """Source of the outcomes of one part of the row plans.

    Each outcome keeps a reference to the arrays of its part, at most BLOCK_SIZE rows.
    """

    securities: tuple[PricedTarget, ...]
    others: OtherTargets
    portfolios: Sequence[Portfolio]  # one a row
    outside: Sequence[Sequence[str]]  # ids of the holdings outside the model, in order
    plans: RowPlans
    shares: Integers | None  # (B, n) before; None if a holding is a fraction of a share

    @classmethod
    def from_plans(
        cls,
        securities: tuple[PricedTarget, ...],
        units: ModelUnits,
        rows: PortfolioRows,
        plans: RowPlans,
    ) -> Self:
        """Take the portfolios and holdings of a part from the rows."""
        numbers: list[int] = plans.numbers.tolist()
        portfolios = [rows.portfolios[number] for number in numbers]
        outside = [rows.outside[number] for number in numbers]
        shares = None
        if rows.is_whole:  # all of them in order, because none has a fraction
            shares = rows.block.quantities.units[numbers[0] : numbers[-1] + 1]
        return cls(securities, units.others, portfolios, outside, plans, shares)

    def make_outcome(self, row: int) -> PortfolioOutcome:
        """Make the outcome of a row, which reads its fields on demand."""
        return PortfolioOutcome.from_row(self, row)

    def read_values(self, row: int) -> Sequence[Any]:
        """Values of a row for the fields of PortfolioOutcome, in their order."""
        plans, portfolio = self.plans, self.portfolios[row]
        others = self._price_others(row)
        before, after = self._list_positions(row, portfolio, others)
        objective, cash = plans.objective, plans.cash_after
        drift = to_decimal(int(objective.units[row]), objective.decimals)
        binding = plans.binding.read_row(row)
        return (
            portfolio.portfolio_id,
            Status.IN_BAND if after == before else Status.REBALANCED,
            portfolio.market_value,
            portfolio.cash,
            to_decimal(int(cash.units[row]), cash.decimals),
            self.securities,
            others,
            before,
            after,
            Certificate(Proof.OPTIMAL, METHODS[plans.method[row]], drift, drift, binding),
            None,
            0,
            ZERO,
            (),
        )

    def read_turnover(self, row: int) -> Decimal | None:
        """Turnover of a row, with the digits of its prices; None with a fraction of a share."""
        if self.shares is None:
            return None
        portfolio, (turnovers, decimals) = self.portfolios[row], self._turnovers
        total = EXACT.scaleb(Decimal(turnovers[row]), -decimals)
        for other in self._price_others(row):
            total = EXACT.fma(abs(int(portfolio.holdings[other.security_id])), other.price, total)
        return total

    def read_weights(self, row: int) -> Sequence[Decimal] | None:
        """Weights of the positions of a row after its plan; None if one of them is negative."""
        parts = self._weight_parts[row].tolist()
        if parts and parts[0] < 0:
            return None
        weights = list(map(weight_from_parts, parts))
        portfolio, others = self.portfolios[row], self._price_others(row)
        if self.shares is not None:
            return [*weights, *repeat(NO_WEIGHT, len(others))]
        base = portfolio.market_value
        fractions = (_take_fraction(portfolio.holdings[other.security_id]) for other in others)
        rows = zip(fractions, others, strict=True)
        return [*weights, *(compute_weight(shares, other.price, base) for shares, other in rows)]

    def _price_others(self, row: int) -> tuple[PricedTarget, ...]:
        outside = self.outside[row]
        return self.others.price(outside, self.portfolios[row].prices) if outside else ()

    def _list_positions(
        self, row: int, portfolio: Portfolio, others: Sequence[PricedTarget]
    ) -> tuple[tuple[int | Decimal, ...], tuple[int | Decimal, ...]]:
        """Shares before and after, of the model's securities and of the others."""
        traded, holdings = self.plans.traded[row], portfolio.holdings
        if self.shares is not None:
            shares = self.shares[row]
            before, after = shares.tolist(), (shares + traded).tolist()
            if others:
                before += [int(holdings[security_id]) for security_id in self.outside[row]]
                after += [0] * len(others)
            return tuple(before), tuple(after)
        shares = [
            _to_number(holdings.get(security.security_id, ZERO)) for security in self.securities
        ]
        outside = [holdings[security_id] for security_id in self.outside[row]]
        pairs = zip(shares, traded.tolist(), strict=True)
        after = [
            quantity + change if isinstance(quantity, int) else EXACT.add(quantity, change)
            for quantity, change in pairs
        ]
        before = (*shares, *map(_to_number, outside))
        return before, (*after, *map(_take_fraction, outside))

    @cached_property
    def _turnovers(self) -> tuple[list[int], int]:
        """Value traded in the model's securities in units of their longest price, and the scale."""
        block = self.plans.block
        traded = np.abs(self.plans.lots - block.before) * block.lot_value
        decimals = max(
            0, *(count_written_decimals(security.price) for security in self.securities), 0
        )
        scale, units = decimals - block.decimals, traded.sum(axis=1).tolist()
        if scale < 0:
            return [value // 10**-scale for value in units], decimals
        return [value * 10**scale for value in units], decimals

    @cached_property
    def _weight_parts(self) -> Integers:
        """Weights of the model's securities in parts, half up; -1 in rows with a negative one."""
        block = self.plans.block
        value, base = self.plans.lots * block.lot_value + block.remainder, block.base[:, None]
        usable = (base[:, 0] > 0) & (value >= 0).all(axis=1)
        largest = max(int(np.abs(value).max(initial=0)), int(np.abs(base).max(initial=0)))
        if 4 * WEIGHT_PARTS * largest >= INT64_SAFE:
            value, base = value.astype(object), base.astype(object)
        twice = np.where(usable[:, None], 2 * base, 1)
        parts = (2 * WEIGHT_PARTS * value + base) // twice
        parts[~usable] = -1
        return parts


def _to_number(shares: Decimal) -> int | Decimal:
    whole = int(shares)
    return whole if whole == shares else shares


def _take_fraction(shares: Decimal) -> int | Decimal:
    return _to_number(EXACT.subtract(shares, Decimal(floor(shares))))
