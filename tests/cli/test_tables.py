"""Tables for people: whole ids and amounts, names beside ids, percentages."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from serve_app.cli.output import Percent, make_table, show
from serve_app.cli.tables import tabulate_causes
from serve_app.client.responses.outcomes import AdmittingBand, Cause, Causes
from tests.support.command_server import Ordergen
from tests.support.fakes import TICKERS, A, P, Q, Stored
from tests.support.names import name_everything
from tests.support.terminal import run_on_terminal

COLUMNS = ("run", "status", "outcomes")
ROW = ("123456789012345678901234", "STOPPED: no answer of accounting", "120REBALANCED30FAILED")


def test_a_pipe_gets_whole_lines_however_narrow_the_terminal_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    show(make_table(f"Runs of {ROW[0]} and {ROW[0]}", COLUMNS, [ROW]))

    title, _, _, _, row, _ = capsys.readouterr().out.splitlines()
    assert title == f"Runs of {ROW[0]} and {ROW[0]}"
    assert [cell.strip() for cell in row.strip("│").split("│")] == [*ROW]


def cells_of(text: str) -> list[str]:
    """Join the lines of each column of a table."""
    rows = [line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")]
    return ["".join(part.strip() for part in parts) for parts in zip(*rows, strict=True)]


@pytest.mark.parametrize(("columns", "has_ids"), [(110, True), (80, False), (40, False)])
@pytest.mark.usefixtures("model")
async def test_a_terminal_folds_ids_before_amounts_and_loses_no_character(
    ordergen: Ordergen, url: str, columns: int, has_ids: bool
) -> None:
    piped = await ordergen("drift", "--portfolio", P)
    screen = await run_on_terminal(url, "drift", "--portfolio", P, columns=columns)

    assert screen.exit_code == 0, screen.text
    table = [line for line in screen.text.splitlines() if "│" in line]
    assert all(len(line) <= columns for line in table)
    assert cells_of(screen.text) == cells_of(piped.stdout)
    assert (A in screen.text) == has_ids
    assert ("25.62" in screen.text) == (columns > 40)


@pytest.mark.usefixtures("model")
async def test_a_narrow_terminal_gets_whole_lines_if_it_asks_for_them(url: str) -> None:
    screen = await run_on_terminal(url, "drift", "--portfolio", P, "--wide", columns=40)

    assert A in screen.text
    assert "…" not in screen.text


async def test_names_and_tickers_stand_beside_ids(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    model_id = model["model_id"]
    rebalanced = await ordergen("rebalance", "--model", model_id)
    (stored,) = json.loads((await ordergen("show", "--json")).stdout)
    rebalance_id = stored["rebalance_id"]

    by_portfolio = [
        rebalanced,
        await ordergen("show", rebalance_id),
        await ordergen("drift", "--model", model_id),
        await ordergen("drift", "--portfolio", P),
    ]
    by_security = [
        await ordergen("models", model_id),
        await ordergen("show", rebalance_id, "--portfolio", P),
        await ordergen("rebalance", "--portfolio", P, "--dry-run"),
        await ordergen("drift", "--portfolio", P),
    ]

    for done in by_portfolio:
        assert "Growth IRA" in done.stdout, done.output
    for done in by_security:
        assert TICKERS[A] in done.stdout, done.output


async def test_ids_stay_alone_where_the_service_knows_no_names(
    ordergen: Ordergen, model: dict[str, Any], stored: Stored
) -> None:
    stored.resources = replace(stored.resources, portfolios=name_everything(None))

    done = await ordergen("drift", "--model", model["model_id"])

    assert Q in done.stdout
    assert "name" not in done.stdout


async def test_a_service_that_fails_to_name_anything_costs_no_table(
    ordergen: Ordergen, model: dict[str, Any], stored: Stored
) -> None:
    stored.resources = replace(
        stored.resources,
        portfolios=None,  # pyright: ignore[reportArgumentType]
    )

    done = await ordergen("drift", "--model", model["model_id"])

    assert done.exit_code == 0, done.output
    assert Q in done.stdout


async def test_json_has_ids_alone(ordergen: Ordergen, model: dict[str, Any]) -> None:
    done = await ordergen("drift", "--model", model["model_id"], "--json")

    assert P in done.stdout
    assert "Growth IRA" not in done.stdout


@pytest.mark.parametrize(
    ("weight", "shown"),
    [
        ("0.055", "5.50%"),
        ("0", "0.00%"),
        ("1", "100.00%"),
        ("-0.02", "-2.00%"),
        ("0.000123456789", "0.0123456789%"),
        (Fraction(1, 3), "33.3333%"),
    ],
)
def test_a_weight_is_a_percentage_with_two_decimals_or_all_it_has(
    weight: str | Fraction, shown: str
) -> None:
    assert str(Percent(weight if isinstance(weight, Fraction) else Decimal(weight))) == shown


async def test_amounts_of_trades_are_shown_to_the_cent(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    done = await ordergen("rebalance", "--model", model["model_id"], "--json")
    rebalance_id = json.loads(done.stdout)[0]["rebalance_id"]

    shown = await ordergen("show", rebalance_id, "--portfolio", P)

    row = next(line for line in shown.stdout.splitlines() if A in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == [A, "ALFA", "10.25", "2", "3", "BUY", "1", "10.25", "25.00%", "3.07%"]


@pytest.mark.usefixtures("model")
async def test_a_terminal_sees_the_seconds_of_a_step_and_a_pipe_nothing(
    ordergen: Ordergen, url: str
) -> None:
    piped = await ordergen("drift", "--portfolio", P)
    screen = await run_on_terminal(url, "drift", "--portfolio", P)

    assert re.search(r"measuring \d+ s", screen.text)
    assert piped.stderr == ""


def test_causes_name_the_band_that_would_admit_every_portfolio(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bands = tuple(
        AdmittingBand(Decimal(share), Decimal(low), Decimal("0.01"))
        for share, low in (("0.5", "0.0084"), ("1", "0.0144"))
    )
    causes = (
        Cause("/problems/infeasible", "Infeasible", "security", A, 52, (P,), bands),
        Cause("/problems/no-holdings", "No holdings", None, None, 1, (Q,), ()),
    )

    show(tabulate_causes(Causes(53, is_whole=False, causes=causes)))

    text = capsys.readouterr().out
    assert "53 portfolios without a plan, there are more" in text
    assert "1.44%" in text
    assert "0.84%" not in text
    assert "No holdings" in text
