"""Market: securities, prices, strategies and portfolios of the simulation, from a seed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random

from serve_app.simulator.chance import make_random
from serve_app.simulator.listings import Listing, listings, read_quotes, synthetic_quotes
from serve_app.simulator.population import Book, Deck, KindFractions, Row, derive_rows

# A portfolio id starts with a time, as an ObjectId does; portfolio k was made k seconds after this.
FIRST_MADE_S = 0x683B6D88
MAX_PORTFOLIOS = 0xFFFFFFFF - FIRST_MADE_S
ACCOUNT = "ACCOUNT-"  # begins a natural id
MAX_POSITIONS = 4000
WEIGHT_STEP = Decimal("0.005")
STEPS = 190  # 0.95 of the market value is invested


@dataclass(frozen=True, slots=True)
class Strategy:
    """Securities and weights that the portfolios of one group were built from; a model for them."""

    name: str
    weights: Mapping[str, Decimal]


class Market:
    """A world that is the same for the same arguments; portfolios are derived, not stored.

    Portfolio ``k`` follows strategy ``k % strategies`` with ``positions`` securities each. Prices
    come from ``prices_file`` (price_date,ticker,price,price_std; the newest date unless
    ``price_date`` names one), else they are synthetic. With ``sampled`` every look at the prices is
    a new sample. With ``natural_ids`` a security has its ticker as its id, a portfolio a number.
    """

    def __init__(
        self,
        seed: int = 7,
        portfolios: int = 25,
        *,
        positions: int = 20,
        strategies: int = 5,
        fractions: KindFractions | None = None,
        prices_file: Path | None = None,
        price_date: str | None = None,
        sampled: bool = True,
        natural_ids: bool = False,
    ) -> None:
        if not 0 <= portfolios <= MAX_PORTFOLIOS:
            raise ValueError(f"portfolios is {portfolios}, from 0 to {MAX_PORTFOLIOS} are possible")
        quotes = read_quotes(prices_file, price_date) if prices_file else synthetic_quotes(seed)
        self.seed = seed
        self.portfolios = portfolios
        self.sampled = sampled
        self.natural_ids = natural_ids
        self._listings = listings(quotes, seed, natural_ids=natural_ids)
        tradable = [listing for listing in self._listings if listing.security_id and listing.quote]
        if not 1 <= positions <= min(len(tradable) - 1, MAX_POSITIONS):
            raise ValueError(f"positions is {positions}, the prices allow 1 to {len(tradable) - 1}")
        self._deck = Deck(seed, fractions or KindFractions(), positions)
        self.strategies = tuple(
            _build_strategy(number, make_random("strategy", seed, number), tradable, positions)
            for number in range(strategies)
        )
        self._books = tuple(_build_book(strategy, self._listings) for strategy in self.strategies)

    def listings(self) -> tuple[Listing, ...]:
        """Everything with a price or a security, by ticker."""
        return self._listings

    def securities(self) -> tuple[Listing, ...]:
        """Listings with both a security and a price, by ticker."""
        return tuple(listing for listing in self._listings if listing.security_id and listing.quote)

    def portfolio_id(self, number: int) -> str:
        """The id of portfolio ``number``; ids sort like numbers."""
        if self.natural_ids:
            return f"{ACCOUNT}{number + 1:010d}"
        return f"{FIRST_MADE_S + number:08x}{self._derive_suffix(number)}"

    def portfolio_ids(self, count: int | None = None, start: int = 0) -> tuple[str, ...]:
        """Ids of consecutive portfolios."""
        last = self.portfolios if count is None else min(start + count, self.portfolios)
        return tuple(self.portfolio_id(number) for number in range(start, last))

    def number(self, portfolio_id: str) -> int | None:
        """Return the number of the portfolio with this id; None if there is no such portfolio."""
        try:
            if self.natural_ids:
                number = int(portfolio_id.removeprefix(ACCOUNT)) - 1
            else:
                number = int(portfolio_id[:8], 16) - FIRST_MADE_S
        except ValueError:
            return None
        is_known = 0 <= number < self.portfolios and self.portfolio_id(number) == portfolio_id
        return number if is_known else None

    def rows(self, number: int) -> tuple[Row, ...]:
        """The balances of a portfolio: cash first, then by security id."""
        rng = make_random("portfolio", self.seed, number)
        book = self._books[number % len(self._books)]
        return derive_rows(self._deck.kind(number), rng, book)

    def count_earlier_rows(self, number: int) -> int:
        """Return the number of balances of all portfolios below ``number``."""
        return self._deck.count_earlier_rows(number)

    def prices(self, look: int) -> tuple[tuple[Listing, int], ...]:
        """The price in cents of everything that has one, as look number ``look`` samples it."""
        rng = make_random("prices", self.seed, look)
        priced: list[tuple[Listing, int]] = []
        for listing in self._listings:
            if quote := listing.quote:
                noise = rng.gauss(0, 1) * float(quote.price_std) if self.sampled else 0.0
                price = quote.price + Decimal(repr(noise))
                cents = int((price * 100).to_integral_value(ROUND_HALF_UP))
                priced.append((listing, max(cents, 1)))
        return tuple(priced)

    def _derive_suffix(self, number: int) -> str:
        text = f"{self.seed}/{number}".encode()
        return hashlib.blake2b(text, digest_size=8).hexdigest()


def _build_strategy(number: int, rng: Random, tradable: list[Listing], positions: int) -> Strategy:
    chosen = rng.sample(tradable, positions)
    # dealt in steps; one security in five is twice as likely
    chances = [2 if place % 5 == 0 else 1 for place in range(positions)]
    steps = dict.fromkeys(range(positions), 1 if positions <= STEPS else 0)
    for place in rng.choices(range(positions), chances, k=STEPS - sum(steps.values())):
        steps[place] += 1
    weights = {str(chosen[place].security_id): WEIGHT_STEP * steps[place] for place in steps}
    return Strategy(f"Strategy {number + 1}", weights)


def _build_book(strategy: Strategy, listings: tuple[Listing, ...]) -> Book:
    priced = {
        listing.security_id: float(listing.quote.price)
        for listing in listings
        if listing.security_id and listing.quote
    }
    strategy_lines = [
        (security, float(weight), priced[security]) for security, weight in strategy.weights.items()
    ]
    others = [
        (security, price) for security, price in priced.items() if security not in strategy.weights
    ]
    unpriced = [
        listing.security_id for listing in listings if listing.security_id and not listing.quote
    ]
    return Book(tuple(strategy_lines), tuple(others), tuple(unpriced))
