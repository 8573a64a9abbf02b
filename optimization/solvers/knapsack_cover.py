"""Minimum knapsack cover on top of the separable optimum: the cash row alone, solved exactly.

If the separable optimum overspends, some positions must step down. A position one lot above its
target can take a *chord* step (from the lot above the target to the lot below), which raises one
lot's value p for a drift of 2 t - 2 p z + p <= p. Every further, *full* step raises p for a drift
of exactly p. By convexity a chord is never worse than a full step of the same security, so the
cheapest cover is

    minimise    sum_i c_i x_i + sum_j p_j n_j          x_i in {0, 1}, 0 <= n_j <= m_j whole
    subject to  sum_i p_i x_i + sum_j p_j n_j >= shortfall

Exact, in four steps: a greedy cover; the linear relaxation, whose reduced costs fix most chords; a
dynamic program over the others that keeps the undominated (raised, drift) states whose bound beats
the best cover (cover_search.py); full steps for the rest of a state's shortfall (subset_sum.py).
See Kellerer, Pferschy and Pisinger, *Knapsack Problems* (2004), chapters 4, 5 and 13. Float bounds
have a margin and only discard states; every value of the answer is computed in integers.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from optimization.exact.block import Bands, Block
from optimization.exact.scaled_integers import Integers
from optimization.solvers.cover_search import Chords, candidate_sets
from optimization.solvers.subset_sum import BoundedSubsetSum, TooManySumsError

GREEDY_PREFIXES = 40


@dataclass(frozen=True, slots=True)
class Steps:
    """Downward steps of each security: lists of length n; money in units."""

    lot_value: list[int]
    chord: list[int | None]  # drift of the chord in units / denominator; None without one
    full: list[int]  # number of further steps
    denominator: int

    @property
    def max_cash(self) -> int:
        """Cash that all steps together raise."""
        rows = zip(self.lot_value, self.chord, self.full, strict=True)
        return sum(p * (m + (c is not None)) for p, c, m in rows)


@dataclass(frozen=True, slots=True)
class _Cover:
    """A cover: chords by their place in the order, full steps per security."""

    drift: int
    chords: tuple[int, ...]
    full: dict[int, int]


def list_steps(block: Block, bands: Bands, lots: Integers, fewest: Integers) -> Iterator[Steps]:
    """Yield the steps down from the optimum of each portfolio; lots >= fewest, shape (B, n)."""
    lot_value, denominator = block.lot_value, block.denominator
    room, excess = lots - fewest, lots * lot_value - bands.target
    has_chord = (room > 0) & (excess > 0)
    values: list[int] = lot_value.tolist()
    columns = (has_chord, lot_value - 2 * excess, bands.part, room - has_chord)
    for chords, change, parts, full in zip(*(array.tolist() for array in columns), strict=True):
        # Python integers, because a change in parts of a unit may not fit 64 bits.
        chord = [
            units * denominator + 2 * more if is_chord else None
            for is_chord, units, more in zip(chords, change, parts, strict=True)
        ]
        yield Steps(values, chord, full, denominator)


def cover(steps: Steps, shortfall: int) -> list[int] | None:
    """Choose lots to give up per security that raise ``shortfall`` units at the least drift.

    None if the search grows too large; the MILP then answers. Precondition:
    ``steps.max_cash >= shortfall > 0``.
    """
    return _Search(steps, shortfall).run()


class _Search:
    def __init__(self, steps: Steps, shortfall: int) -> None:
        rows = sorted(
            (c / p, i, p, c)
            for i, (p, c) in enumerate(zip(steps.lot_value, steps.chord, strict=True))
            if c is not None
        )
        self.steps = steps
        self.shortfall = shortfall
        self.security = [i for _, i, _, _ in rows]
        self.chords = Chords(
            [gain for _, _, gain, _ in rows], [drift for *_, drift in rows], steps.denominator
        )
        self.gains: list[int] = [0, *accumulate(self.chords.gain)]  # raised by the first j chords
        self.drifts: list[int] = [0, *accumulate(self.chords.drift)]

    @cached_property
    def full(self) -> BoundedSubsetSum:
        """The full steps, made on demand, because most searches end without them."""
        return BoundedSubsetSum.from_steps(self.steps.lot_value, self.steps.full)

    def run(self) -> list[int] | None:
        best = self._find_greedy()
        try:
            best = self._complete_all_chords(best)
            for drift, chords in candidate_sets(self.chords, self.shortfall, best.drift):
                best = self._complete(best, drift, chords)
        except TooManySumsError:
            return None
        lots = [best.full.get(i, 0) for i in range(len(self.steps.lot_value))]
        for place in best.chords:
            lots[self.security[place]] += 1
        return lots

    def _find_greedy(self) -> _Cover:
        """Find the best greedy cover: the first j chords, then one chord or steps of one security.

        Among equal covers the fewest first chords win, then a chord over steps.
        """
        last = min(bisect_left(self.gains, self.shortfall), len(self.security))
        best: _Cover | None = None
        # The longest prefix first, because it is often the best and then excludes most full steps.
        for first in range(last, max(0, last - GREEDY_PREFIXES) - 1, -1):
            for candidate in self._list_completions(first, best):
                if best is None or candidate.drift <= best.drift:
                    best = candidate
        return best or self._fill_largest_first()

    def _list_completions(self, first: int, best: _Cover | None) -> Iterator[_Cover]:
        """Complete the first chords by full steps of one security, then by one more chord."""
        prefix, drift = tuple(range(first)), self.drifts[first]
        shortfall = self.shortfall - self.gains[first]
        if shortfall <= 0:
            yield _Cover(drift, prefix, {})
            return
        if best is None or drift + shortfall * self.steps.denominator <= best.drift:
            single = self.full.least_single_sum(shortfall)
            if single is not None:
                raised, counts = single
                yield _Cover(drift + raised * self.steps.denominator, prefix, counts)
        rows = enumerate(zip(self.chords.gain[first:], self.chords.drift[first:], strict=True))
        closing = [(more, place) for place, (gain, more) in rows if gain >= shortfall]
        if closing:
            more, place = min(closing)
            yield _Cover(drift + more, (*prefix, first + place), {})

    def _fill_largest_first(self) -> _Cover:
        counts, raised = self.full.largest_first(self.shortfall - self.gains[-1])
        drift = self.drifts[-1] + raised * self.steps.denominator
        return _Cover(drift, tuple(range(len(self.security))), counts)

    def _complete_all_chords(self, best: _Cover) -> _Cover:
        """Complete all chords if they raise too little, because that is usually the optimum."""
        if self.gains[-1] >= self.shortfall:
            return best
        return self._complete(best, self.drifts[-1], tuple(range(len(self.security))))

    def _complete(self, best: _Cover, drift: int, chords: tuple[int, ...]) -> _Cover:
        """Return the better of ``best`` and these chords completed with full steps."""
        shortfall = self.shortfall - self.chords.cash_raised(chords)
        if shortfall <= 0:
            return min(best, _Cover(drift, chords, {}), key=lambda cover: cover.drift)
        most = -(-(best.drift - drift) // self.steps.denominator) - 1
        if most < shortfall:
            return best
        completion = self.full.least_sum(shortfall, most)
        if completion is None:
            return best
        raised, counts = completion
        return _Cover(drift + raised * self.steps.denominator, chords, counts)
