"""Knapsack cover by the rule that chooses among equal covers, without bounds, fixing or floats.

Of several covers of the least drift the search gives

1. the best greedy cover, if it is one of them: the first j chords, then one more chord or full
   steps of one security; the fewest first chords, and a chord before full steps;
2. otherwise all chords, completed with full steps, if they raise too little alone;
3. otherwise the first set in the order of its drift, had the rest of the shortfall the price of
   full steps; of these the set that raises most. Of two sets that raise and cost the same, the one
   that leaves the later chord out.
"""

from fractions import Fraction

from optimization.solvers.knapsack_cover import GREEDY_PREFIXES, Steps
from optimization.solvers.subset_sum import BoundedSubsetSum

Chosen = tuple[int, ...]  # securities whose chord is taken
Cover = tuple[int, Chosen, dict[int, int]]  # drift, chords, full steps


def reference_cover(steps: Steps, shortfall: int) -> list[int]:
    """Lots to give up of each security."""
    chords = [i for i, chord in enumerate(steps.chord) if chord is not None]
    chords.sort(key=lambda i: (Fraction(_drift(steps, [i]), steps.lot_value[i]), i))
    full = BoundedSubsetSum.from_steps(steps.lot_value, steps.full)
    best = _greedy(steps, shortfall, chords, full)
    sets = _states(steps, shortfall, chords)
    if _raised(steps, chords) < shortfall:
        sets.insert(0, tuple(chords))
    for chosen in sets:
        best = _complete(steps, shortfall, full, chosen, best)
    _, chosen, counts = best
    return [counts.get(i, 0) + (i in chosen) for i in range(len(steps.lot_value))]


def _drift(steps: Steps, chosen: list[int] | Chosen) -> int:
    return sum(steps.chord[i] or 0 for i in chosen)


def _raised(steps: Steps, chosen: list[int] | Chosen) -> int:
    return sum(steps.lot_value[i] for i in chosen)


def _greedy(steps: Steps, shortfall: int, chords: list[int], full: BoundedSubsetSum) -> Cover:
    enough = (j for j in range(len(chords) + 1) if _raised(steps, chords[:j]) >= shortfall)
    last = next(enough, len(chords))
    covers: list[Cover] = []
    for j in range(max(0, last - GREEDY_PREFIXES), last + 1):
        prefix, left = tuple(chords[:j]), shortfall - _raised(steps, chords[:j])
        if left <= 0:
            covers.append((_drift(steps, prefix), prefix, {}))
            continue
        closed = [(*prefix, i) for i in chords[j:] if steps.lot_value[i] >= left]
        covers += [(_drift(steps, places), places, {}) for places in closed]
        single = full.least_single_sum(left)
        if single is not None:
            raised, counts = single
            covers.append((_drift(steps, prefix) + raised * steps.denominator, prefix, counts))
    if covers:
        return min(covers, key=lambda cover: cover[0])
    counts, raised = full.largest_first(shortfall - _raised(steps, chords))
    return _drift(steps, chords) + raised * steps.denominator, tuple(chords), counts


def _states(steps: Steps, shortfall: int, chords: list[int]) -> list[Chosen]:
    """Undominated sets, sets that raise more first; then by the drift of the relaxed rest."""
    sets: list[Chosen] = [()]
    for i in chords:
        sets += [(*chosen, i) for chosen in sets if _raised(steps, chosen) < shortfall]
        sets.sort(key=lambda chosen: (-_raised(steps, chosen), _drift(steps, chosen)))
        kept: list[Chosen] = []
        for chosen in sets:
            if not kept or _drift(steps, chosen) < _drift(steps, kept[-1]):
                kept.append(chosen)
        sets = kept

    def relaxed(chosen: Chosen) -> int:
        left = max(shortfall - _raised(steps, chosen), 0)
        return _drift(steps, chosen) + left * steps.denominator

    return sorted(sets, key=relaxed)


def _complete(
    steps: Steps, shortfall: int, full: BoundedSubsetSum, chosen: Chosen, best: Cover
) -> Cover:
    """The set completed with full steps, if that has less drift than ``best``."""
    drift, left = _drift(steps, chosen), shortfall - _raised(steps, chosen)
    found = (0, dict[int, int]()) if left <= 0 else full.least_sum(left, sum(steps.lot_value) * 9)
    if found is None:
        return best
    raised, counts = found
    completed = drift + raised * steps.denominator
    return (completed, chosen, counts) if completed < best[0] else best
