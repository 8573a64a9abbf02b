"""PortfolioOutcome, Transaction and Drift: the answers of the engine. Imports no solver."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from optimization.domain.certificate import Certificate
from optimization.domain.numbers import EXACT
from optimization.domain.portfolio import PricedTarget
from optimization.domain.presentable import Presentable

ZERO = Decimal(0)
HUNDREDTH_PERCENT = Decimal("0.0001")
NO_WEIGHT = Decimal("0.0000")


class Status(StrEnum):
    """Outcome of one portfolio.

    >>> print(*Status)
    REBALANCED IN_BAND NO_TRADE INFEASIBLE FAILED
    """

    REBALANCED = "REBALANCED"
    IN_BAND = "IN_BAND"  # no trade, and every band holds
    NO_TRADE = "NO_TRADE"  # no trade, and a security is outside its band
    INFEASIBLE = "INFEASIBLE"
    FAILED = "FAILED"


class Side(StrEnum):
    """Side of a transaction.

    >>> Side("SELL")
    <Side.SELL: 'SELL'>
    """

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A purchase or sale; ``quantity`` is in shares, above 0, and a Decimal only if not whole.

    >>> Transaction(Side.BUY, "VTI", 29).quantity
    29
    """

    side: Side
    security_id: str
    quantity: int | Decimal


@dataclass(frozen=True, slots=True)
class Drift:
    """One security of a rebalance: shares before and after, and its weight after.

    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    >>> security = PricedTarget("A" * 24, Decimal("31.50"), Decimal("0.9"), band)
    >>> line = Drift(security, 30, 28, base=Decimal(1000))
    >>> line.change, line.actual
    (-2, Decimal('0.8820'))
    """

    security: PricedTarget
    original_quantity: int | Decimal
    adjusted_quantity: int | Decimal
    base: Decimal  # market value of the portfolio after the costs of the rebalance

    @property
    def change(self) -> int | Decimal:
        """Shares bought (positive) or sold (negative), exact."""
        return traded_shares(self.original_quantity, self.adjusted_quantity)

    @property
    def trade_quantity(self) -> int | Decimal:
        """Shares bought or sold, exact, unsigned."""
        return unsigned(self.change)

    @property
    def actual(self) -> Decimal:
        """Weight after the rebalance, 4 decimals, half up; 0 if the base is 0."""
        return weight_of(self.adjusted_quantity, self.security.price, self.base)


def traded_shares(before: int | Decimal, after: int | Decimal) -> int | Decimal:
    """Shares bought (positive) or sold (negative), exact.

    >>> traded_shares(31, 28), traded_shares(Decimal("0.5"), 2)
    (-3, Decimal('1.5'))
    """
    if isinstance(before, int) and isinstance(after, int):
        return after - before
    return EXACT.subtract(after, before)


def unsigned(shares: int | Decimal) -> int | Decimal:
    """Shares without their sign, exact.

    >>> unsigned(-3)
    3
    """
    # Not abs(), because abs of a Decimal rounds to the 28 digits of the ambient context.
    return abs(shares) if isinstance(shares, int) else shares.copy_abs()


def weight_of(shares: int | Decimal, price: Decimal, base: Decimal) -> Decimal:
    """Weight of a position, 4 decimals, half up; 0 if the base is 0.

    >>> weight_of(28, Decimal("31.50"), Decimal(1000))
    Decimal('0.8820')
    """
    if base == 0 or (shares == 0 and base > 0):
        return NO_WEIGHT
    weight = EXACT.divide(EXACT.multiply(Decimal(shares), price), base)
    return weight.quantize(HUNDREDTH_PERCENT, ROUND_HALF_UP, EXACT)


class Edge(StrEnum):
    """Edge of a band that a security violates.

    >>> print(*Edge)
    BELOW ABOVE
    """

    BELOW = "BELOW"
    ABOVE = "ABOVE"


@dataclass(frozen=True, slots=True)
class OutsideBand:
    """A security that a plan leaves outside its band: by how much (currency), and why.

    ``held_by`` names options, or ``whole_lots`` if no number of whole shares is closer.

    >>> OutsideBand("A" * 24, Edge.ABOVE, Decimal("120.00"), ("direction",)).held_by
    ('direction',)
    """

    security_id: str
    side: Edge
    outside: Decimal
    held_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason why a portfolio has no plan, as plain data to store and show.

    ``code`` names the reason (``infeasible``, ``prices-missing``, ...), ``detail`` is a sentence,
    ``members`` are the facts for a program: strings, whole numbers, lists and mappings of those.

    >>> limits = [{"option": "cash_floor", "short_by": "10.00"}]
    >>> refusal = Refusal("infeasible", "No feasible solution exists: ...", {"limits": limits})
    >>> refusal.members["limits"][0]["short_by"]
    '10.00'
    """

    code: str
    detail: str
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PortfolioOutcome(Presentable):
    """The answer for one portfolio, rebalanced or refused.

    ``securities`` are the model's, one tuple shared by a whole rebalance; ``others`` are the
    holdings outside the model. ``before`` and ``after`` are shares aligned with ``securities +
    others``; market value, cash and cost are in currency. A refused portfolio trades nothing:
    ``after`` equals ``before``, and ``refusal`` gives the reason. If its holdings are unknown
    (FAILED), the amounts are None and there are no shares.

    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    >>> fund = PricedTarget("A" * 24, Decimal("31.50"), Decimal("0.9"), band)
    >>> value, cash = Decimal(1000), Decimal("86.50")
    >>> answer = PortfolioOutcome(
    ...     "P" * 24, Status.REBALANCED, value, value, cash, (fund,), (), (0,), (29,)
    ... )
    >>> answer.transactions[0].quantity, answer.turnover
    (29, Decimal('913.50'))
    """

    portfolio_id: str
    status: Status
    market_value: Decimal | None
    cash_before: Decimal | None
    cash_after: Decimal | None
    securities: tuple[PricedTarget, ...] = ()
    others: tuple[PricedTarget, ...] = ()
    before: tuple[int | Decimal, ...] = ()
    after: tuple[int | Decimal, ...] = ()
    certificate: Certificate | None = None
    refusal: Refusal | None = None
    counted_orders: int = 0  # open orders that ``before`` and ``cash_before`` treat as filled
    cost: Decimal = Decimal(0)  # trading costs, paid from cash
    outside_band: tuple[OutsideBand, ...] = ()

    @property
    def base(self) -> Decimal | None:
        """Market value after costs, the amount that weights are fractions of."""
        if self.market_value is None or not self.cost:
            return self.market_value
        return EXACT.subtract(self.market_value, self.cost)

    @property
    def positions(self) -> Iterator[tuple[PricedTarget, int | Decimal, int | Decimal]]:
        """Securities of the model, then the other holdings, with the shares before and after."""
        return zip((*self.securities, *self.others), self.before, self.after, strict=True)

    @property
    def drifts(self) -> Iterator[Drift]:
        """One line per security of the model, then of the other holdings."""
        base = self.base
        if base is None:
            return
        for security, before, after in self.positions:
            yield Drift(security, before, after, base)

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """The trade list, in the order of the drifts."""
        if self.market_value is None:
            return ()
        return tuple(
            Transaction(
                Side.BUY if after > before else Side.SELL,
                security.security_id,
                unsigned(traded_shares(before, after)),
            )
            for security, before, after in self.positions
            if after != before
        )

    @property
    def turnover(self) -> Decimal:
        """Total value bought and sold, in currency."""
        total, plus = ZERO, EXACT.fma
        if self.market_value is None:
            return total
        for security, before, after in self.positions:
            # Untraded ones too, because their digits show in the sum.
            total = plus(unsigned(traded_shares(before, after)), security.price, total)
        return total
