"""BlockOutcome: the answers of a block of portfolios, in arrays, and each as an object."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, partial
from operator import ne
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimization.domain.certificate import Certificate, Method, Proof
from optimization.domain.outcome import PortfolioOutcome, Status
from optimization.domain.portfolio import OUTSIDE, PricedTarget
from optimization.errors import OptimizationError
from optimization.exact.binding_rows import BindingRows
from optimization.exact.columns import OtherHoldings
from optimization.exact.scaled_column import Rows, ScaledColumn, count_written_decimals, with_digits
from optimization.exact.scaled_integers import to_decimal

STATUSES: Final = tuple(Status)
METHODS: Final = tuple(Method)
BESIDE: Final = -1
ZERO = Decimal(0)
NO_DIGITS = -(10**6)  # below the digits of any price


class Amounts(NamedTuple):
    """Amounts of one portfolio in currency; ``objective`` is its drift."""

    market_value: Decimal
    cash_before: Decimal
    cash_after: Decimal
    objective: Decimal


class Changes(NamedTuple):
    """Trades of a block, ordered by row and security."""

    rows: NDArray[np.intp]
    places: NDArray[np.intp]  # place in the securities of the model, then the ids of ``others``
    shares: ScaledColumn  # bought (positive) or sold (negative)


@dataclass(frozen=True, eq=False)
class BlockOutcome:
    """Answers of ``rebalance_block``: B portfolios of one model of n securities.

    A row is *plain* if its answer is the separable optimum or the cover of its cash row: the
    certificate is OPTIMAL by SEPARABLE or COVER, there are no costs, and no position is outside its
    band. ``objective`` is its drift in currency, which is also its lower bound; ``binding`` has the
    bands, restrictions and cash floors that keep such plans from less drift. Any other answer (a
    refusal, a plan of a search, an error) is an object in ``beside``; its row has the status
    BESIDE, amounts of 0, and ``after`` equal to ``before``.

    ``others`` are the holdings outside the model before the rebalance. After it a plain row keeps
    only the fraction of a share of each.

    ``outcome`` makes the object that ``rebalance_all`` returns for the same portfolio: equal, and
    with the same digits.

    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    >>> fund = PricedTarget("A" * 24, Decimal("31.50"), Decimal("0.9"), band)
    >>> value = ScaledColumn.from_numbers([Decimal(1000)])
    >>> left, drift = map(ScaledColumn.from_numbers, (["86.50"], ["13.50"]))
    >>> before, after = (ScaledColumn.from_numbers([Decimal(u)], (1, 1)) for u in (0, 29))
    >>> status = np.array([STATUSES.index(Status.REBALANCED)], dtype=np.int8)
    >>> columns = value, value, left, drift, before, after, OtherHoldings.none(), {}
    >>> made = BlockOutcome((fund,), ("P" * 24,), status, *columns)
    >>> made.transactions.tolist(), made.outcome(0).cash_after
    ([1], Decimal('86.50'))
    """

    securities: tuple[PricedTarget, ...]  # the model, n
    portfolio_ids: tuple[str, ...]  # (B,)
    status: NDArray[np.int8]  # (B,) place in STATUSES, or BESIDE
    market_value: ScaledColumn  # (B,) currency
    cash_before: ScaledColumn  # (B,) currency, cash flow included
    cash_after: ScaledColumn  # (B,) currency
    objective: ScaledColumn  # (B,) currency
    before: ScaledColumn  # (B, n) shares
    after: ScaledColumn  # (B, n) shares, at the scale of before
    others: OtherHoldings
    beside: Mapping[int, PortfolioOutcome | OptimizationError]  # key: row
    binding: BindingRows = field(default_factory=BindingRows.none)
    # (B,) place in METHODS; empty if all are SEPARABLE
    method: NDArray[np.int8] = field(default_factory=partial(np.zeros, 0, np.int8))

    def __len__(self) -> int:
        return len(self.portfolio_ids)

    @cached_property
    def transactions(self) -> NDArray[np.int32]:
        """Number of trades of each portfolio; shape (B,)."""
        counts = np.count_nonzero(self.after.units != self.before.units, axis=1).astype(np.int32)
        np.add.at(counts, self.others.rows, self.others.quantities.split()[0] != 0)
        for row, answer in self.beside.items():
            outcome = answer if isinstance(answer, PortfolioOutcome) else None
            counts[row] = sum(map(ne, outcome.before, outcome.after)) if outcome else 0
        return counts

    def changes(self) -> Changes:
        """List the trades of the plain rows; ``transactions`` counts them."""
        others, decimals, width = self.others, self.after.decimals, self.before.units.shape[1]
        change = self.after.units - self.before.units
        rows, places = np.nonzero(change)
        whole = others.quantities.split()[0]
        sold = np.flatnonzero(whole)
        if not len(sold):
            return Changes(rows, places, ScaledColumn(change[rows, places], decimals))
        of_others = ScaledColumn.from_units(-whole[sold], 0).at_scale(decimals).units
        units = np.concatenate([change[rows, places], of_others])
        rows = np.concatenate([rows, others.rows[sold]])
        places = np.concatenate([places, others.securities[sold] + width])
        order = np.lexsort((places, rows))
        return Changes(rows[order], places[order], ScaledColumn(units[order], decimals))

    def outcomes(self) -> list[PortfolioOutcome | OptimizationError]:
        """The answers of all rows, as objects."""
        return [self.outcome(row) for row in range(len(self))]

    def outcome(self, row: int) -> PortfolioOutcome | OptimizationError:
        """The answer of one row, as the object that ``rebalance_all`` gives."""
        answer = self.beside.get(row)
        if answer is not None:
            return answer
        first, end = np.searchsorted(self.others.rows, (row, row + 1)).tolist()
        securities = self.others.securities[first:end].tolist()
        shares = self.others.quantities.select(slice(first, end))
        fractions = replace(shares, units=shares.split()[1])
        amounts, binding = self.amounts(row), self.binding.read_row(row)
        drift = amounts.objective
        return PortfolioOutcome(
            portfolio_id=self.portfolio_ids[row],
            status=STATUSES[self.status[row]],
            market_value=amounts.market_value,
            cash_before=amounts.cash_before,
            cash_after=amounts.cash_after,
            securities=self.securities,
            others=tuple(self.other_targets[place] for place in securities),
            before=(*_to_shares(self.before.select(row)), *_to_shares(shares)),
            after=(*_to_shares(self.after.select(row)), *_to_shares(fractions)),
            certificate=Certificate(Proof.OPTIMAL, self.find_method(row), drift, drift, binding),
        )

    def select(self, rows: Rows) -> "BlockOutcome":
        """Select the answers of some plain rows, in ascending order.

        >>> none = BlockOutcome((), (), np.array([], np.int8), *[ScaledColumn.from_numbers([])] * 4,
        ...     *[ScaledColumn.from_numbers([], (0, 0))] * 2, OtherHoldings.none(), {})
        >>> len(none.select([]))
        0
        """
        places = (
            np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows, np.intp)
        )
        names = "market_value", "cash_before", "cash_after", "objective", "before", "after"
        columns = {name: getattr(self, name).select(places) for name in names}
        return replace(
            self,
            portfolio_ids=tuple(self.portfolio_ids[place] for place in places.tolist()),
            status=self.status[places],
            others=self.others.select(places),
            beside={},
            binding=self.binding.select(places),
            method=self.method[places] if len(self.method) else self.method,
            **columns,
        )

    def find_method(self, row: int) -> Method:
        """Method that found the plan of a plain row."""
        return METHODS[self.method[row]] if len(self.method) else Method.SEPARABLE

    def count_methods(self) -> dict[Method, int]:
        """Number of plain rows by the method that found their plans."""
        plain = self.status != BESIDE
        method = self.method if len(self.method) else np.zeros(len(self), dtype=np.int8)
        counts = np.bincount(method[plain], minlength=len(METHODS)).tolist()
        return {method: count for method, count in zip(METHODS, counts, strict=True) if count}

    def amounts(self, row: int) -> Amounts:
        """Amounts of a plain row, with the digits of its outcome."""
        value, drift, left = self.market_value.value(row), self.objective, self.cash_after
        return Amounts(
            with_digits(value, int(self._value_digits[row])),
            self.cash_before.value(row),
            to_decimal(int(left.units[row]), left.decimals),
            to_decimal(int(drift.units[row]), drift.decimals),
        )

    @cached_property
    def _value_digits(self) -> NDArray[np.int64]:
        """Digits of each market value: those of the sum of products that it is."""
        others = self.others
        prices = np.array(
            [count_written_decimals(security.price) for security in self.securities], dtype=np.int64
        )
        of_products = prices + self.before.digits_written
        of_holdings = np.where(self.before.units != 0, of_products, NO_DIGITS)
        longest = of_holdings.max(axis=1, initial=NO_DIGITS)
        digits = np.maximum(longest, self.cash_before.digits_written)
        other_prices = np.array(
            [count_written_decimals(price) for price in others.prices], dtype=np.int64
        )
        of_others = other_prices[others.securities] + others.quantities.digits_written
        np.maximum.at(digits, others.rows, of_others)
        return digits

    @cached_property
    def other_targets(self) -> tuple[PricedTarget, ...]:
        """Targets of the securities of ``others``; each is 0, so they are sold."""
        rows = zip(self.others.ids, self.others.prices, strict=True)
        return tuple(PricedTarget(security_id, price, ZERO, OUTSIDE) for security_id, price in rows)


def _to_shares(column: ScaledColumn) -> list[int] | list[int | Decimal]:
    """Shares as numbers: whole ones as integers."""
    units: list[int] = column.units.tolist()
    if not column.decimals:
        return units
    scale = 10**column.decimals
    return [
        column.value(place) if shares % scale else shares // scale
        for place, shares in enumerate(units)
    ]
