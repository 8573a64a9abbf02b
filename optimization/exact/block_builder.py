"""Block builder: domain objects to the integer arrays of block.py, exactly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import chain, repeat
from operator import attrgetter, mul

import numpy as np

from optimization.domain.certificate import Certificate
from optimization.domain.numbers import EXACT, Amount, Percent, decimals_of, to_currency
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import OutsideBand, PortfolioOutcome, Refusal, Status
from optimization.domain.portfolio import OtherTargets, Portfolio, PricedTarget
from optimization.exact.block import Block, fits_int64, largest_number
from optimization.exact.model_units import ModelUnits
from optimization.exact.odd_lots import Columns, columns_of
from optimization.exact.scaled_integers import (
    TOO_LARGE,
    Integers,
    integer_array,
    to_decimal,
    to_units,
)

FLOAT_MARGIN = 1.001  # of bounds in floats, because their sums are rounded
ZERO, ONE = Decimal(0), Decimal(1)
_id_of = attrgetter("security_id")


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
        portfolio = self.portfolios[row]
        columns = len(self.securities) - len(self.block.odd_lots)
        others = self.securities[len(self.model) : columns] or self.units.others.of(portfolio)
        outside = others[columns - len(self.model) :]  # no columns of the block
        sold = [_quantity(portfolio.holdings[one.security_id]) for one in outside]
        before = (*self._quantities_before(row), *sold)
        after, cash_after = before, portfolio.cash
        if lots is not None:
            after = (*self._quantities_after(row, lots), *(0,) * len(sold))
            cash_after = EXACT.subtract(self._cash_before_costs(row, lots), cost)
        untouched = Status.NO_TRADE if outside_band else Status.IN_BAND
        traded = untouched if after == before else Status.REBALANCED
        return PortfolioOutcome(
            portfolio_id=portfolio.portfolio_id,
            status=traded if refusal is None else Status.INFEASIBLE,
            market_value=portfolio.market_value,
            cash_before=portfolio.cash,
            cash_after=cash_after,
            securities=self.model,
            others=others,
            before=before,
            after=after,
            certificate=certificate,
            refusal=refusal,
            cost=cost,
            outside_band=outside_band,
        )

    def _cash_before_costs(self, row: int, lots: Integers) -> Decimal:
        block = self.block
        invested = int((lots * block.lot_value).sum())
        if self.fractions[row]:
            invested += int(block.remainder[row].sum())
        return to_decimal(int(block.market_value[row]) - invested, block.decimals)

    def _quantities_before(self, row: int) -> Iterable[int | Decimal]:
        if self.in_shares and not self.fractions[row]:
            return self.block.before[row].tolist()
        holdings = self.portfolios[row].holdings
        columns = self.securities[: len(self.securities) - len(self.block.odd_lots)]
        return [_quantity(holdings.get(one.security_id, ZERO)) for one in columns]

    def _quantities_after(self, row: int, lots: Integers) -> Iterable[int | Decimal]:
        whole: list[int] = lots.tolist()
        parts = self.fractions[row]
        if not self.in_shares:
            rows = zip(whole, self.lots, parts or [ZERO] * len(whole), strict=True)
            shares = [EXACT.fma(Decimal(n), lot, part) for n, lot, part in rows]
            for main, odd in self.block.odd_lots:
                shares[main] = EXACT.add(shares[main], shares[odd])
            return map(_quantity, shares[: len(shares) - len(self.block.odd_lots)])
        if not parts:
            return whole
        return [
            EXACT.add(Decimal(n), part) if part else n for n, part in zip(whole, parts, strict=True)
        ]


def whole_holdings(
    portfolio: Portfolio, ids: Sequence[str], others: OtherTargets
) -> list[int] | None:
    """Shares of a model's securities as whole numbers; None if the portfolio holds a fraction."""
    holdings = portfolio.holdings
    held = list(map(holdings.get, ids, repeat(ZERO)))
    whole = list(map(int, held))
    if whole != held:
        return None
    if len(whole) - whole.count(0) < len(holdings):
        outside = [holdings[security_id] for security_id in others.ids_of(portfolio)]
        if list(map(int, outside)) != outside:
            return None
    return whole


def build_block(
    model: tuple[PricedTarget, ...],
    others: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    whole: Sequence[list[int]] = (),
    units: ModelUnits | None = None,
) -> BlockWithIds:
    """Build a block of portfolios with one price mapping; columns: the model, then ``others``.

    Holdings outside these columns must be whole: they are sold to the last share. A caller that has
    the ``whole`` shares of all portfolios, in lots of one share, saves a second conversion, and so
    does one that has the ``units`` of the model.
    """
    units = units or ModelUnits.of(model)
    columns, held = _columns_and_lots(model, others, portfolios, options, whole)
    securities, lots, odd_lots = columns.securities, columns.lots, columns.odd_lots
    before, fractions = [row for row, _ in held], tuple(parts for _, parts in held)
    in_shares = _are_lots_shares(options, map(_id_of, securities))
    decimals = _decimals(units, columns, portfolios, fractions, options)
    price = _lot_prices(units, columns, decimals, in_shares=in_shares)
    market_value = [to_units(portfolio.market_value, decimals) for portfolio in portfolios]
    gross = _largest_value(before, price)
    charges = _largest_charges(options, len(securities), decimals)
    largest = largest_number(market_value, price, gross + charges, len(securities))
    size = largest if fits_int64(largest, units.denominator) else TOO_LARGE
    outside = [0] * (len(securities) - len(model))
    block = Block(
        decimals=decimals,
        denominator=units.denominator,
        lot_value=integer_array(price, size),
        weight=integer_array(units.weight + outside, size),
        low=integer_array(units.low + outside, size),
        high=integer_array(units.high + outside, size),
        remainder=_remainders(securities, fractions, decimals, size),
        before=integer_array(chain.from_iterable(before), size).reshape(
            len(portfolios), len(price)
        ),
        market_value=integer_array(market_value, size),
        investable=integer_array(_investable(portfolios, market_value, options, decimals), size),
        odd_lots=odd_lots,
    )
    return BlockWithIds(
        block, tuple(portfolios), securities, model, units, lots, fractions, in_shares
    )


def _columns_and_lots(
    model: tuple[PricedTarget, ...],
    others: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    whole: Sequence[list[int]],
) -> tuple[Columns, list[tuple[list[int], tuple[Decimal, ...]]]]:
    """Lay out the columns of a block, and split the holdings of each portfolio into lots."""
    securities = (*model, *others)
    ids = [*map(_id_of, securities)]
    lots = tuple(map(options.lots.get, ids, repeat(ONE)))
    in_shares = _are_lots_shares(options, ids)
    if others and not in_shares:
        (portfolio,) = portfolios
        columns = columns_of(model, others, portfolio, options)
        return columns, [_split_into_lots(list(columns.held), columns.lots, in_shares)]
    columns = Columns(securities, lots, (), ())
    if whole:
        return columns, [(row, ()) for row in whole]
    holdings = (list(map(one.holdings.get, ids, repeat(ZERO))) for one in portfolios)
    return columns, [_split_into_lots(held, lots, in_shares) for held in holdings]


def _are_lots_shares(options: RebalanceOptions, ids: Iterable[str]) -> bool:
    return not options.lots or all(options.lots.get(one, ONE) == 1 for one in ids)


def _lot_prices(
    units: ModelUnits, columns: Columns, decimals: int, *, in_shares: bool
) -> list[int]:
    if in_shares:
        scale = 10 ** (decimals - units.decimals)
        others = columns.securities[len(units.prices) :]
        prices = [price * scale for price in units.prices]
        return prices + [to_units(security.price, decimals) for security in others]
    rows = zip(columns.securities, columns.lots, strict=True)
    return [to_units(EXACT.multiply(security.price, lot), decimals) for security, lot in rows]


def _largest_charges(options: RebalanceOptions, securities: int, decimals: int) -> int:
    """Upper bound on fees and cash floor in units, for the int64 guard."""
    fee = to_units(options.cost_per_trade, decimals)
    return fee * securities + int(EXACT.scaleb(_number(options.cash_floor), decimals))


def _largest_value(before: Sequence[list[int]], price: Sequence[int]) -> int:
    """Upper bound on the value of the lots of each portfolio, in units."""
    try:
        lots, prices = np.array(before, dtype=np.int64), np.array(price, dtype=np.int64)
    except OverflowError:
        return max(sum(map(mul, map(abs, row), price)) for row in before)
    return int(FLOAT_MARGIN * float((np.abs(lots.astype(float)) @ prices).max(initial=0)))


def _investable(
    portfolios: Sequence[Portfolio],
    market_value: list[int],
    options: RebalanceOptions,
    decimals: int,
) -> list[int]:
    if not options.cash_floor:
        return market_value
    return [investable_units(portfolio.market_value, options, decimals) for portfolio in portfolios]


def investable_units(base: Decimal, options: RebalanceOptions, decimals: int) -> int:
    """Base less the cash floor, in whole units rounded down, because positions are whole too."""
    left = EXACT.subtract(base, to_currency(options.cash_floor, base))
    return int(EXACT.scaleb(left, decimals).to_integral_value(ROUND_FLOOR))


def _number(value: Amount) -> Decimal:
    """Amount in currency whose digits count; a percentage adds no digits to the market value's."""
    return ZERO if isinstance(value, Percent) else value


def _quantity(shares: Decimal) -> int | Decimal:
    whole = int(shares)
    return whole if whole == shares else shares


def _split_into_lots(
    held: list[Decimal], lots: Sequence[Decimal], in_shares: bool
) -> tuple[list[int], tuple[Decimal, ...]]:
    """Split each holding into whole lots, rounded down, and the rest; no rests if all are zero."""
    if in_shares:
        whole = list(map(int, held))
        if whole == held:
            return whole, ()
    before = [
        int(u.to_integral_value(ROUND_FLOOR)) if in_shares else Fraction(u) // Fraction(lot)
        for u, lot in zip(held, lots, strict=True)
    ]
    rows = zip(held, before, lots, strict=True)
    parts = tuple(EXACT.subtract(u, EXACT.multiply(Decimal(n), lot)) for u, n, lot in rows)
    return before, parts if any(parts) else ()


def _decimals(
    units: ModelUnits,
    columns: Columns,
    portfolios: Sequence[Portfolio],
    fractions: Sequence[tuple[Decimal, ...]],
    options: RebalanceOptions,
) -> int:
    """Decimals in which every amount of the block is a whole number, costs of trades included."""
    others = columns.securities[len(units.prices) :]
    prices = [*units.price_decimals, *(decimals_of(security.price) for security in others)]
    needed = [0, *prices, decimals_of(options.cost_per_trade)]
    of_rate = decimals_of(options.cost_rate)
    if options.lots or of_rate:
        needed += [
            decimals_of(lot) + p + of_rate for lot, p in zip(columns.lots, prices, strict=True)
        ]
    held = set[str]().union(*(portfolio.holdings for portfolio in portfolios))
    held.difference_update(map(_id_of, columns.securities))
    needed += [decimals_of(portfolios[0].prices[security_id]) for security_id in held]
    needed += [decimals_of(portfolio.cash) for portfolio in portfolios]
    for parts in fractions:
        rows = zip(parts, prices, strict=False)
        needed += [decimals_of(part) + p for part, p in rows if part]
    return max(needed)


def _remainders(
    securities: tuple[PricedTarget, ...],
    fractions: Sequence[tuple[Decimal, ...]],
    decimals: int,
    size: int,
) -> Integers:
    if not any(fractions):
        return integer_array([0], size).reshape(1, 1)
    whole = (Decimal(0),) * len(securities)
    values = (
        to_units(EXACT.multiply(part, security.price), decimals) if part else 0
        for parts in fractions
        for part, security in zip(parts or whole, securities, strict=True)
    )
    return integer_array(values, size).reshape(len(fractions), len(securities))
