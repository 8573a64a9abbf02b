"""Block builder: converts domain objects to the exact integer arrays of block.py."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import chain, repeat
from operator import attrgetter, mul

import numpy as np

from optimization.domain.numbers import EXACT, Amount, Percent, count_needed_decimals, to_currency
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio, PricedTarget
from optimization.exact.block import Block, fits_int64, largest_number
from optimization.exact.block_with_ids import BlockWithIds, WholeHoldings
from optimization.exact.odd_lots import Columns, lay_out_columns
from optimization.exact.scaled_integers import (
    INT64_SAFE,
    TOO_LARGE,
    Integers,
    ModelUnits,
    integer_array,
    to_units,
)

FLOAT_MARGIN = 1.001  # factor on float bounds, because their sums are rounded
ZERO, ONE = Decimal(0), Decimal(1)
_id_of = attrgetter("security_id")


def build_block(
    model: tuple[PricedTarget, ...],
    others: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    whole: Sequence[WholeHoldings] = (),
    units: ModelUnits | None = None,
) -> BlockWithIds:
    """Build a block of portfolios with one price mapping; columns: the model, then ``others``.

    Holdings outside these columns must be whole: they are sold to the last share. A caller that
    already has the ``whole`` holdings of all portfolios (with whole lots), or the ``units`` of the
    model, passes them to save a second conversion.
    """
    units = units or ModelUnits.from_targets(model)
    sold = _list_holdings_without_columns(others, portfolios, whole, units)
    columns, holdings = _lay_out_lots(model, others, portfolios, options, whole)
    securities, fractions = columns.securities, tuple(parts for _, parts in holdings)
    in_shares = _are_lots_shares(options, map(_id_of, securities))
    decimals = _count_decimals(units, columns, portfolios, sold, fractions, options)
    price = _price_lots(units, columns, decimals, in_shares=in_shares)
    before = _collect_lots([row for row, _ in holdings], len(price))
    market_value = [to_units(portfolio.market_value, decimals) for portfolio in portfolios]
    gross = _bound_value(before, price) + _bound_charges(options, len(securities), decimals)
    largest = largest_number(market_value, price, gross, len(securities))
    size = largest if fits_int64(largest, units.denominator) else TOO_LARGE
    outside = [0] * (len(securities) - len(model))
    block = Block(
        decimals=decimals,
        denominator=units.denominator,
        lot_value=integer_array(price, size),
        weight=integer_array(units.weight + outside, size),
        low=integer_array(units.low + outside, size),
        high=integer_array(units.high + outside, size),
        remainder=_value_remainders(securities, fractions, decimals, size),
        before=before if size < INT64_SAFE else before.astype(object),
        market_value=integer_array(market_value, size),
        investable=integer_array(
            _compute_investable(portfolios, market_value, options, decimals), size
        ),
        odd_lots=columns.odd_lots,
    )
    ids = tuple(portfolios), securities, model
    return BlockWithIds(block, *ids, units, columns.lots, fractions, in_shares, sold, whole)


def _list_holdings_without_columns(
    others: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    whole: Sequence[WholeHoldings],
    units: ModelUnits,
) -> tuple[tuple[PricedTarget, ...], ...]:
    """List the holdings of each portfolio without a column; empty if others have columns."""
    if others:
        return ()
    if whole:
        return tuple(holdings.others for holdings in whole)
    return tuple(map(units.others.price_holdings, portfolios))


def _lay_out_lots(
    model: tuple[PricedTarget, ...],
    others: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    whole: Sequence[WholeHoldings],
) -> tuple[Columns, list[tuple[Sequence[int], tuple[Decimal, ...]]]]:
    """Lay out the columns of a block, and split the holdings of each portfolio into lots."""
    securities = (*model, *others)
    ids = [*map(_id_of, securities)]
    lots = tuple(map(options.lots.get, ids, repeat(ONE)))
    in_shares = _are_lots_shares(options, ids)
    if others and not in_shares:
        (portfolio,) = portfolios
        columns = lay_out_columns(model, others, portfolio, options)
        return columns, [_split_into_lots(list(columns.holdings), columns.lots, in_shares)]
    columns = Columns(securities, lots, (), ())
    if whole and in_shares:
        return columns, [(holdings.shares, ()) for holdings in whole]
    if whole:
        return columns, [
            _split_whole_shares(holdings.shares, [*map(int, lots)]) for holdings in whole
        ]
    holdings = (list(map(portfolio.holdings.get, ids, repeat(ZERO))) for portfolio in portfolios)
    return columns, [_split_into_lots(shares, lots, in_shares) for shares in holdings]


def _are_lots_shares(options: RebalanceOptions, ids: Iterable[str]) -> bool:
    return not options.lots or all(options.lots.get(security_id, ONE) == 1 for security_id in ids)


def _price_lots(
    units: ModelUnits, columns: Columns, decimals: int, *, in_shares: bool
) -> list[int]:
    if in_shares:
        scale = 10 ** (decimals - units.decimals)
        others = columns.securities[len(units.prices) :]
        prices = [price * scale for price in units.prices]
        return prices + [to_units(security.price, decimals) for security in others]
    rows = zip(columns.securities, columns.lots, strict=True)
    return [to_units(EXACT.multiply(security.price, lot), decimals) for security, lot in rows]


def _bound_charges(options: RebalanceOptions, securities: int, decimals: int) -> int:
    """Upper bound on fees and cash floor in units, for the int64 guard."""
    fee = to_units(options.cost_per_trade, decimals)
    return fee * securities + int(EXACT.scaleb(_take_currency(options.cash_floor), decimals))


def _collect_lots(rows: list[Sequence[int]], columns: int) -> Integers:
    """Lots of each portfolio, shape (B, n), in int64 if they fit."""
    shape = len(rows), columns
    try:
        flat = np.fromiter(chain.from_iterable(rows), np.int64, len(rows) * columns)
    except OverflowError:
        return np.array(rows, dtype=np.object_).reshape(shape)
    return flat.reshape(shape)


def _bound_value(before: Integers, price: Sequence[int]) -> int:
    """Upper bound on the value of the lots of each portfolio, in units."""
    if before.dtype != np.object_ and max(price, default=0) < INT64_SAFE:
        prices = np.array(price, dtype=float)
        return int(FLOAT_MARGIN * float((np.abs(before.astype(float)) @ prices).max(initial=0)))
    return max(sum(map(mul, map(abs, row), price)) for row in before.tolist())


def _compute_investable(
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
    investable = EXACT.subtract(base, to_currency(options.cash_floor, base))
    return int(EXACT.scaleb(investable, decimals).to_integral_value(ROUND_FLOOR))


def _take_currency(value: Amount) -> Decimal:
    """Amount in currency; 0 for a percentage, which adds no digits to the market value's."""
    return ZERO if isinstance(value, Percent) else value


def _split_whole_shares(
    shares: Sequence[int], lots: Sequence[int]
) -> tuple[list[int], tuple[Decimal, ...]]:
    """Split whole shares into whole lots, rounded down, and the rest."""
    pairs = [divmod(u, lot) for u, lot in zip(shares, lots, strict=True)]
    parts = tuple(Decimal(rest) for _, rest in pairs)
    return [lots_held for lots_held, _ in pairs], parts if any(parts) else ()


def _split_into_lots(
    shares: list[Decimal], lots: Sequence[Decimal], in_shares: bool
) -> tuple[list[int], tuple[Decimal, ...]]:
    """Split each holding into whole lots, rounded down, and the rest; no rests if all are zero."""
    if in_shares:
        whole = list(map(int, shares))
        if whole == shares:
            return whole, ()
    before = [
        int(u.to_integral_value(ROUND_FLOOR)) if in_shares else Fraction(u) // Fraction(lot)
        for u, lot in zip(shares, lots, strict=True)
    ]
    rows = zip(shares, before, lots, strict=True)
    parts = tuple(EXACT.subtract(u, EXACT.multiply(Decimal(n), lot)) for u, n, lot in rows)
    return before, parts if any(parts) else ()


def _count_decimals(
    units: ModelUnits,
    columns: Columns,
    portfolios: Sequence[Portfolio],
    sold: Sequence[tuple[PricedTarget, ...]],
    fractions: Sequence[tuple[Decimal, ...]],
    options: RebalanceOptions,
) -> int:
    """Decimals in which every amount of the block is a whole number, costs of trades included."""
    others = columns.securities[len(units.prices) :]
    prices = [
        *units.price_decimals,
        *(count_needed_decimals(security.price) for security in others),
    ]
    needed = [0, *prices, count_needed_decimals(options.cost_per_trade)]
    of_rate = count_needed_decimals(options.cost_rate)
    if options.lots or of_rate:
        needed += [
            count_needed_decimals(lot) + p + of_rate
            for lot, p in zip(columns.lots, prices, strict=True)
        ]
    # The keys are identities, because the portfolios of a book share the objects of other holdings.
    without_column = {id(security): security for row in sold for security in row}
    needed += [count_needed_decimals(security.price) for security in without_column.values()]
    needed += [count_needed_decimals(portfolio.cash) for portfolio in portfolios]
    for parts in fractions:
        rows = zip(parts, prices, strict=False)
        needed += [count_needed_decimals(part) + p for part, p in rows if part]
    return max(needed)


def _value_remainders(
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
