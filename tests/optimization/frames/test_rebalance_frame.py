"""Portfolios in data frames: of every library, long and wide, and what is wrong in them."""

import io
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from optimization import (
    ColumnsError,
    EmptyModelError,
    FrameError,
    Model,
    Portfolio,
    PortfolioOutcome,
    PricesMissingError,
    RebalanceOptions,
    RuleError,
    UnmatchedIdsError,
    price_targets,
    rebalance_all,
    rebalance_frame,
)

MIX = Model({"VTI": 0.6, "BND": "1/3"}, band=0.1)
PRICES = {"VTI": 245.5, "BND": 72.1, "GLD": 61.25}
LONG: dict[str, list[Any]] = {
    "Account": ["ira", "ira", "ira", "401k", "401k"],
    "Ticker": ["VTI", "GLD", "CASH", "BND", "CASH"],
    "Shares": [10.0, 4.0, 1234.56, 31.25, -50.0],
}
WIDE: dict[str, list[Any]] = {
    "Account": ["ira", "401k"],
    "Cash": [1234.56, -50.0],
    "VTI": [10.0, None],
    "BND": [0.0, 31.25],
    "GLD": [4.0, None],
}
ACCOUNTS = (
    Portfolio("ira", 1234.56, {"VTI": 10, "GLD": 4}, PRICES),
    Portfolio("401k", -50, {"BND": 31.25}, PRICES),
)
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table, "dict": dict}


def rebalance_each(
    model: Model = MIX, options: RebalanceOptions | None = None
) -> dict[str, PortfolioOutcome | Exception]:
    prices = {security_id: Decimal(str(price)) for security_id, price in PRICES.items()}
    answers = rebalance_all(price_targets(model, prices), ACCOUNTS, options or RebalanceOptions())
    return dict(zip(("ira", "401k"), answers, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", [LONG, WIDE], ids=["long", "wide"])
def test_portfolios_of_any_frame_get_the_plans_of_the_engine(kind: str, table: Any) -> None:
    outcome = rebalance_frame(KINDS[kind](table), PRICES, MIX)

    assert dict(outcome) == rebalance_each()
    assert type(outcome.to_frame()) is type(KINDS[kind](table))


@pytest.mark.parametrize(
    "options",
    [
        RebalanceOptions(cash_floor="2%", cash_flow=500),
        RebalanceOptions(direction="BUY_ONLY"),
        RebalanceOptions(maximum_trades=1, cost_per_trade=5, do_not_sell=["GLD"]),
    ],
    ids=["floor", "buy only", "coupled"],
)
def test_options_hold_for_every_portfolio_of_a_frame(options: RebalanceOptions) -> None:
    assert dict(rebalance_frame(pd.DataFrame(WIDE), PRICES, MIX, options)) == rebalance_each(
        MIX, options
    )


def test_a_frame_of_another_library_comes_through_the_arrow_interface() -> None:
    class Stream:
        """A table that offers the Arrow PyCapsule interface and nothing else."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.table(LONG).__arrow_c_stream__(requested_schema)

    outcome = rebalance_frame(Stream(), PRICES, MIX)

    assert dict(outcome) == rebalance_each()
    assert isinstance(outcome.to_frame(), pa.Table)


@pytest.mark.parametrize(
    "prices",
    [
        pd.Series(PRICES),
        pd.DataFrame({"Symbol": [*PRICES], "Last Price": [*PRICES.values()]}),
        pd.DataFrame({"close": PRICES}),
        pd.DataFrame([PRICES], index=[pd.Timestamp("2026-11-26")]),
        pl.DataFrame([PRICES]),
        pa.table({"ticker": [*PRICES], "px": [*PRICES.values()]}),
        {security_id: str(price) for security_id, price in PRICES.items()},
    ],
    ids=["series", "columns", "index", "row", "polars row", "arrow", "texts"],
)
def test_prices_come_in_every_form(prices: Any) -> None:
    assert dict(rebalance_frame(LONG, prices, MIX)) == rebalance_each()


@pytest.mark.parametrize(
    "model",
    [
        {"ticker": ["VTI", "BND"], "target": ["0.6", "1/3"], "band": [0.1, 0.1]},
        {"ticker": ["VTI", "BND"], "weight": [0.6, "1/3"], "low_drift": ["10%", 0.1],
         "high_drift": [0.1, 0.1]},
        {"ticker": ["VTI", "BND"], "target": ["60%", "1/3"]},
    ],
    ids=["band", "drifts", "argument"],
)  # fmt: skip
def test_a_model_comes_as_a_frame(model: dict[str, list[Any]]) -> None:
    band = None if len(model) > 2 else 0.1

    assert dict(rebalance_frame(LONG, PRICES, model, band=band)) == rebalance_each()
    table = {head: list(map(str, values)) for head, values in model.items()}
    assert dict(rebalance_frame(LONG, PRICES, pl.DataFrame(table), band=band)) == rebalance_each()


def test_edges_and_relative_drifts_are_bands_of_a_model() -> None:
    targets = {"security": ["VTI", "BND"], "target": [0.6, 0.3]}
    edges = {"low": [0.5, 0.2], "high": [0.65, 0.31]}
    relative = {"relative_drift": [0.1, 0.2], "absolute_drift": [0.05, 0.08]}

    assert dict(rebalance_frame(LONG, PRICES, targets | edges)) == rebalance_each(
        Model({"VTI": 0.6, "BND": 0.3}, band={"VTI": (0.1, 0.05), "BND": (0.1, 0.01)})
    )
    assert dict(rebalance_frame(LONG, PRICES, targets | relative)) == rebalance_each(
        Model({"VTI": 0.6, "BND": 0.3}, band={"VTI": 0.05, "BND": 0.06})
    )


def test_one_portfolio_is_a_mapping_or_a_series() -> None:
    held = {"VTI": 10, "GLD": 4}
    outcomes = [
        rebalance_frame({**held, "cash": 1234.56}, PRICES, MIX),
        rebalance_frame(pd.Series(held), pd.Series(PRICES), MIX, cash=1234.56),
        rebalance_frame(pd.DataFrame({"shares": pd.Series(held)}), PRICES, MIX, cash="1234.56"),
        rebalance_frame(pl.DataFrame([held]), PRICES, MIX, cash=1234.56),
    ]

    plans = [outcome["portfolio"].transactions for outcome in outcomes]  # type: ignore[union-attr]
    assert plans == [rebalance_each()["ira"].transactions] * 4  # type: ignore[union-attr]


def test_an_index_of_names_is_a_column_and_an_index_of_numbers_is_not() -> None:
    wide = pd.DataFrame(WIDE)
    filtered = pd.concat([wide, wide.assign(Account="x")])[lambda frame: frame["Account"] != "x"]

    assert dict(rebalance_frame(wide.set_index("Account"), PRICES, MIX)) == rebalance_each()
    unnamed = wide.set_index("Account").rename_axis(None)
    assert dict(rebalance_frame(unnamed, PRICES, MIX)) == rebalance_each()
    assert dict(rebalance_frame(filtered.set_axis([7, 3]), PRICES, MIX)) == rebalance_each()


@pytest.mark.parametrize("name", ["CASH", "$cash", "Cash Balance"])
def test_cash_has_the_names_that_brokers_give_it(name: str) -> None:
    tickers = [name if ticker == "CASH" else ticker for ticker in LONG["Ticker"]]
    held = {"VTI": 10.0, "GLD": 4, name: 1234.56}

    assert dict(rebalance_frame({**LONG, "Ticker": tickers}, PRICES, MIX)) == rebalance_each()
    assert rebalance_frame(held, PRICES, MIX)["portfolio"].cash_before == Decimal("1234.56")


def test_a_mapping_with_two_amounts_of_cash_is_refused() -> None:
    held = {"VTI": 10, "CASH": 500, "$CASH": 500}

    assert rebalance_frame(held, PRICES, MIX)["portfolio"].cash_before == 500
    with pytest.raises(FrameError, match=r"\$CASH of holdings is 400: .* give its cash once"):
        rebalance_frame({**held, "$CASH": 400}, PRICES, MIX)


def test_cash_is_given_by_portfolio_beside_the_frame() -> None:
    holdings = pd.DataFrame(WIDE).drop(columns="Cash")

    for cash in ({"ira": 1234.56, "401k": -50}, pd.Series({"ira": 1234.56, "401k": -50})):
        assert dict(rebalance_frame(holdings, PRICES, MIX, cash=cash)) == rebalance_each()


@pytest.mark.parametrize("library", ["numpy", "pandas", "polars", "pyarrow"])
def test_short_floats_are_read_by_their_own_digits(library: str) -> None:
    shares, ids = np.array([0.1], dtype=np.float32), ["VTI"]
    frame: Any = {
        "numpy": lambda: {"security": ids, "quantity": shares},
        "pandas": lambda: pd.DataFrame({"security": ids, "quantity": shares}),
        "polars": lambda: pl.DataFrame({"security": ids, "quantity": shares}),
        "pyarrow": lambda: pa.table({"security": ids, "quantity": shares}),
    }[library]()

    outcome = rebalance_frame(frame, PRICES, MIX)["portfolio"]

    assert isinstance(outcome, PortfolioOutcome)
    assert outcome.before[0] == Decimal("0.1")


def test_whole_numbers_are_ids_of_accounts() -> None:
    frame = pd.DataFrame({"account": [1001], "cash": [500], "VTI": [1]})

    assert [*rebalance_frame(frame, PRICES, MIX)] == ["1001"]


def test_a_portfolio_with_an_unpriced_holding_costs_itself_alone() -> None:
    frame = pl.DataFrame(LONG).with_columns(pl.col("Ticker").replace({"GLD": "OLD"}))
    outcome = rebalance_frame(frame, PRICES, MIX)

    assert isinstance(outcome["ira"], PricesMissingError)
    assert outcome["401k"] == rebalance_each()["401k"]
    assert "ira" in str(outcome)
    assert "no price above 0 for OLD" in str(outcome)
    table = outcome.to_frame("outcomes")
    assert table["status"].to_list()[0] == "FAILED"
    assert set(outcome.to_frame()["portfolio"]) == {"401k"}


def test_many_portfolios_print_a_line_each_and_have_a_picture() -> None:
    outcome = rebalance_frame(LONG, PRICES, MIX)

    assert str(outcome).splitlines()[0] == "2 portfolios: 2 REBALANCED"
    assert repr(outcome) == str(outcome)
    assert outcome._repr_html_().count("<tr>") == 3
    axes = outcome.plot()
    assert axes.get_title() == "2 portfolios"
    axes.figure.clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Shares": [1, "many", 3, 4, 5]}, "row 1 of holdings, Shares is 'many': a number is"),
        ({"Shares": [1, 2, None, 4, 5]}, "no error"),
        ({"Shares": [1, None, 3, 4, 5]}, "row 1 of holdings, Shares is None: a number is"),
        ({"Shares": [1, float("inf"), 3, 4, 5]}, "row 1 of holdings, Shares is inf: .* finite"),
        ({"Ticker": ["VTI", "VTI", "CASH", "BND", "CASH"]}, "in row 0 already: add them up"),
        ({"Ticker": ["VTI", "CASH", "CASH", "BND", "CASH"]}, "give its cash once"),
        ({"Ticker": ["VTI", " ", "CASH", "BND", "CASH"]}, "row 1 of holdings, Ticker is ' '"),
        ({"Account": ["ira", None, "ira", "b", "b"]}, "row 1 of holdings, Account is None: an id"),
        ({"Account": ["ira", 1.5, "ira", "b", "b"]}, "row 1 of holdings, Account is 1.5: an id"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_named_by_row_column_and_value(
    change: dict[str, list[Any]], message: str
) -> None:
    if message == "no error":  # an empty cell of cash is no cash
        rebalance_frame(LONG | change, PRICES, MIX)
        return
    with pytest.raises(FrameError, match=message):
        rebalance_frame(LONG | change, PRICES, MIX)


def test_all_wrong_cells_are_named_at_once() -> None:
    frame = {"security": ["VTI"] * 30, "quantity": ["x"] * 30}

    with pytest.raises(FrameError) as refused:
        rebalance_frame(frame, PRICES, MIX)

    lines = str(refused.value).splitlines()
    assert len(lines) == 21
    assert lines[0].startswith("row 0 of holdings, quantity is 'x'")
    assert lines[-1] == "and 10 more"


@pytest.mark.parametrize(
    ("holdings", "message"),
    [
        ([1, 2], "holdings is a list: give a pandas, polars or pyarrow table"),
        (pl.DataFrame(LONG).lazy(), r"holdings is a LazyFrame: call collect\(\) first"),
        (
            {"portfolio": ["a"], "VTI": [1], "Notes": ["x"]},
            "column 'Notes': no usual name",
        ),
        ({"VTI": [1, 2]}, "2 rows and no column of portfolios: add one"),
        ({"portfolio": ["a", "a"], "VTI": [1, 2]}, "row 1 of holdings, portfolio is 'a'"),
        ({"security": "VTI", "quantity": [1]}, "column 'security' is 'VTI': a column is a list"),
    ],
)
def test_holdings_of_no_known_shape_are_refused_with_what_to_give(
    holdings: Any, message: str
) -> None:
    with pytest.raises(FrameError, match=message):
        rebalance_frame(holdings, PRICES, MIX)


@pytest.mark.parametrize(
    ("prices", "error", "message"),
    [
        (pd.DataFrame([PRICES] * 3), FrameError, r"3 rows .* as in prices.tail\(1\)"),
        ({"security": ["VTI", "VTI"], "price": [1, 2]}, FrameError, "row 1 of prices, price is"),
        ({"VTI": "dear"}, RuleError, "prices.VTI is 'dear': a number is"),
        ({"VTI": 245.5}, PricesMissingError, "no price above 0 for BND"),
        ({"VTI": 245.5, "BND": 0}, PricesMissingError, "no price above 0 for BND"),
        ({"security": ["VTI"], "Cost": [1]}, ColumnsError, "no column is the price"),
    ],
)
def test_prices_that_cannot_be_used_are_refused(
    prices: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rebalance_frame(LONG, prices, MIX)


@pytest.mark.parametrize(
    ("model", "band", "error", "message"),
    [
        (MIX, 0.05, FrameError, "the Model has bands: leave one of them out"),
        ({"VTI": 0.6}, None, RuleError, "give one of the two: band=0.05"),
        ({"security": ["VTI"], "target": [0.6]}, None, FrameError, "model has no bands: give band"),
        ({"security": ["VTI"], "target": [6]}, 0.1, FrameError, "row 0 of model, weight is 6"),
        ({"security": ["VTI"] * 2, "target": [0.1] * 2}, 0.1, FrameError, "row 1 of model, sec"),
        ({"security": ["VTI", "BND"], "target": [0.6] * 2}, 0.1, RuleError, "sum to 1 at most"),
        ({"VTI": 0}, 0.1, EmptyModelError, "liquidate"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(
    model: Any, band: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rebalance_frame(LONG, PRICES, model, band=band)


def test_a_misspelt_restriction_is_refused() -> None:
    with pytest.raises(UnmatchedIdsError, match="do_not_sell names VIT"):
        rebalance_frame(LONG, PRICES, MIX, RebalanceOptions(do_not_sell=["VIT"]))


def test_options_are_a_mapping_too_and_an_unknown_one_is_refused() -> None:
    options = RebalanceOptions(cash_floor="2%")

    outcome = rebalance_frame(LONG, PRICES, MIX, {"cash_floor": "2%"})

    assert dict(outcome) == rebalance_each(MIX, options)
    with pytest.raises(
        RuleError, match=r"options.cash_minimum is '2%': no such option; there are ca"
    ):
        rebalance_frame(LONG, PRICES, MIX, {"cash_minimum": "2%"})


def test_a_series_with_a_security_twice_is_refused() -> None:
    holdings = pd.Series([1, 2], index=["VTI", "VTI"])

    with pytest.raises(FrameError, match="holdings has 'VTI' twice in its index: add them up"):
        rebalance_frame(holdings, PRICES, MIX)


def test_one_amount_of_cash_is_for_one_portfolio_and_given_once() -> None:
    with pytest.raises(FrameError, match="2 portfolios: give cash by portfolio"):
        rebalance_frame(LONG, PRICES, MIX, cash=100)
    with pytest.raises(FrameError, match="cash of ira is 5: the portfolio has another cash"):
        rebalance_frame(LONG, PRICES, MIX, cash={"ira": 5})


def test_a_csv_goes_through_pandas_to_a_frame_of_trades() -> None:
    text = "Account,Symbol,Qty\nira,BND,90\nira,Cash,2000\n"
    frame = rebalance_frame(
        pd.read_csv(io.StringIO(text)),
        {"VTI": 31.5, "BND": 98},
        {"VTI": 0.6, "BND": 0.35},
        band=0.02,
    ).to_frame()

    assert frame[["side", "quantity", "security"]].values.tolist() == [
        ["BUY", 206, "VTI"],
        ["SELL", 51, "BND"],
    ]


def test_frames_are_read_without_any_library_of_frames() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('pandas', 'polars', 'pyarrow', 'narwhals')))\n"
        "from optimization import rebalance_frame\n"
        "frame = {'VTI': [1], 'cash': [500]}\n"
        "outcome = rebalance_frame(frame, {'VTI': 245.5}, {'VTI': 1}, band=1)\n"
        "print(outcome.to_frame()['quantity'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "[2]\n"
