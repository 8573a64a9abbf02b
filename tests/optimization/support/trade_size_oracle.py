"""Size of a single trade, in fractions, from the text of RebalanceOptions alone."""

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from optimization.domain.numbers import Percent
from optimization.domain.options import RebalanceOptions

ZERO = Fraction(0)


@dataclass(frozen=True)
class TradeSize:
    """Least and most shares of a trade of one security; None for no most."""

    least: Fraction
    most: Fraction | None

    def admits(self, shares: Fraction) -> bool:
        """True if a trade of so many shares is small enough."""
        return self.most is None or abs(shares) <= self.most

    def admits_any(self, lot: Fraction) -> bool:
        """True if a trade of some lots is neither too large nor too small."""
        return self.most is None or floor(self.most / lot) * lot >= max(self.least, lot)

    def short_of_closing(self, held: Fraction, lot: Fraction, *, outside: bool) -> Fraction | None:
        """The most shares to trade of a position that has to be closed; None if all of it.

        An odd position outside the model whose round lots may not be traded alone is closed whole
        or not at all.
        """
        part = min(lot, Fraction(1)) if outside else lot
        whole = abs(floor(held / part) * part)
        if self.admits(whole):
            return None if outside or self.admits_any(lot) else ZERO
        assert self.most is not None
        round_lots = floor(whole / lot) * lot
        is_odd = outside and lot >= 1 and whole != round_lots
        if is_odd and (held < 0 or round_lots < max(self.least, lot)):
            return ZERO
        if outside and held < 0 and lot > 1:
            return ZERO
        shares = min(floor(self.most / lot) * lot, round_lots)
        return shares if shares >= self.least else ZERO


def trade_size(
    options: RebalanceOptions, security_id: str, price: Fraction, market_value: Fraction
) -> TradeSize:
    """Read the size of a trade; ``market_value`` is that before costs."""
    least = max(Fraction(options.minimum_shares), Fraction(options.minimum_value) / price)
    mosts: list[Fraction] = []
    value = options.maximum_value
    if isinstance(value, Percent):
        mosts.append(Fraction(value.value) / 100 * max(market_value, ZERO) / price)
    elif value is not None:
        mosts.append(Fraction(value) / price)
    if options.volume_share is not None:
        volume = Fraction(options.volumes.get(security_id, 0))
        mosts.append(Fraction(options.volume_share) * volume)
    return TradeSize(least, min(mosts, default=None))
