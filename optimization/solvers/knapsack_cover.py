"""The cash row alone, solved exactly: a minimum knapsack cover on top of the separable optimum.

Where the separable optimum costs more than there is, some positions must step down. A position one
lot above its target can take a *chord* step (from the lot above the target to the one below), which
frees one lot's value p for a drift of 2 t - 2 p z + p <= p; every further, *full* step frees p for a
drift of exactly p. By convexity a chord is never worse than a full step of the same security, so the
cheapest way down is

    minimise    sum_i c_i x_i + sum_j p_j n_j          x_i in {0, 1}, 0 <= n_j <= m_j whole
    subject to  sum_i p_i x_i + sum_j p_j n_j >= need

Exact, in four steps: a greedy cover; the linear relaxation, whose reduced costs fix most chords; a
dynamic program over the undecided ones that keeps the undominated (freed, drift) states whose bound
beats the best cover (chords.py); full steps for what a state still lacks (full_steps.py). Kellerer,
Pferschy and Pisinger, *Knapsack Problems* (2004), chapters 4, 5 and 13. Bounds are floats with a margin
and only ever discard; every value that is kept or compared for the answer is a whole number.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization.exact.scaled_integers import INT64_SAFE, Integers
from optimization.solvers.cover_search import Chords, candidate_sets
from optimization.solvers.subset_sum import BoundedSubsetSum, TooManySumsError

GREEDY_PREFIXES = 40


@dataclass(frozen=True, slots=True)
class Steps:
    """What can be freed, per security: lists of length n; money in units."""

    lot_value: list[int]
    chord: list[int | None]  # drift of the chord in units / denominator; None where there is none
    full: list[int]  # number of further steps
    denominator: int

    @property
    def most(self) -> int:
        """All that can be freed."""
        rows = zip(self.lot_value, self.chord, self.full, strict=True)
        return sum(p * (m + (c is not None)) for p, c, m in rows)


@dataclass(frozen=True, slots=True)
class _Cover:
    """A way to free enough: chords by their place in the order, full steps per security."""

    drift: int
    chords: tuple[int, ...]
    full: dict[int, int]


def steps_of(
    lot_value: Integers,
    lots: Integers,
    fewest: Integers,
    target: Integers,
    part: Integers,
    denominator: int,
) -> Steps:
    """The downward steps from the separable optimum of one portfolio, lots >= fewest; arrays (n,)."""
    columns = (array.tolist() for array in (lot_value, lots, fewest, target, part))
    chords: list[int | None] = []
    fulls: list[int] = []
    for p, z, least, t, t_part in zip(*columns, strict=True):
        room = z - least
        above = room > 0 and z * p > t
        chords.append((2 * (t - z * p) + p) * denominator + 2 * t_part if above else None)
        fulls.append(room - above)
    return Steps(lot_value.tolist(), chords, fulls, denominator)


def cover(steps: Steps, need: int) -> list[int] | None:
    """Lots to give up per security so that ``need`` units are freed at the least drift.

    None where the search does not stay small; the modelling path then answers. The caller has
    checked that ``steps.most >= need > 0``.
    """
    return _Search(steps, need).run()


class _Search:
    def __init__(self, steps: Steps, need: int) -> None:
        rows = sorted(
            (c / p, i, p, c)
            for i, (p, c) in enumerate(zip(steps.lot_value, steps.chord, strict=True))
            if c is not None
        )
        dtype = np.object_ if steps.most * steps.denominator >= INT64_SAFE else np.int64
        gain, drift = (np.array([row[at] for row in rows], dtype=dtype) for at in (2, 3))
        self.steps = steps
        self.need = need
        self.security = [i for _, i, _, _ in rows]
        self.chords = Chords(gain, drift, steps.denominator)
        self.gains: list[int] = [0, *np.cumsum(gain).tolist()]  # freed by the first j chords
        self.drifts: list[int] = [0, *np.cumsum(drift).tolist()]
        self.full = BoundedSubsetSum.of(steps.lot_value, steps.full)

    def run(self) -> list[int] | None:
        best = self._greedy()
        try:
            best = self._all_chords(best)
            for drift, chords in candidate_sets(self.chords, self.need, best.drift):
                best = self._completed(best, drift, chords)
        except TooManySumsError:
            return None
        lots = [best.full.get(i, 0) for i in range(len(self.steps.lot_value))]
        for place in best.chords:
            lots[self.security[place]] += 1
        return lots

    def _greedy(self) -> _Cover:
        """The best of: the first j chords, then one more chord or full steps of one security."""
        enough = next((j for j, freed in enumerate(self.gains) if freed >= self.need), None)
        last = len(self.security) if enough is None else enough
        found = (
            candidate
            for first in range(max(0, last - GREEDY_PREFIXES), last + 1)
            for candidate in self._finished(first)
        )
        return min(found, key=lambda cover: cover.drift, default=None) or self._largest_first()

    def _finished(self, first: int) -> Iterator[_Cover]:
        prefix = tuple(range(first))
        short = self.need - self.gains[first]
        if short <= 0:
            yield _Cover(self.drifts[first], prefix, {})
            return
        gain, drift = self.chords.gain[first:], self.chords.drift[first:]
        closing = np.flatnonzero(gain >= short)
        if len(closing):
            place = int(closing[np.argmin(drift[closing])])
            yield _Cover(self.drifts[first] + int(drift[place]), (*prefix, first + place), {})
        single = self.full.single(short)
        if single is not None:
            freed, counts = single
            yield _Cover(self.drifts[first] + freed * self.steps.denominator, prefix, counts)

    def _largest_first(self) -> _Cover:
        counts, freed = self.full.largest_first(self.need - self.gains[-1])
        drift = self.drifts[-1] + freed * self.steps.denominator
        return _Cover(drift, tuple(range(len(self.security))), counts)

    def _all_chords(self, best: _Cover) -> _Cover:
        """Where all chords together are too few, their completion is usually the optimum."""
        if self.gains[-1] >= self.need:
            return best
        return self._completed(best, self.drifts[-1], tuple(range(len(self.security))))

    def _completed(self, best: _Cover, drift: int, chords: tuple[int, ...]) -> _Cover:
        """The better of ``best`` and these chords with the full steps they still need."""
        short = self.need - self.chords.freed(chords)
        if short <= 0:
            return min(best, _Cover(drift, chords, {}), key=lambda cover: cover.drift)
        most = -(-(best.drift - drift) // self.steps.denominator) - 1
        if most < short:
            return best
        found = self.full.least_sum(short, most)
        if found is None:
            return best
        freed, counts = found
        return _Cover(drift + freed * self.steps.denominator, chords, counts)
