"""Options that bind single securities: bounds on their lots, so that everything stays separable."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from optimization.domain.options import Direction, Percent, RebalanceOptions, Scope
from optimization.domain.outcome import PricedTarget
from optimization.exact.block import Bands, Block, lot_limits
from optimization.exact.scaled_integers import INT64_SAFE, Integers

UNLIMITED = 2**256  # lots


def restricted(
    block: Block,
    securities: Sequence[PricedTarget],
    lots: Sequence[Decimal],
    options: RebalanceOptions,
) -> Block:
    """One portfolio's block with the bounds of direction, named securities and dust.

    A short position that may not be bought back is kept, and so is a holding outside the model
    that is smaller than the least trade; ``lots`` in shares, per column.
    """
    ids = [security.security_id for security in securities]
    bought = np.array([may_buy(options, security_id) for security_id in ids], dtype=bool)
    sold = np.array([may_sell(options, security_id) for security_id in ids], dtype=bool)
    least = np.where(sold[None, :], 0, block.before)
    # Beyond int64 a lot may be so small that more than any of its numbers are held.
    unlimited = UNLIMITED if block.before.dtype == np.object_ else INT64_SAFE
    most = np.where(bought[None, :], unlimited, block.before)
    kept = ~bought[None, :] & (block.before < 0) | _dust(block, lots, options)
    if kept.any():
        least, most = np.where(kept, block.before, least), np.where(kept, block.before, most)
    owned = np.array([lots[i] != options.lots.get(one, 1) for i, one in enumerate(ids)])
    if owned.any():  # odd remainders, which cannot be bought
        most = np.where(owned[None, :], np.minimum(most, np.maximum(block.before, 0)), most)
    return block.restricted(least, most)


def least_trades(
    block: Block, lots: Sequence[Decimal], options: RebalanceOptions
) -> list[tuple[int, int]]:
    """The lots of the least trade by minimum_shares and by minimum_value, per column.

    An odd remainder has none: it is sold only with lots that are enough. A trade that is larger than all
    that is owned is none, however much larger: so the numbers of a block bound this one too.
    """
    if not (options.minimum_shares or options.minimum_value):
        return [(0, 0)] * len(lots)
    shares, value = Fraction(options.minimum_shares), options.minimum_value
    if isinstance(value, Percent):
        units = Fraction(value.value) * int(block.base[0]) / 100
    else:
        units = Fraction(value) * 10**block.decimals
    odd = {column for _, column in block.odd_lots}
    owned = abs(int(block.market_value[0])) + int(np.abs(block.before[0] * block.lot_value).sum())
    rows = enumerate(zip(lots, block.lot_value.tolist(), strict=True))
    needed: list[tuple[int, int]] = []
    for column, (lot, worth) in rows:
        most = 0 if column in odd else 2 * owned // worth + 2
        needed.append((min(ceil(shares / Fraction(lot)), most), min(ceil(units / worth), most)))
    return needed


def _dust(block: Block, lots: Sequence[Decimal], options: RebalanceOptions) -> NDArray[np.bool_]:
    """The holdings outside the model that are smaller than the least trade; shape (1, n)."""
    held: list[int] = np.abs(block.before[0]).tolist()
    needed = least_trades(block, lots, options)
    small = [0 < z < max(pair) for z, pair in zip(held, needed, strict=True)]
    return (np.array(small, dtype=bool) & block.outside)[None, :]


def scoped(
    block: Block,
    bands: Bands,
    lots: Sequence[Decimal],
    options: RebalanceOptions,
    *,
    bands_yield: bool = False,
) -> Block:
    """The same with what is inside its band left alone, and the rest moved as far as the scope says.

    To the edge is just back inside, or as far inside as the least trade. Where bands yield it may be less.
    """
    if options.scope is Scope.ALL or block.least is None or block.most is None:
        return block
    fewest, most = lot_limits(block, bands)
    before = block.before
    inside = (fewest <= before) & (before <= most)
    if bands_yield:
        return _scoped_yielding(block, bands, lots, options, inside)
    edge = np.minimum(np.maximum(before, fewest), most)
    if options.minimum_shares or options.minimum_value:
        trade = _least_trade(block, lots, options)
        farther = np.where(before < fewest, before + trade, before - trade)
        enough = np.abs(edge - before) >= trade
        edge = np.where(enough | (farther < fewest) | (farther > most), edge, farther)
    fixed = inside | (options.scope is Scope.DRIFTED_TO_EDGE)
    fixed &= fewest <= most
    place = np.where(inside, before, edge)
    least = np.where(fixed, np.maximum(block.least, place), block.least)
    return block.restricted(least, np.where(fixed, np.minimum(block.most, place), block.most))


def _least_trade(block: Block, lots: Sequence[Decimal], options: RebalanceOptions) -> Integers:
    needed = [max(pair) for pair in least_trades(block, lots, options)]
    return np.array(needed, dtype=block.before.dtype)


def _scoped_yielding(
    block: Block,
    bands: Bands,
    lots: Sequence[Decimal],
    options: RebalanceOptions,
    inside: NDArray[np.bool_],
) -> Block:
    assert block.least is not None
    assert block.most is not None
    before, least, most = block.before, block.least, block.most
    if options.scope is Scope.DRIFTED_TO_EDGE:
        fewest_inside, most_inside = lot_limits(block.unrestricted(), bands)
        trade, below = _least_trade(block, lots, options), before < fewest_inside
        farthest = (
            np.minimum(most_inside, before - trade),
            np.maximum(fewest_inside, before + trade),
        )
        least = np.maximum(least, np.where(below, before, farthest[0]))
        most = np.minimum(most, np.where(below, farthest[1], before))
    return block.restricted(np.where(inside, before, least), np.where(inside, before, most))


def may_buy(options: RebalanceOptions, security_id: str) -> bool:
    """Whether the options let a security be bought."""
    kept_out = security_id in options.do_not_buy or security_id in options.frozen
    return options.direction is not Direction.SELL_ONLY and not kept_out


def may_sell(options: RebalanceOptions, security_id: str) -> bool:
    """Whether the options let a security be sold."""
    kept_in = security_id in options.do_not_sell or security_id in options.frozen
    return options.direction is not Direction.BUY_ONLY and not kept_in


def restricting(options: RebalanceOptions, security_id: str, *, buying: bool) -> str:
    """The option that keeps a security from being bought, or sold, for an explanation."""
    for name in ("frozen", "do_not_buy" if buying else "do_not_sell"):
        if security_id in getattr(options, name):
            return name
    kept = Direction.SELL_ONLY if buying else Direction.BUY_ONLY
    if options.direction is kept:
        return "direction"
    if options.scope is Scope.ALL:  # nothing else binds a single security but that it is dust
        return "minimum_value" if options.minimum_value else "minimum_shares"
    return "scope"
