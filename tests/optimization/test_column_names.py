"""Columns are found by usual names, and an ambiguity is said."""

import pickle

import pytest

from optimization.column_names import USUAL_NAMES, find_columns, find_field, normalize_name
from optimization.errors import ColumnsError

HOLDINGS = ("portfolio", "security", "quantity")


def test_no_name_belongs_to_two_fields():
    names = [
        normalize_name(name)
        for field, synonyms in USUAL_NAMES.items()
        for name in (field, *synonyms)
    ]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("head", "field"),
    [
        ("PORTFOLIO", "portfolio"),
        ("Account_ID", "portfolio"),
        ("  ticker symbol ", "security"),
        ("ISIN", "security"),
        ("No. of shares", "quantity"),
        ("Qty.", "quantity"),
        ("Price (USD)", "price"),
        ("px_last", "price"),
        ("Target Weight [%]", "target"),
        ("Target %", "target"),
        ("%", "target"),
        ("low-drift", "low_drift"),
        ("+/-", "band"),
        ("Cash balance", "cash"),
        ("VTI", None),
        ("", None),
    ],
)
def test_case_blanks_marks_and_units_do_not_matter(head: str, field: str | None):
    assert find_field(head) == field


def test_columns_that_are_not_wanted_are_ignored():
    heads = ["Name", "Symbol", "High", "Low", "Close", "Account", "Shares"]

    assert find_columns(heads, HOLDINGS, ("cash",)) == {
        "portfolio": 5,
        "security": 1,
        "quantity": 6,
    }


def test_the_own_name_of_a_field_wins_over_its_synonyms():
    assert find_columns(["isin", "Security"], ("security",)) == {"security": 1}


def test_all_that_is_ambiguous_or_missing_is_said_at_once():
    with pytest.raises(ColumnsError) as caught:
        find_columns(["ISIN", "Ticker", "Symbol", "Account"], HOLDINGS)

    assert caught.value.rules == (
        (
            "'ISIN' and 'Ticker' and 'Symbol' can all be the security: "
            "name the one that is meant 'security'"
        ),
        "no column is the quantity (quantity, qty, shares, units, ...)",
    )


def test_an_own_name_given_twice_is_ambiguous():
    with pytest.raises(ColumnsError, match="'price' and 'Price' can both be the price"):
        find_columns(["price", "Price"], ("price",))


def test_the_error_can_be_pickled():
    error = ColumnsError({"price": ("Last", "Close")}, {"security": ("ticker",)})

    assert str(pickle.loads(pickle.dumps(error))) == str(error)
