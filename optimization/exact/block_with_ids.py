"""BlockWithIds: a block with its portfolios and securities, which turns plans into outcomes.

``find_blockable`` finds the portfolios that can share a block.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat

from optimization.domain.certificate import Certificate
from optimization.domain.numbers import EXACT
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import OutsideBand, PortfolioOutcome, Refusal, Status
from optimization.domain.portfolio import OtherTargets, Portfolio, PricedTarget
from optimization.exact.block import Block
from optimization.exact.restrictions import may_trade_away
from optimization.exact.scaled_integers import Integers, ModelUnits, to_decimal

ZERO, ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, slots=True)
class WholeHoldings:
    """Holdings in whole shares: quantities inside the model, securities outside it.

    >>> funds, prices = ["A" * 24, "B" * 24], {"A" * 24: Decimal(10), "GOLD": Decimal(61)}
    >>> held = Portfolio("P" * 24, 0, {"A" * 24: Decimal("3.00"), "GOLD": Decimal(2)}, prices)
    >>> found = WholeHoldings.from_portfolio(held, funds, OtherTargets(()))
    >>> found.shares
    (3, 0)
    """

    shares: tuple[int, ...]  # one per security of the model
    others: tuple[PricedTarget, ...]  # held outside the model, by id

    @classmethod
    def from_portfolio(
        cls, portfolio: Portfolio, model_ids: Sequence[str], others: OtherTargets
    ) -> "WholeHoldings | None":
        """Convert the holdings of a portfolio; None if one is a fraction of a share."""
        holdings = portfolio.holdings
        inside = list(map(holdings.get, model_ids, repeat(ZERO)))
        shares = list(map(int, inside))
        if shares != inside:
            return None
        if len(shares) - shares.count(0) == len(holdings):
            return cls(tuple(shares), ())
        outside = others.price_holdings(portfolio)
        quantities = [holdings[security.security_id] for security in outside]
        if quantities != list(map(int, quantities)):
            return None
        return cls(tuple(shares), outside)


def find_blockable(
    securities: Sequence[PricedTarget],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    units: ModelUnits,
) -> dict[int, WholeHoldings]:
    """Find the portfolios that can share arrays, by place: one price mapping, whole shares.

    Under restrictions, lots are whole and no holding outside the model is kept.
    """
    ids = [security.security_id for security in securities]
    lots = map(options.lots.get, ids, repeat(ONE))
    if (
        options.couples
        or _has_fractions(securities)
        or any(lot != lot.to_integral_value() for lot in lots)
    ):
        return {}
    blockable: dict[int, WholeHoldings] = {}
    restricts = options.restricts
    for place, portfolio in enumerate(portfolios):
        if portfolio.prices is portfolios[0].prices:
            whole = WholeHoldings.from_portfolio(portfolio, ids, units.others)
            if whole and not (restricts and _keeps_other(options, portfolio, whole)):
                blockable[place] = whole
    return blockable


def _keeps_other(options: RebalanceOptions, portfolio: Portfolio, whole: WholeHoldings) -> bool:
    ids = [security.security_id for security in whole.others]
    if options.limits_trade_size:  # because the market value may decide
        return bool(ids)
    return not all(
        may_trade_away(options, security_id, portfolio.holdings[security_id]) for security_id in ids
    )


def _has_fractions(securities: Sequence[PricedTarget]) -> bool:
    """Whether a weight is a fraction, so that amounts may have endless digits.

    Such amounts are rounded by the unit of the block, which depends on all its portfolios.
    """
    weights = (
        part
        for security in securities
        for part in (security.weight, security.band.low, security.band.high)
    )
    return not all(isinstance(part, Decimal) for part in weights)


@dataclass(frozen=True, slots=True)
class BlockWithIds:
    """A block with the portfolios of its rows and the securities of its columns."""

    block: Block
    portfolios: tuple[Portfolio, ...]
    securities: tuple[PricedTarget, ...]  # one per column
    # Securities of the first columns; other holdings and their odd remainders follow.
    model: tuple[PricedTarget, ...]
    units: ModelUnits
    lots: tuple[Decimal, ...]  # shares in a lot, per column
    fractions: tuple[tuple[Decimal, ...], ...]  # rest below a lot, per portfolio and column
    in_shares: bool  # every lot is one share
    # Per portfolio: holdings without a column, which are sold; empty if all holdings have columns.
    sold: tuple[tuple[PricedTarget, ...], ...] = ()
    whole: Sequence[WholeHoldings] = ()  # per portfolio, if known

    def make_outcome(
        self,
        row: int,
        lots: Integers | None = None,
        certificate: Certificate | None = None,
        refusal: Refusal | None = None,
        cost: Decimal = ZERO,
        outside_band: tuple[OutsideBand, ...] = (),
    ) -> PortfolioOutcome:
        """Make the outcome of one portfolio: with these lots of every column, or untraded."""
        cash_after, after = self.portfolios[row].cash, None
        if lots is not None:
            cash_after = EXACT.subtract(self._compute_cash_before_costs(row, lots), cost)
            after = lots.tolist()
        return self.make_plan(row, after, cash_after, certificate, refusal, cost, outside_band)

    def make_plan(
        self,
        row: int,
        lots: Sequence[int] | None,
        cash_after: Decimal,
        certificate: Certificate | None,
        refusal: Refusal | None = None,
        cost: Decimal = ZERO,
        outside_band: tuple[OutsideBand, ...] = (),
    ) -> PortfolioOutcome:
        """Make the outcome of one portfolio whose cash after the plan is known."""
        portfolio = self.portfolios[row]
        columns = len(self.securities) - len(self.block.odd_lots)
        sold = self.sold[row] if self.sold else ()
        before = after = self._read_quantities_before(row)
        if lots is not None:
            after = self._compute_quantities_after(row, lots)
        if sold:
            before = (*before, *_read_quantities(portfolio, sold))
            after = before if lots is None else (*after, *(0,) * len(sold))
        untouched = Status.NO_TRADE if outside_band else Status.IN_BAND
        traded = untouched if after == before else Status.REBALANCED
        return PortfolioOutcome(
            portfolio.portfolio_id,
            traded if refusal is None else Status.INFEASIBLE,
            portfolio.market_value,
            portfolio.cash,
            cash_after,
            self.model,
            (*self.securities[len(self.model) : columns], *sold),
            before,
            after,
            certificate,
            refusal,
            cost=cost,
            outside_band=outside_band,
        )

    def _compute_cash_before_costs(self, row: int, lots: Integers) -> Decimal:
        block = self.block
        invested = int((lots * block.lot_value).sum())
        if self.fractions[row]:
            invested += int(block.remainder[row].sum())
        return to_decimal(int(block.market_value[row]) - invested, block.decimals)

    def _read_quantities_before(self, row: int) -> tuple[int | Decimal, ...]:
        if self.whole:
            return self.whole[row].shares
        if self.in_shares and not self.fractions[row]:
            return tuple(self.block.before[row].tolist())
        holdings = self.portfolios[row].holdings
        columns = self.securities[: len(self.securities) - len(self.block.odd_lots)]
        return tuple(_to_quantity(holdings.get(security.security_id, ZERO)) for security in columns)

    def _compute_quantities_after(self, row: int, lots: Sequence[int]) -> tuple[int | Decimal, ...]:
        parts = self.fractions[row]
        if not self.in_shares:
            rows = zip(lots, self.lots, parts or [ZERO] * len(lots), strict=True)
            shares = [EXACT.fma(Decimal(n), lot, part) for n, lot, part in rows]
            for main, odd in self.block.odd_lots:
                shares[main] = EXACT.add(shares[main], shares[odd])
            return tuple(map(_to_quantity, shares[: len(shares) - len(self.block.odd_lots)]))
        if not parts:
            return tuple(lots)
        pairs = zip(lots, parts, strict=True)
        return tuple(EXACT.add(Decimal(n), part) if part else n for n, part in pairs)


def _read_quantities(portfolio: Portfolio, sold: Sequence[PricedTarget]) -> Iterable[int | Decimal]:
    return [_to_quantity(portfolio.holdings[security.security_id]) for security in sold]


def _to_quantity(shares: Decimal) -> int | Decimal:
    whole = int(shares)
    return whole if whole == shares else shares
