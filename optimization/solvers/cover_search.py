"""Search over sets of chords: sets that could still be part of the cheapest knapsack cover.

Chords are sorted by drift per unit of cash raised. Full steps, which cost as much drift as they
raise, cover the rest of the shortfall. The linear relaxation takes chords in that order, the last
one in part.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter, truediv
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from optimization.exact.scaled_integers import INT64_SAFE, Integers
from optimization.solvers.subset_sum import TooManySumsError

MAX_STATES = 50_000
# Longer lists of states continue as arrays; shorter ones stay lists, because a call of numpy
# takes as long as some tens of states.
MAX_LISTED_STATES = 64

Floats = NDArray[np.float64]
History = list[tuple[NDArray[np.intp], NDArray[np.bool_]]]
State: TypeAlias = tuple[int, int, tuple[int, ...]]
"""Cash that a set of chords still lacks (0 or less if none), its drift, and the set."""

_lack_then_drift = itemgetter(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Chords:
    """Chords sorted by drift per unit raised; whole numbers, lists of length m."""

    gain: Sequence[int]  # units raised
    drift: Sequence[int]  # units / denominator
    denominator: int

    def select(self, places: Sequence[int]) -> "Chords":
        """Select some chords, in order."""
        gain, drift = self.gain, self.drift
        return Chords([gain[i] for i in places], [drift[i] for i in places], self.denominator)

    def cash_raised(self, places: Iterable[int]) -> int:
        """Cash that these chords raise, in units."""
        return sum(self.gain[place] for place in places)

    def cost(self, places: Iterable[int]) -> int:
        """Total drift of these chords."""
        return sum(self.drift[place] for place in places)


@dataclass(frozen=True, slots=True, eq=False)
class FractionalCover:
    """Linear relaxation of the cover: chords in order, then full steps."""

    gains: list[int]  # length m + 1: raised by the first j chords
    drifts: list[int]  # length m + 1
    ratios: list[float]  # length m + 1: drift per unit of chord j; last, of a full step

    @staticmethod
    def from_chords(chords: Chords) -> "FractionalCover":
        """Accumulate sorted chords."""
        ratios = map(truediv, map(float, chords.drift), map(float, chords.gain))
        return FractionalCover(
            [0, *accumulate(chords.gain)],
            [0, *accumulate(chords.drift)],
            [*ratios, float(chords.denominator)],
        )

    def least_drift(self, shortfall: int, first: int = 0) -> float:
        """Lower bound on the drift of raising ``shortfall`` without the ``first`` chords."""
        if shortfall <= 0:
            return 0.0
        before = self.gains[first]
        chord = bisect_left(self.gains, shortfall + before) - 1
        rest = shortfall + before - self.gains[chord]
        return self.drifts[chord] - self.drifts[first] + rest * self.ratios[chord]

    def break_ratio(self, shortfall: int) -> float:
        """Drift per unit of the break item: the chord that the relaxation takes in part."""
        return self.ratios[bisect_left(self.gains, shortfall) - 1]


def candidate_sets(chords: Chords, shortfall: int, best: int) -> list[tuple[int, tuple[int, ...]]]:
    """Find every set of chords that could still beat ``best``, with its drift; best bound first.

    Reduced-cost fixing decides most chords; a dynamic program runs over the others. Raises
    TooManySumsError if it has too many states. See Kellerer, Pferschy and Pisinger, *Knapsack
    Problems* (2004), chapter 5.
    """
    relaxation = FractionalCover.from_chords(chords)
    bound, ratio = relaxation.least_drift(shortfall), relaxation.break_ratio(shortfall)
    cutoff = _compute_cutoff(best)
    certain: list[int] = []
    undecided: list[int] = []
    for place, (gain, drift) in enumerate(zip(chords.gain, chords.drift, strict=True)):
        reduced = drift - ratio * gain
        if bound + abs(reduced) < cutoff:
            undecided.append(place)
        elif reduced < 0:
            certain.append(place)
    drift = chords.cost(certain)
    table = _Table(chords.select(undecided), shortfall - chords.cash_raised(certain), best - drift)
    return [
        (drift + more, (*certain, *(undecided[place] for place in chosen)))
        for _, more, chosen in table.states()
    ]


class _Table:
    """Dynamic program over undominated states."""

    def __init__(self, chords: Chords, shortfall: int, best: int) -> None:
        self.chords = chords
        self.shortfall = shortfall
        self.cutoff = _compute_cutoff(best)
        self.relaxation = FractionalCover.from_chords(chords)

    def states(self) -> list[State]:
        """Undominated states after the last chord, best bound first."""
        states: list[State] = [(self.shortfall, 0, ())]
        count = len(self.chords.gain)
        for stage in range(count):
            gain, drift = self.chords.gain[stage], self.chords.drift[stage]
            states += [
                (lack - gain, cost + drift, (*chosen, stage))
                for lack, cost, chosen in states
                if lack > 0
            ]
            states = self._drop_dominated(states, stage + 1)
            if len(states) > min(MAX_LISTED_STATES, MAX_STATES):
                states = _WideTable(self, states).states(stage + 1)
                break
        bound = self.relaxation.least_drift
        return sorted(states, key=lambda state: state[1] + bound(state[0], count))

    def _drop_dominated(self, states: list[State], stage: int) -> list[State]:
        """Undominated states that can still beat the best cover, by what they lack."""
        bound, cutoff = self.relaxation.least_drift, self.cutoff
        hopeful = [state for state in states if state[1] + bound(state[0], stage) < cutoff]
        hopeful.sort(key=_lack_then_drift)
        frontier = hopeful[:1]
        for state in hopeful:
            if state[1] < frontier[-1][1]:
                frontier.append(state)
        return frontier


class _WideTable:
    """Dynamic program that continues from a stage, with the states in arrays."""

    def __init__(self, table: _Table, states: list[State]) -> None:
        gain, drift = table.chords.gain, table.chords.drift
        largest = abs(table.shortfall) + 2 * sum(gain) + sum(map(abs, drift))
        dtype = np.int64 if largest < INT64_SAFE else np.object_
        self._table = table
        self._gain, self._drift = np.array(gain, dtype=dtype), np.array(drift, dtype=dtype)
        self._roots = states
        self._lack: Integers = np.array([lack for lack, _, _ in states], dtype=dtype)
        self._cost: Integers = np.array([cost for _, cost, _ in states], dtype=dtype)

    def states(self, first: int) -> list[State]:
        """Undominated states after the last chord; ``first`` is the first chord to decide."""
        lack, cost, history = self._lack, self._cost, History()
        for stage in range(first, len(self._gain)):
            if len(lack) > MAX_STATES:
                raise TooManySumsError
            short = np.flatnonzero(lack > 0)
            parent = np.concatenate((np.arange(len(lack)), short))
            lack = np.concatenate((lack, lack[short] - self._gain[stage]))
            cost = np.concatenate((cost, cost[short] + self._drift[stage]))
            is_taken = np.arange(len(parent)) >= len(parent) - len(short)
            places = self._drop_dominated(lack, cost, stage + 1)
            lack, cost = lack[places], cost[places]
            history.append((parent[places], is_taken[places]))
        if len(lack) > MAX_STATES:
            raise TooManySumsError
        rows = enumerate(zip(lack.tolist(), cost.tolist(), strict=True))
        return [(left, paid, self._trace(history, first, at)) for at, (left, paid) in rows]

    def _drop_dominated(self, lack: Integers, cost: Integers, stage: int) -> NDArray[np.intp]:
        """Undominated states that can still beat the best cover, by what they lack."""
        hopeful = np.flatnonzero(self._bound(lack, cost, stage) < self._table.cutoff)
        by_cost = hopeful[np.argsort(cost[hopeful], kind="stable")]
        order = by_cost[np.argsort(lack[by_cost], kind="stable")]
        if len(order) == 0:
            return order
        least = np.minimum.accumulate(cost[order])
        better = np.append(True, cost[order][1:] < least[:-1])
        return order[better]

    def _bound(self, lack: Integers, cost: Integers, stage: int) -> Floats:
        """Lower bounds of ``FractionalCover.least_drift`` for all states."""
        relaxation, short = self._table.relaxation, lack.astype(float)
        gains, drifts = (
            np.array([value - values[stage] for value in values[stage:]], dtype=float)
            for values in (relaxation.gains, relaxation.drifts)
        )
        ratios = np.array(relaxation.ratios[stage:])
        chord = np.maximum(np.searchsorted(gains, short) - 1, 0)
        least = drifts[chord] + (short - gains[chord]) * ratios[chord]
        return cost.astype(float) + np.where(short > 0, least, 0.0)

    def _trace(self, history: History, first: int, state: int) -> tuple[int, ...]:
        """Chords that make a state of the last stage."""
        chosen: list[int] = []
        for stage, (parent, is_taken) in reversed([*enumerate(history, first)]):
            if is_taken[state]:
                chosen.append(stage)
            state = int(parent[state])
        return (*self._roots[state][2], *reversed(chosen))


def _compute_cutoff(best: int) -> float:
    """Value that a float bound must stay below to admit an integer below ``best``."""
    return best - 0.5 + 1e-12 * abs(best)
