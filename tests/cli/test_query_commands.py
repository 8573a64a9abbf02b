"""Query commands as a person or a program uses them, against the application on a port."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from optimization.domain.outcome import Edge, OutsideBand, PortfolioOutcome, Status
from optimization.domain.portfolio import PricedTarget
from serve_app.cli import cli
from tests.support.command_server import WIDE, Ordergen
from tests.support.fakes import (
    PRICE,
    A,
    FakeOptimizer,
    P,
    Q,
    make_position,
    make_purchase,
    make_refusal,
)

NOWHERE = "http://127.0.0.1:9"


async def rebalance_model(ordergen: Ordergen, model_id: str) -> str:
    done = await ordergen("rebalance", "--model", model_id, "--json")
    return json.loads(done.stdout)[0]["rebalance_id"]


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_models_are_listed_and_one_is_shown(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    listed = await ordergen("models")
    shown = await ordergen("models", model["model_id"])

    assert listed.exit_code == shown.exit_code == 0
    assert model["model_id"] in listed.stdout
    assert A in shown.stdout
    assert "25.00%" in shown.stdout


async def test_json_has_numbers_of_the_digits_of_the_service(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    shown = await ordergen("models", model["model_id"], "--json")

    assert '"target": 0.25' in shown.stdout
    exact = json.loads(shown.stdout, parse_float=Decimal)
    assert exact["positions"][0]["low_drift"] == Decimal("0.01")


async def test_a_model_is_rebalanced_with_options_and_shown_page_by_page(
    ordergen: Ordergen, model: dict[str, Any], optimizer: FakeOptimizer
) -> None:
    options = '{"cash_floor": "2%", "minimum_value": 10.10}'

    done = await ordergen("rebalance", "--model", model["model_id"], "--options", options)

    assert done.exit_code == 0, done.output
    assert done.stdout.count("REBALANCED") == 2
    given, _ = optimizer.asked[0]
    assert given is not None
    assert str(given["minimum_value"]) == "10.10"
    listed = await ordergen("show", "--json")
    (stored,) = json.loads(listed.stdout)
    parts = await ordergen("show", stored["rebalance_id"])
    lines = await ordergen("show", stored["rebalance_id"], "--portfolio", P)
    assert P in parts.stdout
    assert Q in parts.stdout
    assert str(PRICE) in lines.stdout


async def test_a_portfolio_is_rebalanced_alone_and_its_trades_are_printed(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    done = await ordergen("rebalance", "--portfolio", P, "--model", model["model_id"], "--dry-run")

    assert done.exit_code == 0, done.output
    assert "not stored" in done.stdout
    assert f"Trades of {P}" in done.stdout


async def test_nothing_rebalanced_ends_with_1_and_says_why(
    ordergen: Ordergen, model: dict[str, Any], optimizer: FakeOptimizer
) -> None:
    optimizer.outcome = lambda portfolio_id, _: make_refusal("infeasible", portfolio_id)

    done = await ordergen("rebalance", "--model", model["model_id"])

    assert (done.exit_code, done.stdout) == (1, "")
    assert "422 /problems/infeasible: " in done.stderr


async def test_drift_is_shown_of_a_model_and_of_a_portfolio(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    every = await ordergen("drift", "--model", model["model_id"])
    one = await ordergen("drift", "--portfolio", P)

    assert (every.exit_code, one.exit_code) == (0, 0), every.output + one.output
    assert every.stdout.count("OUT_OF_BAND") == 2
    assert A in one.stdout


BEGINS = {
    "trades.csv": b"rebalance_id,",
    "trades.xlsx": b"PK",
    "trades.jsonl": b"{",
    "trades.parquet": b"PAR1",
    "trades.arrows": b"\xff\xff\xff\xff",
}


@pytest.mark.parametrize("name", BEGINS)
async def test_a_trade_list_is_written_in_the_form_that_its_name_says(
    ordergen: Ordergen, model: dict[str, Any], tmp_path: Path, name: str
) -> None:
    rebalance_id = await rebalance_model(ordergen, model["model_id"])

    done = await ordergen("export", rebalance_id, "--output", str(tmp_path / name))

    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert (tmp_path / name).read_bytes().startswith(BEGINS[name])
    assert names_in(tmp_path) == [name]


async def test_a_trade_list_goes_to_stdout_as_csv(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    rebalance_id = await rebalance_model(ordergen, model["model_id"])

    done = await ordergen("export", rebalance_id, "--portfolio", Q)

    assert done.stdout_bytes.count(b"\r\n") == 2
    assert f",{Q},".encode() in done.stdout_bytes


async def test_an_export_that_is_refused_leaves_no_file(ordergen: Ordergen, tmp_path: Path) -> None:
    done = await ordergen("export", "0" * 24, "-o", str(tmp_path / "trades.csv"))

    assert done.exit_code == 1
    assert "not-found" in done.stderr
    assert names_in(tmp_path) == []


async def test_what_a_file_or_stdin_gives_whole_is_optimized(
    ordergen: Ordergen, tmp_path: Path
) -> None:
    body = {
        "model": {"positions": [make_position()]},
        "prices": {A: "31.50"},
        "portfolios": [{"portfolio_id": P, "cash": 1000, "holdings": {}}],
    }
    file = tmp_path / "given.json"
    file.write_text(json.dumps(body))

    from_file = await ordergen("optimize", str(file), "--json")
    from_stdin = await ordergen("optimize", "-", "--json", stdin=json.dumps(body))

    assert from_file.exit_code == 0, from_file.output
    assert json.loads(from_file.stdout)[0]["portfolio_id"] == P
    assert from_stdin.stdout == from_file.stdout


async def test_what_is_left_outside_its_band_is_printed_with_what_holds_it(
    ordergen: Ordergen, model: dict[str, Any], optimizer: FakeOptimizer
) -> None:
    held = OutsideBand(A, Edge.ABOVE, Decimal("120.00"), ("direction", "cash_floor"))

    def untouched(portfolio_id: str, securities: tuple[PricedTarget, ...]) -> PortfolioOutcome:
        made = make_purchase(portfolio_id, securities)
        return replace(made, status=Status.NO_TRADE, after=made.before, outside_band=(held,))

    optimizer.outcome = untouched

    done = await ordergen("rebalance", "--portfolio", P)
    data = await ordergen("rebalance", "--portfolio", P, "--json")

    assert done.exit_code == 0, done.output
    for text in ("NO_TRADE", "Left outside their bands", "120.00", "direction, cash_floor"):
        assert text in done.stdout
    assert json.loads(data.stdout)[0]["outside_band"][0]["held_by"] == ["direction", "cash_floor"]


WRONG = {
    "neither": ("rebalance",),
    "options": ("rebalance", "--portfolio", P, "--options", "{"),
    "no object": ("rebalance", "--portfolio", P, "--options", "[]"),
    "no file": ("rebalance", "--portfolio", P, "--options", "@nowhere.json"),
    "wait": ("models", "--timeout", "0"),
    "format": ("export", "0" * 24, "--format", "pdf"),
    "url": ("models", "--url", "8088"),
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
async def test_a_wrong_argument_ends_with_2(ordergen: Ordergen, arguments: tuple[str, ...]) -> None:
    done = await ordergen(*arguments)

    assert done.exit_code == 2, done.output
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["neither", "options", "no object", "no file", "url"])
async def test_a_program_gets_a_wrong_argument_as_json_too(ordergen: Ordergen, name: str) -> None:
    done = await ordergen(*WRONG[name], "--json")

    assert (done.exit_code, done.stderr) == (2, "")
    assert json.loads(done.stdout)["title"] == "Wrong argument, file or setting"


async def test_a_service_that_does_not_answer_ends_with_3(ordergen: Ordergen) -> None:
    done = await ordergen("models", "--url", NOWHERE)

    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith(f"ordergen: {NOWHERE}/ does not answer")


async def test_a_run_that_is_not_there_ends_with_1(ordergen: Ordergen) -> None:
    missing = await ordergen("runs", "show", "0" * 24)

    assert missing.exit_code == 1
    assert "not-found" in missing.stderr


async def test_a_retry_and_causes_of_a_run_that_is_not_there_end_with_1(
    ordergen: Ordergen,
) -> None:
    for command in (("retry", "0" * 24, "--code", "infeasible"), ("causes", "0" * 24)):
        ended = await ordergen("runs", *command)

        assert ended.exit_code == 1
        assert "not-found" in ended.stderr


async def test_a_run_over_nothing_is_refused_with_the_rule(ordergen: Ordergen) -> None:
    done = await ordergen("runs", "begin")

    assert done.exit_code == 2
    assert "whole_book" in done.stderr


async def test_the_state_and_the_settings_of_the_service_are_shown(ordergen: Ordergen) -> None:
    shown = await ordergen("system")
    data = await ordergen("system", "--json")

    assert shown.exit_code == 0, shown.output
    found = json.loads(data.stdout)
    assert f"Version {found['version']}, " in shown.stdout
    assert all(name in shown.stdout for name in found["settings"])


def test_help_names_every_exit_code() -> None:
    shown = CliRunner(env=WIDE).invoke(cli, ["--help"])

    for code in ("0 done", "1 refused", "2 a wrong", "3 the service", "130"):
        assert code in shown.stdout


READERS = {
    "a model": ("models", "create", "FILE"),
    "a rule": ("rules", "create", "FILE"),
    "options": ("rebalance", "--portfolio", P, "--options", "@FILE"),
}


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
async def test_a_file_that_is_not_utf_8_is_named_with_its_byte(
    ordergen: Ordergen, tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = tmp_path / "latin-1.json"
    path.write_bytes('{"name": "Zürich"}'.encode("latin-1"))

    done = await ordergen(*[word.replace("FILE", str(path)) for word in words])

    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert all(text in done.stderr for text in ("latin-1.json", "byte 0xFC is no UTF-8"))
