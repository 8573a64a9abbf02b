"""Sets of chords: what freeing so much costs at least, and which sets could still be the cheapest.

Chords come in order of drift per unit freed; what they lack is made of full steps, which cost what they
free. The linear relaxation takes chords in that order and the last of them in part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimization.exact.scaled_integers import Integers
from optimization.solvers.subset_sum import TooManySumsError

MAX_STATES = 50_000

Floats = NDArray[np.float64]
History = list[tuple[NDArray[np.intp], NDArray[np.bool_]]]


@dataclass(frozen=True, slots=True, eq=False)
class Chords:
    """Chords in order of drift per unit freed; whole numbers, shape (m,)."""

    gain: Integers  # units freed
    drift: Integers  # in units / denominator
    denominator: int

    def at(self, places: NDArray[np.intp] | slice) -> "Chords":
        """Some of them, in the same order."""
        return Chords(self.gain[places], self.drift[places], self.denominator)

    def freed(self, places: Sequence[int]) -> int:
        """What these free together, in units."""
        return sum(int(self.gain[place]) for place in places)

    def cost(self, places: Sequence[int]) -> int:
        """Their drift together."""
        return sum(int(self.drift[place]) for place in places)


@dataclass(frozen=True, slots=True, eq=False)
class FractionalCover:
    """The fractional cover: chords in their order, then full steps."""

    gains: Floats  # shape (m + 1,): freed by the first j chords
    drifts: Floats  # shape (m + 1,)
    ratios: Floats  # shape (m + 1,): of chord j, at last of a full step

    @staticmethod
    def of(chords: Chords) -> "FractionalCover":
        """That of these chords."""
        gains, drifts = chords.gain.astype(float), chords.drift.astype(float)
        return FractionalCover(
            np.concatenate(([0.0], np.cumsum(gains))),
            np.concatenate(([0.0], np.cumsum(drifts))),
            np.append(drifts / gains, float(chords.denominator)),
        )

    def least_drift(self, need: Floats) -> Floats:
        """The lower bound on the drift of freeing each ``need``."""
        chord = np.searchsorted(self.gains, need) - 1
        least = self.drifts[chord] + (need - self.gains[chord]) * self.ratios[chord]
        return np.where(need > 0, least, 0.0)

    def break_ratio(self, need: int) -> float:
        """Drift per unit of the chord that the relaxation takes in part."""
        place = int(np.searchsorted(self.gains, float(need))) - 1
        return float(self.ratios[place])


def candidate_sets(chords: Chords, need: int, best: int) -> list[tuple[int, tuple[int, ...]]]:
    """Every set of chords, with its drift, that could still lead below ``best``; best bound first.

    Reduced costs decide most chords; a dynamic program runs over the others. Raises TooManySumsError
    where its states do not stay few.
    """
    relaxation = FractionalCover.of(chords)
    bound = float(relaxation.least_drift(np.array([float(need)]))[0])
    ratio = relaxation.break_ratio(need)
    reduced = chords.drift.astype(float) - ratio * chords.gain.astype(float)
    undecided = bound + np.abs(reduced) < _cut(best)
    taken: tuple[int, ...] = tuple(np.flatnonzero((reduced < 0) & ~undecided).tolist())
    drift = chords.cost(taken)
    places = np.flatnonzero(undecided)
    table = _Table(chords.at(places), need - chords.freed(taken), best - drift)
    return [
        (drift + more, taken + tuple(places[list(some)].tolist())) for more, some in table.states()
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """The dynamic program: states are (freed, drift), and only the undominated are kept."""

    chords: Chords
    need: int
    best: int

    def states(self) -> list[tuple[int, tuple[int, ...]]]:
        of_gain, of_drift = self.chords.gain, self.chords.drift
        gain, drift = np.zeros(1, of_gain.dtype), np.zeros(1, of_gain.dtype)
        history: History = []
        for stage in range(len(of_gain)):
            still_short = np.flatnonzero(gain < self.need)
            parent = np.concatenate((np.arange(len(gain)), still_short))
            taken = np.arange(len(parent)) >= len(gain)
            # A bool array times a Python integer beyond 64 bits overflows; times(object) it does not.
            times = taken.astype(of_gain.dtype)
            gain = gain[parent] + times * of_gain[stage]
            drift = drift[parent] + times * of_drift[stage]
            kept = self._kept(gain, drift, stage + 1)
            if len(kept) > MAX_STATES:
                raise TooManySumsError
            gain, drift = gain[kept], drift[kept]
            history.append((parent[kept], taken[kept]))
        order = np.argsort(self._bound(gain, drift, len(of_gain)), kind="stable")
        return [(int(drift[i]), _traced(history, int(i))) for i in order]

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
        rest = FractionalCover.of(self.chords.at(slice(stage, None)))
        return drift.astype(float) + rest.least_drift((self.need - gain).astype(float))


def _traced(history: History, state: int) -> tuple[int, ...]:
    """The chords that make a state of the last stage."""
    chords: list[int] = []
    for stage in range(len(history) - 1, -1, -1):
        parent, taken = history[stage]
        if taken[state]:
            chords.append(stage)
        state = int(parent[state])
    return tuple(reversed(chords))


def _cut(best: int) -> float:
    """What a float bound must stay below to leave room for a whole number under ``best``."""
    return best - 0.5 + 1e-12 * abs(best)
