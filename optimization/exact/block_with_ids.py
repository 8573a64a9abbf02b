"""BlockWithIds: a block with its portfolios and securities, and its plans as outcomes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from optimization.domain.certificate import Certificate
from optimization.domain.numbers import EXACT, decimals_of
from optimization.domain.outcome import OutsideBand, PortfolioOutcome, Refusal, Status
from optimization.domain.portfolio import Portfolio, PricedTarget
from optimization.exact.block import Block
from optimization.exact.model_units import ModelUnits
from optimization.exact.scaled_integers import Integers, to_decimal
from optimization.exact.whole_holdings import WholeHoldings

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class BlockWithIds:
    """A block with the portfolios of its rows and the securities of its columns."""

    block: Block
    portfolios: tuple[Portfolio, ...]
    securities: tuple[PricedTarget, ...]  # one per column
    # The first columns; other holdings and their odd remainders follow.
    model: tuple[PricedTarget, ...]
    units: ModelUnits  # of the model
    lots: tuple[Decimal, ...]  # shares in a lot, per column
    fractions: tuple[tuple[Decimal, ...], ...]  # rest below a lot, per portfolio and column
    in_shares: bool  # every lot is one share
    # Per portfolio: holdings without columns, sold whole; none where all holdings have columns.
    sold: tuple[tuple[PricedTarget, ...], ...] = ()
    whole: Sequence[WholeHoldings] = ()  # per portfolio, if known

    def decimals_of_row(self, row: int) -> int:
        """Decimals in which every amount of a portfolio is whole, whatever else the block has."""
        outside = self.securities[len(self.model) :]
        prices = [*self.units.price_decimals, *(decimals_of(one.price) for one in outside)]
        sold = self.sold[row] if self.sold else ()
        parts = zip(self.fractions[row], prices, strict=False)
        needed = [decimals_of(part) + places for part, places in parts if part]
        needed += [decimals_of(one.price) for one in sold]
        return max(0, decimals_of(self.portfolios[row].cash), *prices, *needed)

    def make_outcome(
        self,
        row: int,
        lots: Integers | None = None,
        certificate: Certificate | None = None,
        refusal: Refusal | None = None,
        cost: Decimal = ZERO,
        outside_band: tuple[OutsideBand, ...] = (),
    ) -> PortfolioOutcome:
        """Make the answer for one portfolio: with these lots of every column, or untraded."""
        cash_after, after = self.portfolios[row].cash, None
        if lots is not None:
            cash_after = EXACT.subtract(self._cash_before_costs(row, lots), cost)
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
        """Make the answer for one portfolio, whose cash after the plan is known."""
        portfolio = self.portfolios[row]
        columns = len(self.securities) - len(self.block.odd_lots)
        sold = self.sold[row] if self.sold else ()
        before = after = self._quantities_before(row)
        if lots is not None:
            after = self._quantities_after(row, lots)
        if sold:
            before = (*before, *_quantities(portfolio, sold))
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

    def _cash_before_costs(self, row: int, lots: Integers) -> Decimal:
        block = self.block
        invested = int((lots * block.lot_value).sum())
        if self.fractions[row]:
            invested += int(block.remainder[row].sum())
        return to_decimal(int(block.market_value[row]) - invested, block.decimals)

    def _quantities_before(self, row: int) -> tuple[int | Decimal, ...]:
        if self.whole:
            return self.whole[row].shares
        if self.in_shares and not self.fractions[row]:
            return tuple(self.block.before[row].tolist())
        holdings = self.portfolios[row].holdings
        columns = self.securities[: len(self.securities) - len(self.block.odd_lots)]
        return tuple(_quantity(holdings.get(one.security_id, ZERO)) for one in columns)

    def _quantities_after(self, row: int, lots: Sequence[int]) -> tuple[int | Decimal, ...]:
        parts = self.fractions[row]
        if not self.in_shares:
            rows = zip(lots, self.lots, parts or [ZERO] * len(lots), strict=True)
            shares = [EXACT.fma(Decimal(n), lot, part) for n, lot, part in rows]
            for main, odd in self.block.odd_lots:
                shares[main] = EXACT.add(shares[main], shares[odd])
            return tuple(map(_quantity, shares[: len(shares) - len(self.block.odd_lots)]))
        if not parts:
            return tuple(lots)
        pairs = zip(lots, parts, strict=True)
        return tuple(EXACT.add(Decimal(n), part) if part else n for n, part in pairs)


def _quantities(portfolio: Portfolio, sold: Sequence[PricedTarget]) -> Iterable[int | Decimal]:
    return [_quantity(portfolio.holdings[one.security_id]) for one in sold]


def _quantity(shares: Decimal) -> int | Decimal:
    whole = int(shares)
    return whole if whole == shares else shares
