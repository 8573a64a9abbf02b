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
beats the best cover; full steps for what a state still lacks (full_steps.py). Kellerer, Pferschy and
Pisinger, *Knapsack Problems* (2004), chapters 4, 5 and 13. Bounds are floats with a margin and only
ever discard; every value that is kept or compared for the answer is a whole number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimization.full_steps import FullSteps, TooManySumsError
from optimization.units import Integers

MOST_STATES = 50_000
GREEDY_PREFIXES = 40

Floats = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True, eq=False)
class _Relaxation:
    """Chords in order of drift per unit freed, then full steps: the fractional cover."""

    gains: Floats  # shape (m + 1,): freed by the first j chords
    drifts: Floats  # shape (m + 1,)
    ratios: Floats  # shape (m + 1,): of chord j, at last of a full step

    @staticmethod
    def of(gain: Integers, drift: Integers, denominator: int) -> "_Relaxation":
        gains, drifts = gain.astype(float), drift.astype(float)
        return _Relaxation(
            np.concatenate(([0.0], np.cumsum(gains))),
            np.concatenate(([0.0], np.cumsum(drifts))),
            np.append(drifts / gains, float(denominator)),
        )

    def least_drift(self, need: Floats) -> Floats:
        """The lower bound on the drift of freeing each ``need``."""
        chord = np.minimum(np.searchsorted(self.gains, need), len(self.gains)) - 1
        chord = np.maximum(chord, 0)
        least = self.drifts[chord] + (need - self.gains[chord]) * self.ratios[chord]
        return np.where(need > 0, least, 0.0)


def steps_of(
    lot_value: Integers,
    lots: Integers,
    fewest: Integers,
    target: Integers,
    part: Integers,
    denominator: int,
) -> Steps:
    """The downward steps from the separable optimum ``lots`` of one portfolio; arrays (n,)."""
    columns = (array.tolist() for array in (lot_value, lots, fewest, target, part))
    chords: list[int | None] = []
    fulls: list[int] = []
    for p, z, least, t, t_part in zip(*columns, strict=True):
        room = max(z - least, 0)
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
        wide = steps.most * steps.denominator >= 1 << 61
        dtype = np.object_ if wide else np.int64
        self.steps = steps
        self.need = need
        self.security = [i for _, i, _, _ in rows]
        self.gain: Integers = np.array([p for _, _, p, _ in rows], dtype=dtype)
        self.drift: Integers = np.array([c for _, _, _, c in rows], dtype=dtype)
        self.gains = [0, *np.cumsum(self.gain).tolist()]  # freed by the first j chords
        self.drifts = [0, *np.cumsum(self.drift).tolist()]
        self.full = FullSteps.of(steps.lot_value, steps.full)
        self.relaxation = _Relaxation.of(self.gain, self.drift, steps.denominator)

    def run(self) -> list[int] | None:
        best = self._greedy()
        try:
            best = self._all_chords(best)
            for drift, chords in self._states(best):
                best = self._completed(best, drift, chords)
        except TooManySumsError:
            return None
        lots = [best.full.get(i, 0) for i in range(len(self.steps.lot_value))]
        for place in best.chords:
            lots[self.security[place]] += 1
        return lots

    def _greedy(self) -> _Cover:
        """The best of: the first j chords, then one more chord or full steps of one security."""
        enough = int(np.searchsorted(self.relaxation.gains, float(self.need)))
        last = min(enough + 1, len(self.gain))
        best: _Cover | None = None
        for first in range(max(0, last - GREEDY_PREFIXES), last + 1):
            for candidate in self._finished(first):
                if best is None or candidate.drift < best.drift:
                    best = candidate
        return best or self._largest_first()

    def _finished(self, first: int) -> list[_Cover]:
        prefix = tuple(range(first))
        short = self.need - self.gains[first]
        if short <= 0:
            return [_Cover(self.drifts[first], prefix, {})]
        found: list[_Cover] = []
        closing = np.flatnonzero(self.gain[first:] >= short)
        if len(closing):
            place = first + int(closing[np.argmin(self.drift[first:][closing])])
            drift = self.drifts[first] + int(self.drift[place])
            found.append(_Cover(drift, (*prefix, place), {}))
        single = self.full.single(short)
        if single is not None:
            freed, counts = single
            drift = self.drifts[first] + freed * self.steps.denominator
            found.append(_Cover(drift, prefix, counts))
        return found

    def _largest_first(self) -> _Cover:
        counts, freed = self.full.largest_first(self.need - self.gains[-1])
        drift = self.drifts[-1] + freed * self.steps.denominator
        return _Cover(drift, tuple(range(len(self.gain))), counts)

    def _all_chords(self, best: _Cover) -> _Cover:
        """Where all chords together are too few, their completion is usually the optimum."""
        if self.gains[-1] >= self.need:
            return best
        return self._completed(best, self.drifts[-1], tuple(range(len(self.gain))))

    def _completed(self, best: _Cover, drift: int, chords: tuple[int, ...]) -> _Cover:
        """The better of ``best`` and these chords with the full steps they still need."""
        short = self.need - sum(int(self.gain[place]) for place in chords)
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

    def _states(self, best: _Cover) -> Sequence[tuple[int, tuple[int, ...]]]:
        """Every set of chords that could still lead to less drift, the most promising first."""
        need = np.array([float(self.need)])
        bound = float(self.relaxation.least_drift(need)[0])
        ratio = self._break_ratio()
        reduced = self.drift.astype(float) - ratio * self.gain.astype(float)
        undecided = bound + np.abs(reduced) < _cut(best.drift)
        taken = np.flatnonzero((reduced < 0) & ~undecided)
        freed = sum(int(self.gain[place]) for place in taken)
        drift = sum(int(self.drift[place]) for place in taken)
        places = np.flatnonzero(undecided)
        states = _Table(self, places, self.need - freed, best.drift - drift).states()
        fixed = tuple(int(place) for place in taken)
        return [(drift + more, fixed + chords) for more, chords in states]

    def _break_ratio(self) -> float:
        place = int(np.searchsorted(self.relaxation.gains, float(self.need))) - 1
        return float(self.relaxation.ratios[min(place, len(self.gain))])


class _Table:
    """The dynamic program over the undecided chords."""

    def __init__(self, search: _Search, places: NDArray[np.intp], need: int, best: int) -> None:
        self.places = places
        self.gain, self.drift = search.gain[places], search.drift[places]
        self.denominator = search.steps.denominator
        self.need = need
        self.best = best

    def states(self) -> Sequence[tuple[int, tuple[int, ...]]]:
        gain, drift = self.gain[:0], self.drift[:0]
        gain, drift = np.append(gain, 0).astype(self.gain.dtype), np.append(drift, 0)
        drift = drift.astype(self.gain.dtype)
        history: list[tuple[NDArray[np.intp], NDArray[np.bool_]]] = []
        for stage in range(len(self.places)):
            still_short = np.flatnonzero(gain < self.need)
            parent = np.concatenate((np.arange(len(gain)), still_short))
            taken = np.arange(len(parent)) >= len(gain)
            # A bool array times a Python integer beyond 64 bits overflows; times(object) it does not.
            times = taken.astype(self.gain.dtype)
            gain = gain[parent] + times * self.gain[stage]
            drift = drift[parent] + times * self.drift[stage]
            kept = self._kept(gain, drift, stage + 1)
            if len(kept) > MOST_STATES:
                raise TooManySumsError
            gain, drift = gain[kept], drift[kept]
            history.append((parent[kept], taken[kept]))
        bound = self._bound(gain, drift, len(self.places))
        order = np.argsort(bound, kind="stable")
        return [(int(drift[i]), self._chords(history, int(i))) for i in order]

    def _kept(self, gain: Integers, drift: Integers, stage: int) -> NDArray[np.intp]:
        """Undominated states that can still beat the best cover."""
        hopeful = np.flatnonzero(self._bound(gain, drift, stage) < _cut(self.best))
        by_drift = hopeful[np.argsort(drift[hopeful], kind="stable")]
        order = by_drift[np.argsort(-gain[by_drift], kind="stable")]
        if len(order) == 0:
            return order
        least = np.minimum.accumulate(drift[order])
        better = np.append(True, drift[order][1:] < least[:-1])
        return order[better]

    def _bound(self, gain: Integers, drift: Integers, stage: int) -> Floats:
        rest = _Relaxation.of(self.gain[stage:], self.drift[stage:], self.denominator)
        return drift.astype(float) + rest.least_drift((self.need - gain).astype(float))

    def _chords(
        self, history: list[tuple[NDArray[np.intp], NDArray[np.bool_]]], state: int
    ) -> tuple[int, ...]:
        chords: list[int] = []
        for stage in range(len(history) - 1, -1, -1):
            parent, taken = history[stage]
            if taken[state]:
                chords.append(int(self.places[stage]))
            state = int(parent[state])
        return tuple(reversed(chords))


def _cut(best: int) -> float:
    """What a float bound must stay below to leave room for a whole number under ``best``."""
    return best - 0.5 + 1e-12 * abs(best)
