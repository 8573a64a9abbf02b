"""Listing: a security of the simulated market, a price, or both."""

import csv
import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from random import Random
from string import ascii_uppercase

from serve_app.simulator.chance import make_random

SYNTHETIC = 500
COLUMNS = ("price_date", "ticker", "price", "price_std")
UNLISTED_SHARE = 0.02  # prices without a security, and securities without a price
# The first is a regular expression that matches the second: see the v2 search of securities.
DOTTED = ("QX.B", "QXZB")


@dataclass(frozen=True, slots=True)
class Quote:
    """Mean and standard deviation of a ticker's price."""

    ticker: str
    price: Decimal
    price_std: Decimal


@dataclass(frozen=True, slots=True)
class Listing:
    """A ticker: only a price without ``security_id``, only a security without ``quote``."""

    ticker: str
    security_id: str | None
    quote: Quote | None

    @property
    def price(self) -> Decimal | None:
        """The mean price."""
        return None if self.quote is None else self.quote.price


def listings(
    quotes: Iterable[Quote], seed: int, *, natural_ids: bool = False
) -> tuple[Listing, ...]:
    """The securities of these quotes, by ticker; some lack one or the other.

    A security id depends on the ticker alone; with ``natural_ids`` it is the ticker.
    """
    make_id = str if natural_ids else security_id
    rng = make_random("listings", seed)
    all_listings = [
        Listing(
            quote.ticker,
            None if rng.random() < UNLISTED_SHARE else make_id(quote.ticker),
            quote,
        )
        for quote in quotes
    ]
    used_tickers = {listing.ticker for listing in all_listings}
    for _ in range(max(1, round(UNLISTED_SHARE * len(all_listings)))):
        ticker = _make_ticker(rng, used_tickers)
        all_listings.append(Listing(ticker, make_id(ticker), None))
    return tuple(sorted(all_listings, key=lambda listing: listing.ticker))


def security_id(ticker: str) -> str:
    """The id a ticker's security has: 24 hexadecimal characters."""
    return hashlib.blake2b(ticker.encode(), digest_size=12).hexdigest()


def synthetic_quotes(seed: int, count: int = SYNTHETIC) -> tuple[Quote, ...]:
    """Lognormal prices with median 80 from 2 to 4000; standard deviations about 1.6 % of them."""
    rng = make_random("quotes", seed)
    used_tickers: set[str] = set()
    tickers = [*DOTTED, *(_make_ticker(rng, used_tickers) for _ in range(count - len(DOTTED)))]
    quotes: list[Quote] = []
    for ticker in tickers:
        price = min(max(80 * math.exp(rng.gauss(0, 0.9)), 2), 4000)
        std = price * 0.016 * math.exp(rng.gauss(0, 0.6))
        quotes.append(Quote(ticker, Decimal(f"{price:.2f}"), Decimal(f"{std:.4f}")))
    return tuple(quotes)


def read_quotes(path: Path, date: str | None = None) -> tuple[Quote, ...]:
    """Quotes of one date, the newest by default, of a CSV with price_date,ticker,price,price_std.

    Raises a ValueError that names the column or the line.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"there is no column {missing[0]}; {', '.join(COLUMNS)} are needed")
        rows = [(reader.line_num, row) for row in reader]
    chosen = date or max((row["price_date"] for _, row in rows), default="")
    quotes = tuple(_read_quote(line, row) for line, row in rows if row["price_date"] == chosen)
    if not quotes:
        raise ValueError(f"there are no prices of {chosen or 'any date'}")
    return quotes


def _read_quote(line: int, row: dict[str, str]) -> Quote:
    if not row["ticker"]:
        raise ValueError(f"line {line} has no ticker")
    price, price_std = (_read_amount(line, name, row[name]) for name in ("price", "price_std"))
    if price == 0:
        raise ValueError(f"line {line}: price is 0, an amount above 0 is needed")
    return Quote(row["ticker"], price, price_std)


def _read_amount(line: int, name: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and amount >= 0):
        raise ValueError(f"line {line}: {name} is {text!r}, an amount is needed")
    return amount


def _make_ticker(rng: Random, used_tickers: set[str]) -> str:
    while True:
        ticker = "".join(rng.choices(ascii_uppercase, k=rng.choice((3, 3, 4))))
        if ticker not in used_tickers and ticker not in DOTTED:
            used_tickers.add(ticker)
            return ticker
