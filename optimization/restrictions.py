"""Options that bind single securities: bounds on their lots, so that everything stays separable."""

from collections.abc import Sequence

import numpy as np

from optimization.options import Direction, RebalanceOptions, Scope
from optimization.problem import Bands, Block
from optimization.result import Security
from optimization.separable import lot_limits
from optimization.units import INT64_SAFE

UNLIMITED = 2**256  # lots


def restricted(block: Block, securities: Sequence[Security], options: RebalanceOptions) -> Block:
    """One portfolio's block with the bounds of direction and named securities."""
    ids = [security.security_id for security in securities]
    bought = np.array([may_buy(options, security_id) for security_id in ids])
    sold = np.array([may_sell(options, security_id) for security_id in ids])
    least = np.where(sold[None, :], 0, block.before)
    # Beyond int64 a lot may be so small that more than any of its numbers are held.
    unlimited = UNLIMITED if block.before.dtype == np.object_ else INT64_SAFE
    most = np.where(bought[None, :], unlimited, block.before)
    return block.restricted(least, most)


def scoped(block: Block, bands: Bands, options: RebalanceOptions) -> Block:
    """The same with what is inside its band left alone, and the rest moved as far as the scope says."""
    if options.scope is Scope.ALL or block.least is None or block.most is None:
        return block
    fewest, most = lot_limits(block, bands)
    before = block.before
    inside = (fewest <= before) & (before <= most)
    edge = np.minimum(np.maximum(before, fewest), most)
    fixed = inside | (options.scope is Scope.DRIFTED_TO_EDGE)
    fixed &= fewest <= most
    place = np.where(inside, before, edge)
    least = np.where(fixed, np.maximum(block.least, place), block.least)
    return block.restricted(least, np.where(fixed, np.minimum(block.most, place), block.most))


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
    return "direction" if options.direction is kept else "scope"
