"""PortfolioOutcome, Transaction and Drift: the answers of the engine. Imports no solver."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, Self

from optimization.domain.certificate import Certificate
from optimization.domain.numbers import EXACT
from optimization.domain.portfolio import PricedTarget
from optimization.domain.presentable import Presentable

ZERO = Decimal(0)
HUNDREDTH_PERCENT = Decimal("0.0001")
NO_WEIGHT = Decimal("0.0000")
WEIGHT_PARTS = 10_000  # parts in a weight of 1, because weights are shown with 4 decimals


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


class _KnownWeight:
    """A weight computed in advance; not a field, because it follows from the fields."""

    __slots__ = ("_weight",)
    _weight: Decimal


@dataclass(frozen=True, slots=True)
class Drift(_KnownWeight):
    """Line of a rebalance: the shares of a security before and after, and its weight after.

    Weights are fractions of market value.

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
        known = getattr(self, "_weight", None)
        if known is None:
            return compute_weight(self.adjusted_quantity, self.security.price, self.base)
        return known


def _find_setters(kind: type, *names: str) -> tuple[Callable[[object, Any], None], ...]:
    return tuple([getattr(kind, name).__set__ for name in names])


# Slots are set directly, because that takes half the time of a frozen class's __init__, and the
# outcomes of a book have millions of lines.
_new = object.__new__
_set_side, _set_security_id, _set_quantity = _find_setters(
    Transaction, "side", "security_id", "quantity"
)
_set_security, _set_original, _set_adjusted, _set_base, _set_weight = _find_setters(
    Drift, "security", "original_quantity", "adjusted_quantity", "base", "_weight"
)


def _make_transaction(side: Side, security_id: str, quantity: int | Decimal) -> Transaction:
    transaction = _new(Transaction)
    _set_side(transaction, side)
    _set_security_id(transaction, security_id)
    _set_quantity(transaction, quantity)
    return transaction


def _make_drift(
    security: PricedTarget,
    before: int | Decimal,
    after: int | Decimal,
    base: Decimal,
    weight: Decimal,
) -> Drift:
    drift = _new(Drift)
    _set_security(drift, security)
    _set_original(drift, before)
    _set_adjusted(drift, after)
    _set_base(drift, base)
    _set_weight(drift, weight)
    return drift


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
    # abs() is avoided, because abs of a Decimal rounds to the 28 digits of the ambient context.
    return abs(shares) if isinstance(shares, int) else shares.copy_abs()


def compute_weight(shares: int | Decimal, price: Decimal, base: Decimal) -> Decimal:
    """Weight of a position, 4 decimals, half up; 0 if the base is 0.

    The price is in currency a share, the base in currency; the weight is a fraction of the base.

    >>> compute_weight(28, Decimal("31.50"), Decimal(1000))
    Decimal('0.8820')
    """
    if not base or (not shares and base > 0):
        return NO_WEIGHT
    if shares < 0 or base < 0:
        weight = EXACT.divide(EXACT.multiply(Decimal(shares), price), base)
        return weight.quantize(HUNDREDTH_PERCENT, ROUND_HALF_UP, EXACT)
    # Whole parts, half up, because a quotient of 120 digits takes twice as long.
    twice = EXACT.fma(EXACT.multiply(2 * WEIGHT_PARTS, shares), price, base)
    return weight_from_parts(int(EXACT.divide_int(twice, EXACT.add(base, base))))


@lru_cache(maxsize=2 * WEIGHT_PARTS)
def weight_from_parts(parts: int) -> Decimal:
    """Convert parts of 0.0001 to a weight.

    >>> weight_from_parts(8820)
    Decimal('0.8820')
    """
    return EXACT.scaleb(Decimal(parts), -4)


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


class OutcomeSource(Protocol):
    """Arrays that hold the answers of many portfolios."""

    def read_values(self, row: int) -> Sequence[Any]:
        """Values of a row for the fields of PortfolioOutcome, in their order."""
        ...

    def read_turnover(self, row: int) -> Decimal | None:
        """Turnover of a row; None if the arrays do not have it."""
        ...

    def read_weights(self, row: int) -> Sequence[Decimal] | None:
        """Weights of the positions of a row; None if the arrays do not have them."""
        ...


class _Sourced(Presentable):
    """An outcome that reads its fields from arrays at the first access."""

    __slots__ = ("_row", "_source")
    _row: int
    _source: OutcomeSource

    @classmethod
    def from_row(cls, source: OutcomeSource, row: int) -> Self:
        """Make an outcome that reads its fields from a row of ``source`` on demand."""
        outcome = object.__new__(cls)
        object.__setattr__(outcome, "_source", source)
        object.__setattr__(outcome, "_row", row)
        return outcome

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:  # called for an empty slot alone
            if name not in _FIELDS:
                raise AttributeError(f"{type(self).__name__} has no attribute {name}")
            for fill, value in zip(_FILL, self._source.read_values(self._row), strict=True):
                fill(self, value)
            return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True)
class PortfolioOutcome(_Sourced):
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
        """Lines of the model's securities, then of the other holdings."""
        base = self.base
        if base is None:
            return
        source = getattr(self, "_source", None)
        weights = None if source is None else source.read_weights(self._row)
        if weights is None:
            for security, before, after in self.positions:
                yield Drift(security, before, after, base)
            return
        for (security, before, after), weight in zip(self.positions, weights, strict=True):
            yield _make_drift(security, before, after, base, weight)

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """The trade list, in the order of the drifts."""
        if self.market_value is None:
            return ()
        buy, sell = Side.BUY, Side.SELL
        return tuple(
            [
                _make_transaction(
                    buy if after > before else sell,
                    security.security_id,
                    unsigned(traded_shares(before, after)),
                )
                for security, before, after in self.positions
                if after != before
            ]
        )

    @property
    def turnover(self) -> Decimal:
        """Total value bought and sold, in currency."""
        total, plus = ZERO, EXACT.fma
        if self.market_value is None:
            return total
        source = getattr(self, "_source", None)
        known = None if source is None else source.read_turnover(self._row)
        if known is not None:
            return known
        for security, before, after in self.positions:
            # Untraded positions too, because the sum shows their digits.
            total = plus(unsigned(traded_shares(before, after)), security.price, total)
        return total


_FIELDS = PortfolioOutcome.__match_args__
_FILL = _find_setters(PortfolioOutcome, *_FIELDS)
