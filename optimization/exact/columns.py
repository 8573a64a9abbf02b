"""Columns: portfolios of one model as arrays, without an object per portfolio or holding.

Shapes: B portfolios, n securities of the model, K holdings outside the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimization.domain.portfolio import Portfolio, PricedTarget, find_unpriced
from optimization.errors import PricesMissingError, RuleError
from optimization.exact.scaled_column import Rows, ScaledColumn


def renumber(
    rows: NDArray[np.signedinteger], chosen: Rows
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Places of the entries whose row is chosen, and their row numbers among the chosen rows.

    ``rows`` ascend, are at least 0, and are not empty.

    >>> places, numbers = renumber(np.array([0, 2, 2, 5]), [2, 5])
    >>> places.tolist(), numbers.tolist()
    ([1, 2, 3], [0, 0, 1])
    """
    count = int(rows[-1]) + 1
    if isinstance(chosen, slice):
        selected = np.arange(count)[chosen]
    else:
        selected = np.asarray(chosen, np.intp)
    number = np.full(max(count, int(selected.max(initial=0)) + 1), -1, dtype=np.int32)
    number[selected] = np.arange(len(selected), dtype=np.int32)
    numbers = number[rows]
    places = np.flatnonzero(numbers >= 0)
    return places, numbers[places]


@dataclass(frozen=True, slots=True, eq=False)
class OtherHoldings:
    """Holdings outside the model: triples of row, security and quantity, ordered by row and id.

    ``ids`` are distinct and ascend. Raises PricesMissingError for an id without a price above 0: a
    caller leaves out the portfolios that hold such a security, so the others keep their plans.

    >>> quantity = ScaledColumn.from_numbers([Decimal(7)])
    >>> held = OtherHoldings(np.array([4]), np.array([0]), quantity, ("GOLD",), (Decimal(61),))
    >>> held.select([1, 4]).rows.tolist()
    [1]
    """

    rows: NDArray[np.signedinteger]  # (K,) row in the block, ascending
    securities: NDArray[np.signedinteger]  # (K,) place in ids, ascending in each row
    quantities: ScaledColumn  # (K,) shares, never 0
    ids: tuple[str, ...]
    prices: tuple[Decimal, ...]  # one per id

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.securities) == len(self.quantities.units):
            lengths = [len(self.rows), len(self.securities), len(self.quantities.units)]
            rule = "rows, securities and quantities have one length"
            raise RuleError(("others",), lengths, rule)
        if len(self.ids) != len(self.prices) or any(
            security_id >= following
            for security_id, following in zip(self.ids, self.ids[1:], strict=False)
        ):
            raise RuleError(("others", "ids"), self.ids, "ids ascend, each with one price")
        missing = find_unpriced(self.ids, dict(zip(self.ids, self.prices, strict=True)))
        if missing:
            raise PricesMissingError(missing)
        if len(self.rows):
            self._require_order()

    def _require_order(self) -> None:
        securities, count = self.securities, len(self.ids)
        if int(securities.min()) < 0 or int(securities.max()) >= count:
            raise RuleError(("others", "securities"), int(securities.max()), "a place in ids")
        order = np.diff(self.rows.astype(np.int64) * count + securities)
        if int(self.rows[0]) < 0 or np.any(order <= 0):
            rule = "holdings ascend by row and security, each once"
            raise RuleError(("others", "rows"), self.rows.tolist(), rule)
        if not np.all(self.quantities.units):
            raise RuleError(("others", "quantities"), 0, "a holding is not of 0 shares")

    @classmethod
    def none(cls) -> Self:
        """No holdings outside the model."""
        empty = np.zeros(0, dtype=np.int32)
        return cls(empty, empty, ScaledColumn(np.zeros(0, dtype=np.int64), 0), (), ())

    def select(self, rows: Rows) -> "OtherHoldings":
        """Select the holdings of some rows, in ascending order, and renumber the rows from 0."""
        if not len(self.rows):
            return self
        places, numbers = renumber(self.rows, rows)
        quantities = self.quantities.select(places)
        return replace(
            self, rows=numbers, securities=self.securities[places], quantities=quantities
        )


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioBlock:
    """Portfolios of one model at one price snapshot, in arrays.

    A row is one portfolio: cash in currency, shares of the model's securities in the order of the
    model (fractional or negative too), and its other holdings. Cash is finite by construction, and
    every price is that of the model or of ``others``. A portfolio with an unreadable amount, or
    with a holding without a price, stays out of the block and gets an error of its own.

    Raises RuleError, which names the column whose shape does not fit.

    >>> cash, shares = ScaledColumn.from_numbers([500]), ScaledColumn.from_numbers([3], (1, 1))
    >>> block = PortfolioBlock(("P" * 24,), cash, shares, OtherHoldings.none())
    >>> len(block), block.quantities.value(0, 0)
    (1, Decimal('3'))
    """

    portfolio_ids: tuple[str, ...]  # (B,)
    cash: ScaledColumn  # (B,) currency
    quantities: ScaledColumn  # (B, n) shares
    others: OtherHoldings

    def __post_init__(self) -> None:
        count, shape = len(self.portfolio_ids), self.quantities.units.shape
        if self.cash.units.shape != (count,):
            rule = "cash is one amount for each portfolio"
            raise RuleError(("cash", "shape"), self.cash.units.shape, rule)
        if len(shape) != 2 or shape[0] != count:
            raise RuleError(("quantities", "shape"), shape, "quantities have one row a portfolio")
        if len(self.others.rows) and int(self.others.rows[-1]) >= count:
            last = int(self.others.rows[-1])
            raise RuleError(("others", "rows"), last, "a holding is of a row of the block")

    def __len__(self) -> int:
        return len(self.portfolio_ids)

    def select(self, rows: Rows) -> "PortfolioBlock":
        """Select some rows, in ascending order."""
        if isinstance(rows, slice):
            ids = self.portfolio_ids[rows]
        else:
            ids = tuple(self.portfolio_ids[row] for row in rows)
        cash, quantities = self.cash.select(rows), self.quantities.select(rows)
        return PortfolioBlock(ids, cash, quantities, self.others.select(rows))

    def portfolio(
        self, row: int, securities: Sequence[PricedTarget], prices: Mapping[str, Decimal]
    ) -> Portfolio:
        """Make the Portfolio of a row; ``prices`` come from ``snapshot``."""
        shares = self.quantities.units[row]
        holdings = {
            securities[column].security_id: self.quantities.value(row, column)
            for column in np.flatnonzero(shares).tolist()
        }
        first, end = np.searchsorted(self.others.rows, (row, row + 1)).tolist()
        for place in range(first, end):
            security_id = self.others.ids[int(self.others.securities[place])]
            holdings[security_id] = self.others.quantities.value(place)
        return Portfolio(self.portfolio_ids[row], self.cash.value(row), holdings, prices)

    def snapshot(self, securities: Sequence[PricedTarget]) -> dict[str, Decimal]:
        """Prices of every security of the block, by id."""
        others = dict(zip(self.others.ids, self.others.prices, strict=True))
        return others | {security.security_id: security.price for security in securities}
