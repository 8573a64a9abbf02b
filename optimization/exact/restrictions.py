"""Restrictions: options that bound the lots of single securities; the problem stays separable."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from optimization.domain.option_values import Direction, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.exact.block import Bands, Block, lot_limits
from optimization.exact.scaled_integers import INT64_SAFE, Integers
from optimization.exact.trade_sizes import MostTraded, least_trades

UNLIMITED = 2**256  # lots


def restrict_block(
    block: Block,
    securities: Sequence[PricedTarget],
    lots: Sequence[Decimal],
    options: RebalanceOptions,
) -> Block:
    """Add the bounds of direction, named securities, dust and the size of a trade to a block.

    A short position that may not be bought back is kept, and so is dust: a holding outside the
    model below the minimum trade, found only in a block of one portfolio. ``lots`` are shares in a
    lot, per column.
    """
    ids = [security.security_id for security in securities]
    is_buyable = np.array([may_buy(options, security_id) for security_id in ids], dtype=bool)
    is_sellable = np.array([may_sell(options, security_id) for security_id in ids], dtype=bool)
    least = np.where(is_sellable[None, :], 0, block.before)
    # Python integers need a higher bound, because a holding may have more lots than int64 holds.
    unlimited = UNLIMITED if block.before.dtype == np.object_ else INT64_SAFE
    most = np.where(is_buyable[None, :], unlimited, block.before)
    is_fixed = ~is_buyable[None, :] & (block.before < 0) | _find_dust(block, lots, options)
    if is_fixed.any():
        least = np.where(is_fixed, block.before, least)
        most = np.where(is_fixed, block.before, most)
    owned = np.array(
        [lots[i] != options.lots.get(security_id, 1) for i, security_id in enumerate(ids)]
    )
    if owned.any():  # odd remainders, which cannot be bought
        most = np.where(owned[None, :], np.minimum(most, np.maximum(block.before, 0)), most)
    if options.limits_trade_size:
        least, most = MostTraded.from_options(block, securities, options).bound(
            block.before, least, most
        )
    return block.with_bounds(least, most)


def keeps_outside(block: Block, lots: Integers) -> NDArray[np.bool_]:
    """Whether restrictions keep a position of a plan outside its band permanently; shape (B,).

    True for a holding of target 0 that may not be sold, or a short position that may not be bought
    back.
    """
    is_outside = block.is_kept_short | ((lots != 0) & block.is_outside)
    return is_outside.any(axis=1)


def _find_dust(
    block: Block, lots: Sequence[Decimal], options: RebalanceOptions
) -> NDArray[np.bool_]:
    """Whether each holding is outside the model and below the minimum trade; shape (1, n)."""
    if not (options.minimum_shares or options.minimum_value):
        return np.zeros((1, len(lots)), dtype=bool)
    sizes: list[int] = np.abs(block.before[0]).tolist()
    needed = least_trades(block, lots, options)
    small = [0 < z < max(pair) for z, pair in zip(sizes, needed, strict=True)]
    return (np.array(small, dtype=bool) & block.is_outside)[None, :]


def apply_scope(
    block: Block,
    bands: Bands,
    lots: Sequence[Decimal],
    options: RebalanceOptions,
    *,
    bands_yield: bool = False,
) -> Block:
    """Freeze positions inside their bands, and let the others move as far as the scope says.

    DRIFTED_TO_EDGE moves a position just inside its band, or farther if the minimum trade requires
    it. With yielding bands it may stop before the edge.
    """
    if options.scope is Scope.ALL or block.least is None or block.most is None:
        return block
    fewest, most = lot_limits(block, bands)
    before = block.before
    inside = (fewest <= before) & (before <= most)
    if bands_yield:
        return _apply_soft_scope(block, bands, lots, options, inside)
    edge = np.minimum(np.maximum(before, fewest), most)
    if options.minimum_shares or options.minimum_value:
        trade = _compute_least_trade(block, lots, options)
        farther = np.where(before < fewest, before + trade, before - trade)
        enough = np.abs(edge - before) >= trade
        edge = np.where(enough | (farther < fewest) | (farther > most), edge, farther)
    fixed = inside | (options.scope is Scope.DRIFTED_TO_EDGE)
    fixed &= fewest <= most
    place = np.where(inside, before, edge)
    least = np.where(fixed, np.maximum(block.least, place), block.least)
    return block.with_bounds(least, np.where(fixed, np.minimum(block.most, place), block.most))


def _compute_least_trade(
    block: Block, lots: Sequence[Decimal], options: RebalanceOptions
) -> Integers:
    needed = [max(pair) for pair in least_trades(block, lots, options)]
    return np.array(needed, dtype=block.before.dtype)


def _apply_soft_scope(
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
        fewest_inside, max_inside = lot_limits(block.without_bounds(), bands)
        trade, below = _compute_least_trade(block, lots, options), before < fewest_inside
        farthest = (
            np.minimum(max_inside, before - trade),
            np.maximum(fewest_inside, before + trade),
        )
        least = np.maximum(least, np.where(below, before, farthest[0]))
        most = np.minimum(most, np.where(below, farthest[1], before))
    return block.with_bounds(np.where(inside, before, least), np.where(inside, before, most))


def may_buy(options: RebalanceOptions, security_id: str) -> bool:
    """Whether the options permit buying a security."""
    kept_out = security_id in options.do_not_buy or security_id in options.frozen
    return options.direction is not Direction.SELL_ONLY and not kept_out


def may_sell(options: RebalanceOptions, security_id: str) -> bool:
    """Whether the options permit selling a security."""
    kept_in = security_id in options.do_not_sell or security_id in options.frozen
    return options.direction is not Direction.BUY_ONLY and not kept_in


def may_trade_away(options: RebalanceOptions, security_id: str, shares: float | Decimal) -> bool:
    """Whether the options permit trading a holding to 0 in lots of one share.

    Only the sign of ``shares`` counts. A fraction of a share is kept in any case.
    """
    if options.lots.get(security_id, 1) != 1:
        return False
    may = may_sell if shares > 0 else may_buy
    return not shares or may(options, security_id)


def restricting_option(
    options: RebalanceOptions, security_id: str, *, buying: bool, of_size: str | None = None
) -> str:
    """Name the option that prevents buying, or selling, a security.

    ``of_size`` is the option that limits the size of the trade, if the trade reaches that limit.
    """
    for name in ("frozen", "do_not_buy" if buying else "do_not_sell"):
        if security_id in getattr(options, name):
            return name
    opposite = Direction.SELL_ONLY if buying else Direction.BUY_ONLY
    if options.direction is opposite:
        return "direction"
    if of_size is not None:
        return of_size
    if options.scope is Scope.ALL:  # dust, because only a minimum trade can be left
        return "minimum_value" if options.minimum_value else "minimum_shares"
    return "scope"
