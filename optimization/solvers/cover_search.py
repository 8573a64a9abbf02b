"""Search over sets of chords: sets that could still be part of the cheapest knapsack cover.

Chords are sorted by drift per unit of cash raised. The rest of the shortfall is made of full steps,
which cost as much drift as they raise. The linear relaxation takes chords in that order, the last
one in part.
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
    """Chords sorted by drift per unit raised; whole numbers, shape (m,)."""

    gain: Integers  # units raised
    drift: Integers  # in units / denominator
    denominator: int

    def select(self, places: NDArray[np.intp] | slice) -> "Chords":
        """Select some chords, in order."""
        return Chords(self.gain[places], self.drift[places], self.denominator)

    def cash_raised(self, places: Sequence[int]) -> int:
        """Cash that these chords raise, in units."""
        return sum(int(self.gain[place]) for place in places)

    def cost(self, places: Sequence[int]) -> int:
        """Total drift of these chords."""
        return sum(int(self.drift[place]) for place in places)


@dataclass(frozen=True, slots=True, eq=False)
class FractionalCover:
    """Linear relaxation of the cover: chords in order, then full steps."""

    gains: Floats  # shape (m + 1,): raised by the first j chords
    drifts: Floats  # shape (m + 1,)
    ratios: Floats  # shape (m + 1,): drift per unit of chord j; last, of a full step

    @staticmethod
    def from_chords(chords: Chords) -> "FractionalCover":
        """Sum up sorted chords."""
        gains, drifts = chords.gain.astype(float), chords.drift.astype(float)
        return FractionalCover(
            np.concatenate(([0.0], np.cumsum(gains))),
            np.concatenate(([0.0], np.cumsum(drifts))),
            np.append(drifts / gains, float(chords.denominator)),
        )

    def least_drift(self, shortfall: Floats) -> Floats:
        """Lower bound on the drift of raising each ``shortfall``."""
        chord = np.searchsorted(self.gains, shortfall) - 1
        least = self.drifts[chord] + (shortfall - self.gains[chord]) * self.ratios[chord]
        return np.where(shortfall > 0, least, 0.0)

    def break_ratio(self, shortfall: int) -> float:
        """Drift per unit of the break item: the chord that the relaxation takes in part."""
        place = int(np.searchsorted(self.gains, float(shortfall))) - 1
        return float(self.ratios[place])


def candidate_sets(chords: Chords, shortfall: int, best: int) -> list[tuple[int, tuple[int, ...]]]:
    """Find every set of chords that could still beat ``best``, with its drift; best bound first.

    Reduced-cost fixing decides most chords; a dynamic program runs over the others. Raises
    TooManySumsError if it has too many states. See Kellerer, Pferschy and Pisinger, *Knapsack
    Problems* (2004), chapter 5.
    """
    relaxation = FractionalCover.from_chords(chords)
    bound = float(relaxation.least_drift(np.array([float(shortfall)]))[0])
    ratio = relaxation.break_ratio(shortfall)
    reduced = chords.drift.astype(float) - ratio * chords.gain.astype(float)
    undecided = bound + np.abs(reduced) < _cutoff(best)
    taken: tuple[int, ...] = tuple(np.flatnonzero((reduced < 0) & ~undecided).tolist())
    drift = chords.cost(taken)
    places = np.flatnonzero(undecided)
    table = _Table(chords.select(places), shortfall - chords.cash_raised(taken), best - drift)
    return [
        (drift + more, taken + tuple(places[list(some)].tolist())) for more, some in table.states()
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Dynamic program over undominated states (cash raised, drift)."""

    chords: Chords
    shortfall: int
    best: int

    def states(self) -> list[tuple[int, tuple[int, ...]]]:
        of_gain, of_drift = self.chords.gain, self.chords.drift
        gain, drift = np.zeros(1, of_gain.dtype), np.zeros(1, of_gain.dtype)
        history: History = []
        for stage in range(len(of_gain)):
            still_short = np.flatnonzero(gain < self.shortfall)
            parent = np.concatenate((np.arange(len(gain)), still_short))
            taken = np.arange(len(parent)) >= len(gain)
            # In the dtype of the gains, because bool times an integer beyond 64 bits overflows.
            times = taken.astype(of_gain.dtype)
            gain = gain[parent] + times * of_gain[stage]
            drift = drift[parent] + times * of_drift[stage]
            kept = self._undominated(gain, drift, stage + 1)
            if len(kept) > MAX_STATES:
                raise TooManySumsError
            gain, drift = gain[kept], drift[kept]
            history.append((parent[kept], taken[kept]))
        order = np.argsort(self._bound(gain, drift, len(of_gain)), kind="stable")
        return [(int(drift[i]), _trace(history, int(i))) for i in order]

    def _undominated(self, gain: Integers, drift: Integers, stage: int) -> NDArray[np.intp]:
        """Undominated states that can still beat the best cover."""
        hopeful = np.flatnonzero(self._bound(gain, drift, stage) < _cutoff(self.best))
        by_drift = hopeful[np.argsort(drift[hopeful], kind="stable")]
        order = by_drift[np.argsort(-gain[by_drift], kind="stable")]
        if len(order) == 0:
            return order
        least = np.minimum.accumulate(drift[order])
        better = np.append(True, drift[order][1:] < least[:-1])
        return order[better]

    def _bound(self, gain: Integers, drift: Integers, stage: int) -> Floats:
        rest = FractionalCover.from_chords(self.chords.select(slice(stage, None)))
        return drift.astype(float) + rest.least_drift((self.shortfall - gain).astype(float))


def _trace(history: History, state: int) -> tuple[int, ...]:
    """Chords that make a state of the last stage."""
    chords: list[int] = []
    for stage in range(len(history) - 1, -1, -1):
        parent, taken = history[stage]
        if taken[state]:
            chords.append(stage)
        state = int(parent[state])
    return tuple(reversed(chords))


def _cutoff(best: int) -> float:
    """Value that a float bound must stay below to admit a whole number under ``best``."""
    return best - 0.5 + 1e-12 * abs(best)
