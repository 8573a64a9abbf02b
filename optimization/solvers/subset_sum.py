"""Bounded subset sum: the amounts of cash that full steps can raise, at a drift of their value.

The reachable sums of ``n_j`` lots worth ``p_j``, 0 <= n_j <= m_j, are the set bits of one integer.
A stage for ``q`` lots of a security is ``bits | bits << q p``, with the counts split into powers of
two. See Kellerer, Pferschy and Pisinger, *Knapsack Problems* (2004), chapters 4 and 7.
"""

from dataclasses import dataclass
from math import gcd

# Bits of all stages together: 64 MiB. The limit sends amounts with six decimals to the MILP,
# because their tables would not fit in memory; amounts in cents rarely reach it.
MAX_BITS = 1 << 29


class TooManySumsError(Exception):
    """The exact search would grow too large."""


@dataclass(frozen=True, slots=True)
class BoundedSubsetSum:
    """Securities with full steps: (security, value of a lot, number of lots)."""

    rows: tuple[tuple[int, int, int], ...]
    unit: int  # greatest common divisor of all sums; 0 without rows

    @staticmethod
    def from_steps(lot_value: list[int], full: list[int]) -> "BoundedSubsetSum":
        """Keep the securities that have full steps."""
        pairs = enumerate(zip(lot_value, full, strict=True))
        rows = tuple((i, p, m) for i, (p, m) in pairs if m > 0)
        return BoundedSubsetSum(rows, gcd(*(p for _, p, _ in rows)))

    def least_single_sum(self, shortfall: int) -> tuple[int, dict[int, int]] | None:
        """Least sum of at least ``shortfall`` from one security alone; None without one."""
        counts = ((i, -(-shortfall // p), p, m) for i, p, m in self.rows)
        enough = [(n * p, i, n) for i, n, p, m in counts if n <= m]
        if not enough:
            return None
        raised, i, n = min(enough)
        return raised, {i: n}

    def largest_first(self, shortfall: int) -> tuple[dict[int, int], int]:
        """Raise at least ``shortfall``, which must be possible, by the largest lots first."""
        counts: dict[int, int] = {}
        raised = 0
        for i, p, m in sorted(self.rows, key=lambda row: -row[1]):
            counts[i] = min(m, (shortfall - raised) // p)
            raised += counts[i] * p
        for i, p, m in sorted(self.rows, key=lambda row: row[1]):
            # Negative excess rounds up to 0, because the excess is less than this lot.
            more = min(m - counts[i], -(-(shortfall - raised) // p))
            counts[i] += more
            raised += more * p
        return {i: n for i, n in counts.items() if n}, raised

    def least_sum(self, shortfall: int, most: int) -> tuple[int, dict[int, int]] | None:
        """Least sum from ``shortfall`` to ``most``, with its lots; None without one.

        Raises TooManySumsError if neither the whole table nor the shortcut is small.
        """
        if shortfall > sum(p * m for _, p, m in self.rows):
            return None
        try:
            return self._search_table(shortfall, most, {})
        except TooManySumsError:
            return self._fill_in_bulk(shortfall)

    def _fill_in_bulk(self, shortfall: int) -> tuple[int, dict[int, int]]:
        """Take most of the amount in bulk, one security after another, and search for the rest.

        An exact hit is optimal whatever was taken in bulk; any other result proves nothing.
        """
        window = 16 * max(p for _, p, _ in self.rows)
        bulk: dict[int, int] = {}
        rest = shortfall
        for i, p, m in self.rows:
            bulk[i] = min(m, max(0, (rest - window) // p))
            rest -= bulk[i] * p
        hit = self._search_table(rest, rest, bulk)
        if hit is None:
            raise TooManySumsError
        counts = {i: n + hit[1].get(i, 0) for i, n in bulk.items()}
        return shortfall, {i: n for i, n in counts.items() if n}

    def _search_table(
        self, shortfall: int, most: int, used: dict[int, int]
    ) -> tuple[int, dict[int, int]] | None:
        first, last = -(-shortfall // self.unit), most // self.unit
        if last > MAX_BITS:
            raise TooManySumsError
        stages: list[tuple[int, int, int]] = []  # security, lots, the bits before
        bits, total, mask = 1, 0, (1 << (last + 1)) - 1
        for i, lots, shift in self._parts(used, last):
            total += last
            if total > MAX_BITS:
                raise TooManySumsError
            stages.append((i, lots, bits))
            bits |= (bits << shift) & mask
            if bits >> first & 1:
                break
        above = bits >> first
        if not above:
            return None
        place = first + (above & -above).bit_length() - 1
        return place * self.unit, self._trace(stages, place)

    def _parts(self, used: dict[int, int], last: int) -> list[tuple[int, int, int]]:
        """Split counts into powers of two: (security, lots, shift in the table)."""
        parts: list[tuple[int, int, int]] = []
        for i, p, m in self.rows:
            remaining, lots, step = (
                min(m - used.get(i, 0), last * self.unit // p),
                1,
                p // self.unit,
            )
            while remaining > 0:
                lots = min(lots, remaining)
                parts.append((i, lots, lots * step))
                remaining -= lots
                lots *= 2
        return parts

    def _trace(self, stages: list[tuple[int, int, int]], place: int) -> dict[int, int]:
        values = {i: p // self.unit for i, p, _ in self.rows}
        counts: dict[int, int] = {}
        for i, lots, before in reversed(stages):
            if not before >> place & 1:
                counts[i] = counts.get(i, 0) + lots
                place -= lots * values[i]
        return counts
