"""Ledger: balances of the simulated market after the transactions that were posted to it."""

from bisect import bisect_left
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate

from optimization import EXACT
from serve_app.simulator.population import Row
from serve_app.simulator.world import Market

MAX_TRANSACTIONS = 200_000
MAX_REMEMBERED_PORTFOLIOS = 4_096  # derived balances; about 10 MB
# transaction type -> signs of its effect on long shares, short shares and cash
EFFECTS: Mapping[str, tuple[int, int, int]] = {
    "BUY": (1, 0, -1),
    "SELL": (-1, 0, 1),
    "SHORT": (0, 1, 1),
    "COVER": (0, -1, -1),
    "DEP": (0, 0, 1),
    "WD": (0, 0, -1),
    "IN": (1, 0, 0),
    "OUT": (-1, 0, 0),
}


class LedgerFullError(Exception):
    """The simulated market keeps no more transactions; it must be started anew."""


class Ledger:
    """Derived balances, overlaid with the ones that transactions changed."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._derive = lru_cache(MAX_REMEMBERED_PORTFOLIOS)(market.rows)
        self._changed: dict[int, tuple[Row, ...]] = {}
        self._sources: set[str] = set()
        self._gains: dict[int, int] = {}  # portfolio -> rows it gained
        self._numbers: tuple[int, ...] | None = ()  # ascending; None until the next read
        self._gained: tuple[int, ...] = (0,)  # rows that the first n portfolios gained

    def rows(self, number: int) -> tuple[Row, ...]:
        """The balances of a portfolio; new rows stand at the end, so a row keeps its place."""
        changed = self._changed.get(number)
        return self._derive(number) if changed is None else changed

    def count_earlier_rows(self, number: int) -> int:
        """Return the number of balances of all portfolios below ``number``."""
        if self._numbers is None:
            self._numbers = tuple(sorted(self._gains))
            gains = (self._gains[changed] for changed in self._numbers)
            self._gained = tuple(accumulate(gains, initial=0))
        gained = self._gained[bisect_left(self._numbers, number)]
        return self.market.count_earlier_rows(number) + gained

    def knows(self, source_id: str) -> bool:
        """Return whether a transaction of that source was posted."""
        return source_id in self._sources

    def post(
        self,
        number: int,
        source_id: str,
        kind: str,
        security_id: str | None,
        quantity: Decimal,
        price: Decimal,
    ) -> int:
        """Apply one transaction and return its number."""
        if len(self._sources) >= MAX_TRANSACTIONS:
            raise LedgerFullError
        long, short, cash = EFFECTS[kind]
        before = self.rows(number)
        rows = before
        if security_id is not None:
            changes = EXACT.multiply(long, quantity), EXACT.multiply(short, quantity)
            rows = _add(rows, security_id, *changes)
        amount = quantity if security_id is None else EXACT.multiply(quantity, price)
        if cash:
            rows = _add(rows, None, EXACT.multiply(cash, amount), Decimal(0))
        self._changed[number] = rows
        self._sources.add(source_id)
        if len(rows) > len(before):
            self._gains[number] = self._gains.get(number, 0) + len(rows) - len(before)
            self._numbers = None
        return len(self._sources)


def _add(
    rows: tuple[Row, ...], security_id: str | None, long: Decimal, short: Decimal
) -> tuple[Row, ...]:
    for place, row in enumerate(rows):
        if row.security_id == security_id:
            changed = Row(security_id, EXACT.add(row.long, long), EXACT.add(row.short, short))
            return (*rows[:place], changed, *rows[place + 1 :])
    return (*rows, Row(security_id, long, short))
