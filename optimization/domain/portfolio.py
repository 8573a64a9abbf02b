"""Portfolio and PricedTarget: holdings, and the targets of a model, at one price snapshot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import TYPE_CHECKING

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model
from optimization.domain.numbers import (
    EXACT,
    Number,
    Weight,
    are_decimals,
    read_decimal,
    read_decimals,
    read_weight,
)
from optimization.domain.rules import MODEL_RULE, require_mapping, require_type
from optimization.errors import OptimizationError, PricesMissingError, RuleError

ZERO = Decimal(0)
OUTSIDE = DriftBand(ZERO, ZERO)
_id_of = attrgetter("security_id")


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Cash, holdings in shares (fractional or negative too) and the prices that value them.

    Cash is in currency, prices in currency a share; all are kept as Decimals. ``prices`` may
    contain more securities than are held, because one snapshot serves a whole run. Holdings of
    zero shares are dropped.

    Raises PricesMissingError for held securities without a price above 0, and RuleError for a
    number that is not finite.

    >>> Portfolio("ira", 100, {"VTI": 3}, {"VTI": 2.5}).market_value
    Decimal('107.5')
    """

    portfolio_id: str
    cash: Decimal
    holdings: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    market_value: Decimal = field(init=False, compare=False)  # cash and all holdings, exact
    if TYPE_CHECKING:

        def __init__(
            self,
            portfolio_id: str,
            cash: Number,
            holdings: Mapping[str, Number],
            prices: Mapping[str, Number],
        ) -> None: ...

    def __post_init__(self) -> None:
        cash = read_decimal(self.cash, ("cash",))
        require_mapping(("holdings",), self.holdings)
        require_mapping(("prices",), self.prices)
        holdings = {security: shares for security, shares in self.holdings.items() if shares}
        if not are_decimals(holdings.values()):
            holdings = read_decimals(holdings, "holdings")
        object.__setattr__(self, "cash", cash)
        object.__setattr__(self, "holdings", holdings)
        prices, total = self.prices, cash
        # A single pass, because a book has millions of holdings; _find_error repeats it after a
        # failure. It calls fma of the price, because only a Decimal has that method.
        try:
            for security, shares in holdings.items():
                price = prices[security]
                total = price.fma(shares, total, EXACT)
                if price <= ZERO:
                    break
            else:
                if total.is_finite():
                    object.__setattr__(self, "market_value", total)
                    return
        except (KeyError, InvalidOperation):
            pass
        except AttributeError:
            object.__setattr__(self, "prices", read_decimals(prices, "prices"))
            self.__post_init__()
            return
        raise self._find_error()

    def _find_error(self) -> OptimizationError:
        """Find the first rule that the portfolio breaks."""
        if not self.cash.is_finite():
            return RuleError(("cash",), self.cash, "cash is a finite amount")
        missing = find_unpriced(self.holdings, self.prices)
        if missing:
            return PricesMissingError(missing)
        for security, shares in self.holdings.items():
            if not shares.is_finite():
                return RuleError(("holdings", security), shares, "a holding is a finite number")
        raise AssertionError


def find_unpriced(security_ids: Iterable[str], prices: Mapping[str, Decimal]) -> tuple[str, ...]:
    """Find the securities without a price above 0, in order of their ids.

    >>> find_unpriced(["VTI", "OLD"], {"VTI": Decimal(200), "OLD": Decimal(0)})
    ('OLD',)
    """
    pairs = ((security_id, prices.get(security_id, ZERO)) for security_id in security_ids)
    return tuple(
        sorted(security_id for security_id, price in pairs if not (price.is_finite() and price > 0))
    )


@dataclass(frozen=True, slots=True)
class PricedTarget:
    """A security in one rebalance: its price, its target (0 outside the model), its band.

    The price is in currency a share, weight and band are fractions of market value.

    >>> PricedTarget("VTI", "31.50", 0.25, DriftBand(0.01, 0.02)).price
    Decimal('31.50')
    """

    security_id: str
    price: Decimal
    weight: Weight
    band: DriftBand
    if TYPE_CHECKING:

        def __init__(
            self, security_id: str, price: Number, weight: Number, band: DriftBand
        ) -> None: ...

    def __post_init__(self) -> None:
        if type(self.price) is not Decimal or type(self.weight) is not Decimal:
            object.__setattr__(self, "price", read_decimal(self.price, ("price",)))
            object.__setattr__(self, "weight", read_weight(self.weight, ("weight",)))


def price_targets(model: Model, prices: Mapping[str, Number]) -> tuple[PricedTarget, ...]:
    """Price the targets of a model at one snapshot, in currency a share.

    Raises PricesMissingError, which names the securities without a price above 0.

    >>> price_targets(Model({"VTI": 0.9}, band=0.05), {"VTI": "31.50"})[0].price
    Decimal('31.50')
    """
    require_type(("model",), model, Model, MODEL_RULE)
    require_mapping(("prices",), prices)
    quotes = {
        security_id: read_decimal(prices[security_id], ("prices", security_id))
        for security_id in map(_id_of, model.targets)
        if security_id in prices
    }
    missing = find_unpriced(map(_id_of, model.targets), quotes)
    if missing:
        raise PricesMissingError(missing)
    return tuple(
        PricedTarget(
            target.security_id,
            quotes[target.security_id],
            target.weight,
            target.band.of_market_value,
        )
        for target in model.targets
    )


def price_others(
    securities: Sequence[PricedTarget], portfolio: Portfolio
) -> tuple[PricedTarget, ...]:
    """Price the holdings outside the model, by id; target and band are 0, so they are sold."""
    return OtherTargets(securities).price_holdings(portfolio)


class OtherTargets:
    """Targets of the holdings outside a model, one object for each security and price.

    Shared, because the outcomes of a book hold the same ones thousands of times.

    >>> fund, prices = "A" * 24, {"A" * 24: Decimal(10), "GOLD": Decimal(61)}
    >>> held = Portfolio("P" * 24, Decimal(0), {fund: Decimal(1), "GOLD": Decimal(2)}, prices)
    >>> others = OtherTargets((PricedTarget(fund, Decimal(10), ZERO, OUTSIDE),))
    >>> (gold,) = others.price_holdings(held)
    >>> gold.security_id, others.price_holdings(held)[0] is gold
    ('GOLD', True)
    """

    def __init__(self, securities: Sequence[PricedTarget]) -> None:
        self._model = frozenset(map(_id_of, securities))
        self._known: dict[str, PricedTarget] = {}

    def price_holdings(self, portfolio: Portfolio) -> tuple[PricedTarget, ...]:
        """Targets of a portfolio's holdings outside the model, by id."""
        return self.price(self.find_ids(portfolio), portfolio.prices)

    def price(
        self, security_ids: Iterable[str], prices: Mapping[str, Decimal]
    ) -> tuple[PricedTarget, ...]:
        """Targets of these securities outside the model, in their order."""
        return tuple(
            [self._target(security_id, prices[security_id]) for security_id in security_ids]
        )

    def find_ids(self, portfolio: Portfolio) -> list[str]:
        """Ids of a portfolio's holdings outside the model, in order."""
        ids = portfolio.holdings.keys()
        return [] if ids <= self._model else sorted(ids - self._model)

    def _target(self, security_id: str, price: Decimal) -> PricedTarget:
        target = self._known.get(security_id)
        # Compared by identity, because an equal price may be written with other digits.
        if target is None or target.price is not price:
            target = self._known[security_id] = PricedTarget(security_id, price, ZERO, OUTSIDE)
        return target
