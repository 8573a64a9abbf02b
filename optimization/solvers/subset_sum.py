"""Sums of full steps: which amounts can be freed by giving up whole lots at a drift of what they free.

The reachable sums of ``n_j`` lots worth ``p_j``, 0 <= n_j <= m_j, are the set bits of one integer: a stage
for ``q`` lots of a security is ``bits | bits << q p``, with the counts split into powers of two.
"""

from dataclasses import dataclass
from math import gcd

# Bits of all stages together: 64 MiB. Amounts to the sixth decimal pass it at once and go to the
# modelling path, amounts in cents hardly ever.
MAX_BITS = 1 << 29


class TooManySumsError(Exception):
    """The exact search would not stay small."""


@dataclass(frozen=True, slots=True)
class BoundedSubsetSum:
    """The securities with full steps: (security, value of a lot, number of lots)."""

    rows: tuple[tuple[int, int, int], ...]
    unit: int  # every sum is a multiple of it; 0 without rows

    @staticmethod
    def of(lot_value: list[int], full: list[int]) -> "BoundedSubsetSum":
        """Keep the securities that have any."""
        pairs = enumerate(zip(lot_value, full, strict=True))
        rows = tuple((i, p, m) for i, (p, m) in pairs if m > 0)
        return BoundedSubsetSum(rows, gcd(*(p for _, p, _ in rows)))

    def single(self, short: int) -> tuple[int, dict[int, int]] | None:
        """The least sum of at least ``short`` from one security alone; None without one."""
        counts = ((i, -(-short // p), p, m) for i, p, m in self.rows)
        enough = [(n * p, i, n) for i, n, p, m in counts if n <= m]
        if not enough:
            return None
        freed, i, n = min(enough)
        return freed, {i: n}

    def largest_first(self, short: int) -> tuple[dict[int, int], int]:
        """Some way to free at least ``short``, which the caller knows to exist."""
        counts: dict[int, int] = {}
        freed = 0
        for i, p, m in sorted(self.rows, key=lambda row: -row[1]):
            counts[i] = min(m, (short - freed) // p)
            freed += counts[i] * p
        for i, p, m in sorted(self.rows, key=lambda row: row[1]):
            # What is freed too much is less than this lot: rounded up it is none.
            more = min(m - counts[i], -(-(short - freed) // p))
            counts[i] += more
            freed += more * p
        return {i: n for i, n in counts.items() if n}, freed

    def least_sum(self, short: int, most: int) -> tuple[int, dict[int, int]] | None:
        """The least sum from ``short`` to ``most``, and the lots that make it; None without one.

        Raises TooManySumsError where neither the whole table nor a shortcut is small.
        """
        if short > sum(p * m for _, p, m in self.rows):
            return None
        try:
            return self._from_table(short, most, {})
        except TooManySumsError:
            return self._after_bulk(short)

    def _after_bulk(self, short: int) -> tuple[int, dict[int, int]]:
        """Take most of the amount from one security after the other, the rest exactly.

        An exact hit is optimal whatever was taken; anything else proves nothing here.
        """
        window = 16 * max(p for _, p, _ in self.rows)
        bulk: dict[int, int] = {}
        rest = short
        for i, p, m in self.rows:
            bulk[i] = min(m, max(0, (rest - window) // p))
            rest -= bulk[i] * p
        found = self._from_table(rest, rest, bulk)
        if found is None:
            raise TooManySumsError
        counts = {i: n + found[1].get(i, 0) for i, n in bulk.items()}
        return short, {i: n for i, n in counts.items() if n}

    def _from_table(
        self, short: int, most: int, used: dict[int, int]
    ) -> tuple[int, dict[int, int]] | None:
        first, last = -(-short // self.unit), most // self.unit
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
        return place * self.unit, self._traced(stages, place)

    def _parts(self, used: dict[int, int], last: int) -> list[tuple[int, int, int]]:
        """Counts as sums of powers of two: (security, lots, shift in the table)."""
        parts: list[tuple[int, int, int]] = []
        for i, p, m in self.rows:
            left, lots, step = min(m - used.get(i, 0), last * self.unit // p), 1, p // self.unit
            while left > 0:
                lots = min(lots, left)
                parts.append((i, lots, lots * step))
                left -= lots
                lots *= 2
        return parts

    def _traced(self, stages: list[tuple[int, int, int]], place: int) -> dict[int, int]:
        values = {i: p // self.unit for i, p, _ in self.rows}
        counts: dict[int, int] = {}
        for i, lots, before in reversed(stages):
            if not before >> place & 1:
                counts[i] = counts.get(i, 0) + lots
                place -= lots * values[i]
        return counts
