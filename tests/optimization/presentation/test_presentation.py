"""An outcome is shown: printed, as HTML, as a data frame, as a picture."""

import pickle
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib import pyplot as plt

from optimization import (
    FrameError,
    Model,
    Portfolio,
    PortfolioOutcome,
    RebalanceOptions,
    rebalance,
)
from optimization.presentation.table import Table
from optimization.presentation.tables import MAX_ROWS

PRICES = {"VTI": 31.50, "BND": 98, "GLD": 61.25}
MIX = Model({"VTI": 0.6, "BND": 0.35}, band=0.02)


@pytest.fixture
def answer() -> PortfolioOutcome:
    return rebalance(MIX, Portfolio("ira", 2000, {"BND": 90, "GLD": 0.5}, PRICES))


@pytest.fixture
def refused() -> PortfolioOutcome:
    options = RebalanceOptions(cash_floor="99%", bands="HARD")
    return rebalance(MIX, Portfolio("<b>ira</b>", 2000, {"BND": 90}, PRICES), options)


def test_an_outcome_prints_as_a_table(answer: PortfolioOutcome) -> None:
    assert str(answer).splitlines() == [
        "ira: REBALANCED",
        "market value 10,850.62, cash 2,000.00 -> 477.50, drift 65.03 (OPTIMAL)",
        "security  side  quantity  price    amount  before  target   after",
        "VTI       BUY        207  31.50  6,520.50   0.00%  60.00%  60.09%",
        "BND       SELL        51  98.00  4,998.00  81.29%  35.00%  35.22%",
        "GLD                       61.25             0.28%   0.00%   0.28%",
    ]


def test_a_refused_outcome_prints_its_reason(refused: PortfolioOutcome) -> None:
    first, reason, *_ = str(refused).splitlines()

    assert first == "<b>ira</b>: INFEASIBLE"
    assert refused.refusal is not None
    assert reason == refused.refusal.detail


def test_the_table_of_a_notebook_is_escaped(refused: PortfolioOutcome) -> None:
    html = refused._repr_html_()

    assert "&lt;b&gt;ira&lt;/b&gt;" in html
    assert "<b>" not in html
    assert html.count("<tr>") == 1 + len(MIX.targets)


def test_a_long_outcome_prints_its_trades_first_and_says_where_the_rest_is() -> None:
    names = [f"S{number:03}" for number in range(500)]
    model = Model(dict.fromkeys(names, "1/500"), band=0.001)
    held = Portfolio("ira", 100, dict.fromkeys(names[:-1], 2), dict.fromkeys(names, 10))

    lines = str(rebalance(model, held)).splitlines()

    assert lines[3].split()[:2] == ["S499", "BUY"]
    assert lines[-1] == f'and {500 - MAX_ROWS} more: to_frame("positions") has all'


def test_a_table_without_rows_is_its_lines() -> None:
    assert Table(("a",), [], above=("nothing",)).text() == "nothing"


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "dict"])
def test_a_frame_has_the_trades_in_every_kind(answer: PortfolioOutcome, kind: str) -> None:
    frame: Any = answer.to_frame("trades", kind)
    columns: dict[str, list[Any]] = {
        "pandas": lambda: frame.to_dict("list"),
        "polars": lambda: frame.to_dict(as_series=False),
        "pyarrow": lambda: frame.to_pydict(),  # noqa: PLW0108 - the attribute of one kind
        "dict": lambda: frame,
    }[kind]()

    assert columns == {
        "portfolio": ["ira", "ira"],
        "security": ["VTI", "BND"],
        "side": ["BUY", "SELL"],
        "quantity": [207, 51],
        "price": [31.5, 98.0],
        "amount": [6520.5, 4998.0],
        "weight_before": [0.0, 0.8129],
        "target": [0.6, 0.35],
        "weight_after": [0.6009, 0.3522],
    }


def test_positions_have_every_security_and_fractions_of_shares(answer: PortfolioOutcome) -> None:
    frame = answer.to_frame("positions", "polars")

    assert frame["security"].to_list() == ["VTI", "BND", "GLD"]
    assert frame["quantity_after"].to_list() == [207.0, 39.0, 0.5]
    assert frame.schema["quantity_after"] == pl.Float64


def test_a_frame_of_no_trade_keeps_its_types() -> None:
    held = Portfolio("ira", 500, {"VTI": 198, "BND": 37}, PRICES)
    frame = rebalance(MIX, held, RebalanceOptions(scope="DRIFTED_TO_TARGET")).to_frame(
        "trades", "pandas"
    )

    assert len(frame) == 0
    assert frame["security"].dtype == pd.Series(["VTI"], dtype="str").dtype
    assert frame["amount"].dtype == "float64"


def test_the_outcomes_name_the_reason_of_a_portfolio_without_a_plan(
    refused: PortfolioOutcome,
) -> None:
    table = refused.to_frame("outcomes", "pyarrow")

    assert isinstance(table, pa.Table)
    (row,) = table.to_pylist()
    assert (row["status"], row["drift"], row["trades"]) == ("INFEASIBLE", None, 0)
    assert row["reason"].startswith("No feasible")
    assert refused.to_frame("trades", "dict")["portfolio"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sales",), "no table 'sales': use 'positions', 'trades' or 'outcomes'"),
        (("trades", "modin"), "no kind of frame 'modin': use 'pandas', 'polars', 'pyarrow'"),
    ],
)
def test_an_unknown_table_or_kind_is_refused_with_those_there_are(
    answer: PortfolioOutcome, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FrameError, match=message):
        answer.to_frame(*arguments)


def test_a_picture_has_the_band_and_both_points_of_every_security(
    answer: PortfolioOutcome,
) -> None:
    axes = answer.plot()

    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["before", "after", "band"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["VTI", "BND", "GLD"]
    assert axes.collections[2].get_offsets()[0].tolist() == pytest.approx([0.09, 0])
    assert axes.get_title() == "ira: REBALANCED"
    plt.close(axes.figure)


def test_a_picture_goes_on_the_axes_that_are_given(answer: PortfolioOutcome) -> None:
    figure, given = plt.subplots()

    assert answer.plot(given) is given
    plt.close(figure)


def test_a_library_that_is_missing_is_named_in_one_line() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('matplotlib', 'matplotlib.pyplot', 'pandas')))\n"
        "from optimization import FrameError, Model, Portfolio, rebalance\n"
        "answer = rebalance(Model({'A': 1}, band=1), Portfolio('ira', 9, {}, {'A': 2}))\n"
        "for show in (answer.plot, lambda: answer.to_frame(kind='pandas')):\n"
        "    try:\n"
        "        show()\n"
        "    except FrameError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.splitlines() == [
        "plot() needs matplotlib: pip install matplotlib, or the extra plot of this distribution",
        "pandas is not installed: pip install pandas",
    ]


def test_an_outcome_is_compared_pickled_and_represented_as_before(
    answer: PortfolioOutcome,
) -> None:
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert repr(answer).startswith("PortfolioOutcome(portfolio_id='ira'")
    assert answer.market_value == Decimal("10850.625")
    assert not hasattr(answer, "__dict__")
