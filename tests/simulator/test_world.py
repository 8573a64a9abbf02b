"""The market as data: the same for the same seed, special where it should be."""

from decimal import Decimal
from pathlib import Path

import pytest

from serve_app.simulator import KindFractions, Market
from serve_app.simulator.population import DECK

CSV = """price_date,ticker,price,price_std
2017-01-03,A,10.00,0.1
2018-01-22,A,72.63,1.1
2018-01-22,BRK.B,214.10,2.5
2018-01-22,C,0.01,0.5
2018-01-22,D,80.5,13.0
"""


def world(market: Market) -> tuple[object, ...]:
    portfolios = tuple(market.rows(number) for number in range(50))
    return (
        market.listings(),
        market.strategies,
        market.portfolio_ids(50),
        portfolios,
        market.prices(0),
    )


def test_one_seed_makes_one_world() -> None:
    assert world(Market(11, 50)) == world(Market(11, 50))


def test_another_seed_makes_another_world() -> None:
    for first, other in zip(world(Market(11, 50)), world(Market(12, 50)), strict=True):
        assert first != other


def test_more_portfolios_leave_the_others_as_they_were() -> None:
    assert world(Market(11, 50)) == world(Market(11, 100_000))


def test_an_id_leads_back_to_its_portfolio_and_a_made_up_one_nowhere() -> None:
    market = Market(11, 1_000_000)

    for number in (0, 1, 77_777, 999_999):
        portfolio_id = market.portfolio_id(number)
        assert len(portfolio_id) == 24
        assert market.number(portfolio_id) == number
        assert market.number(portfolio_id[:-1] + "g") is None
    assert market.number(market.portfolio_id(1_000_000)) is None
    assert market.number("z" * 24) is None
    assert market.number("") is None


def test_ids_sort_like_their_numbers() -> None:
    ids = Market(11, 5000).portfolio_ids()

    assert list(ids) == sorted(ids)
    assert len(set(ids)) == 5000


def test_the_number_of_rows_is_known_without_deriving_them() -> None:
    market = Market(11, 3000, positions=7)
    rows = 0
    for number in range(2500):
        assert market.count_earlier_rows(number) == rows
        rows += len(market.rows(number))


def test_a_price_is_rounded_half_up_to_cents_and_never_below_one_cent(tmp_path: Path) -> None:
    market = Market(1, 1, positions=1, prices_file=csv_in(tmp_path))

    cents = [dict(list_names(market, look)) for look in range(400)]

    assert min(look["C"] for look in cents) == 1
    assert len({look["A"] for look in cents}) > 50


def list_names(market: Market, look: int) -> list[tuple[str, int]]:
    return [(listing.ticker, price) for listing, price in market.prices(look)]


def csv_in(folder: Path) -> Path:
    path = folder / "prices.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_without_sampling_a_price_is_its_mean(tmp_path: Path) -> None:
    market = Market(1, 1, positions=1, prices_file=csv_in(tmp_path), sampled=False)

    assert market.prices(0) == market.prices(1)
    assert list_names(market, 5) == [("A", 7263), ("BRK.B", 21410), ("C", 1), ("D", 8050)]


def test_looks_are_samples_around_the_mean() -> None:
    market = Market(1, 1)
    quote = market.securities()[0].quote
    assert quote is not None

    found = [dict(list_names(market, look))[quote.ticker] for look in range(300)]

    assert len(set(found)) > 1
    assert abs(sum(found) / 30_000 - float(quote.price)) < float(quote.price_std)


def test_a_file_of_prices_gives_the_newest_date_or_the_chosen_one(tmp_path: Path) -> None:
    path = csv_in(tmp_path)

    newest = {
        listing.ticker: listing.price
        for listing in Market(1, 1, positions=1, prices_file=path).listings()
    }

    assert newest["A"] == Decimal("72.63")
    with pytest.raises(ValueError, match="2001-01-01"):
        Market(1, 1, positions=1, prices_file=path, price_date="2001-01-01")


def test_the_id_of_a_security_depends_on_its_ticker_alone(tmp_path: Path) -> None:
    path = csv_in(tmp_path)
    ids = [
        {
            listing.ticker: listing.security_id
            for listing in Market(seed, 1, positions=1, prices_file=path).securities()
        }
        for seed in (1, 2)
    ]

    shared = ids[0].keys() & ids[1].keys()
    assert shared
    assert all(ids[0][ticker] == ids[1][ticker] for ticker in shared)


def test_synthetic_prices_are_two_to_four_thousand_with_a_median_near_eighty() -> None:
    prices = sorted(listing.price for listing in Market(7).listings() if listing.price)

    assert len(prices) == 500
    assert prices[0] >= 2
    assert prices[-1] <= 4000
    assert 65 < prices[250] < 95


def test_a_strategy_is_a_model_that_the_rules_allow() -> None:
    for strategy in Market(7, positions=20).strategies:
        assert sum(strategy.weights.values()) == Decimal("0.95")
        assert len(strategy.weights) == 20
        assert all(weight % Decimal("0.005") == 0 < weight for weight in strategy.weights.values())


def test_every_kind_of_portfolio_is_there() -> None:
    market = Market(7, DECK)
    priced = {listing.security_id for listing in market.securities()}
    portfolios = [market.rows(number) for number in range(DECK)]

    def having(rule: object) -> int:
        return sum(bool(rule(rows)) for rows in portfolios)  # type: ignore[operator]

    assert having(lambda rows: len(rows) == 1 and rows[0].long >= 100_000) == 50
    assert having(lambda rows: not rows) == 5
    assert having(lambda rows: len(rows) == 1 and rows[0].long == 0) == 5
    assert having(lambda rows: rows and rows[0].long < 0) == 5
    assert having(lambda rows: any(row.short for row in rows)) == 5
    assert having(lambda rows: any(row.long % 1 for row in rows[1:])) == 5
    assert having(lambda rows: any(row.security_id not in priced for row in rows[1:])) == 5
    assert having(lambda rows: any(row.long == row.short == 0 for row in rows[1:])) > 50


def test_shares_can_be_chosen() -> None:
    market = Market(7, 200, fractions=KindFractions(all_cash=1.0, tiny=0.0, odd=0.0))

    assert all(len(market.rows(number)) == 1 for number in range(200))
    with pytest.raises(ValueError, match="together at most 1"):
        KindFractions(all_cash=0.9, tiny=0.2)
