"""Portfolios of the simulated market, derived from seed and number at every request."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from itertools import accumulate
from random import Random
from typing import NamedTuple

from serve_app.simulator.chance import make_random

DECK = 1000  # kinds repeat after so many portfolios, which makes the number of rows computable


class Row(NamedTuple):
    """One balance; ``security_id`` is None for cash."""

    security_id: str | None
    long: int | Decimal
    short: int | Decimal


class PortfolioKind(Enum):
    """The peculiarity of a portfolio."""

    ORDINARY = auto()
    ALL_CASH = auto()
    TINY = auto()
    FRACTIONAL = auto()
    SHORT = auto()
    OVERDRAWN = auto()
    UNPRICED = auto()  # holds a security that has no price
    EMPTY = auto()  # has a balance of no cash, and nothing else
    UNFUNDED = auto()  # has no balances at all


ODD = (
    PortfolioKind.FRACTIONAL,
    PortfolioKind.SHORT,
    PortfolioKind.OVERDRAWN,
    PortfolioKind.UNPRICED,
    PortfolioKind.EMPTY,
    PortfolioKind.UNFUNDED,
)


@dataclass(frozen=True, slots=True)
class KindFractions:
    """Fractions of the portfolios that are special; ``odd`` is split among the odd kinds."""

    all_cash: float = 0.05
    tiny: float = 0.02
    odd: float = 0.03

    def __post_init__(self) -> None:
        parts = (self.all_cash, self.tiny, self.odd)
        if min(parts) < 0 or sum(parts) > 1:
            raise ValueError(f"the fractions are {parts}: each from 0, together at most 1")


class Book(NamedTuple):
    """Securities that a portfolio can hold: the securities of its strategy, and others."""

    held: Sequence[tuple[str, float, float]]  # security id, weight, mean price
    others: Sequence[tuple[str, float]]  # security id, mean price
    unpriced: Sequence[str]


class Deck:
    """The kinds of all portfolios, in an order that a seed gives."""

    def __init__(self, seed: int, fractions: KindFractions, positions: int) -> None:
        odd = round(DECK * fractions.odd)
        kinds = [PortfolioKind.ALL_CASH] * round(DECK * fractions.all_cash)
        kinds += [PortfolioKind.TINY] * round(DECK * fractions.tiny)
        kinds += [ODD[index % len(ODD)] for index in range(odd)]
        kinds += [PortfolioKind.ORDINARY] * (DECK - len(kinds))
        make_random("deck", seed).shuffle(kinds)
        self._kinds = tuple(kinds)
        self._rows = tuple(accumulate((_count_rows(kind, positions) for kind in kinds), initial=0))

    def kind(self, number: int) -> PortfolioKind:
        """The kind of portfolio ``number``."""
        return self._kinds[number % DECK]

    def count_earlier_rows(self, number: int) -> int:
        """Return the number of balances of all portfolios below ``number``."""
        decks, rest = divmod(number, DECK)
        return decks * self._rows[DECK] + self._rows[rest]


def derive_rows(kind: PortfolioKind, rng: Random, book: Book) -> tuple[Row, ...]:
    """Derive the balances of one portfolio: cash first, then by security id."""
    if kind is PortfolioKind.UNFUNDED:
        return ()
    if kind is PortfolioKind.EMPTY:
        return (Row(None, 0, 0),)
    value = _draw_tiny_value(rng) if kind is PortfolioKind.TINY else _draw_value(rng)
    if kind is PortfolioKind.ALL_CASH:
        return (Row(None, to_cents(value), 0),)
    rows = _draw_holdings(rng, book, value)
    _make_odd(kind, rng, rows, book)
    rows.sort()
    cash = value * rng.uniform(0.01, 0.09) * (-1 if kind is PortfolioKind.OVERDRAWN else 1)
    return (Row(None, to_cents(cash), 0), *rows)


def to_cents(amount: float) -> Decimal:
    """An amount in cents."""
    return Decimal(round(amount * 100)).scaleb(-2)


def _count_rows(kind: PortfolioKind, positions: int) -> int:
    if kind is PortfolioKind.UNFUNDED:
        return 0
    return 1 if kind in (PortfolioKind.EMPTY, PortfolioKind.ALL_CASH) else positions + 1


def _draw_value(rng: Random) -> float:
    # the load of the KASBench generator
    return rng.uniform(1e5, 1e6) if rng.random() < 0.6 else rng.uniform(1e6, 4e6)


def _draw_tiny_value(rng: Random) -> float:
    return rng.uniform(200, 5000)


def _draw_holdings(rng: Random, book: Book, value: float) -> list[Row]:
    draw = rng.random
    rows = [
        Row(security, int(value * weight * (0.8 + 0.4 * draw()) / price), 0)
        for security, weight, price in book.held
    ]
    if draw() < 0.3:
        security, price = book.others[int(draw() * len(book.others))]
        rows[int(draw() * len(rows))] = Row(security, int(value * 0.02 / price) + 1, 0)
    if draw() < 0.1:
        place = int(draw() * len(rows))
        rows[place] = rows[place]._replace(long=0)  # the service keeps rows that were sold
    return rows


def _make_odd(kind: PortfolioKind, rng: Random, rows: list[Row], book: Book) -> None:
    first = rows[0]
    if kind is PortfolioKind.FRACTIONAL:
        for place in range(0, len(rows), 3):
            part = Decimal(rng.randrange(1, 10**8)).scaleb(-8)
            rows[place] = rows[place]._replace(long=rows[place].long + part)
    elif kind is PortfolioKind.SHORT:
        rows[0] = first._replace(long=0, short=first.long + 1)
    elif kind is PortfolioKind.UNPRICED:
        rows[0] = Row(rng.choice(book.unpriced), first.long + 1, 0)
