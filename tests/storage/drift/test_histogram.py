"""Histogram of drift: bins of a round width that hold every portfolio once."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from storage.drift.histogram import WeightCount, make_histogram


def weighed(*weights: str) -> list[WeightCount]:
    counts = {Decimal(weight): weights.count(weight) for weight in weights}
    return [WeightCount(weight, counts[weight], 0) for weight in sorted(counts)]


def test_without_portfolios_there_are_no_bins_and_no_figures() -> None:
    empty = make_histogram([], 40)

    assert (empty.bins, empty.portfolios, empty.median) == ((), 0, None)


def test_one_portfolio_of_a_hundred_with_very_much_drift_is_in_a_bin_without_an_end() -> None:
    made = make_histogram(weighed(*["0.0150"] * 50, *["0.0350"] * 49, "7.5000"), 4)

    assert [(str(bar.lower), bar.portfolios) for bar in made.bins] == [
        ("0.0000", 0),
        ("0.0100", 50),
        ("0.0200", 0),
        ("0.0300", 50),
    ]
    assert made.bins[-1].upper is None
    assert (str(made.median), str(made.largest)) == ("0.0150", "7.5000")


def test_percentiles_are_weights_that_portfolios_have() -> None:
    made = make_histogram(weighed("0.01", "0.02", "0.03", "0.04"), 40)

    assert (str(made.median), str(made.p95)) == ("0.02", "0.04")


WEIGHTS = st.lists(
    st.tuples(st.integers(0, 30_000), st.integers(1, 9), st.integers(0, 9)),
    min_size=1,
    max_size=60,
    unique_by=lambda row: row[0],
)


@given(WEIGHTS, st.integers(1, 100))
def test_every_portfolio_is_in_one_bin_and_bins_follow_each_other(
    drawn: list[tuple[int, int, int]], bins: int
) -> None:
    given_weights = [
        WeightCount(Decimal(units).scaleb(-4), portfolios, min(outside, portfolios))
        for units, portfolios, outside in sorted(drawn)
    ]

    made = make_histogram(given_weights, bins)

    assert 1 <= len(made.bins) <= bins
    assert made.bins[0].lower == 0
    for bar, following in zip(made.bins, made.bins[1:], strict=False):
        assert bar.upper == following.lower
    for bar in made.bins:
        inside = [
            count
            for count in given_weights
            if bar.lower <= count.weight and (bar.upper is None or count.weight < bar.upper)
        ]
        assert bar.portfolios == sum(count.portfolios for count in inside)
        assert bar.out_of_band == sum(count.out_of_band for count in inside)
    assert sum(bar.portfolios for bar in made.bins) == made.portfolios
    shown = sum(bar.portfolios for bar in made.bins if bar.upper is not None)
    assert made.bins[-1].upper is None or shown == made.portfolios
