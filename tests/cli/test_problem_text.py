"""Refusals in every command that queries the service: on stderr, as JSON, by the exit code."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from typer.main import get_command

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance
from serve_app.cli import arguments, cli
from tests.support.command_server import Ordergen, connect_ordergen, serve
from tests.support.fakes import A, B, FakeOptimizer, P, Q

ID = "6" * 24
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "models show": (ID,),
    "models create": ("-", "--name", "Growth", "--portfolio", P),
    "models edit": (ID, "--name", "Growth"),
    "models versions": (ID,),
    "models try": (ID, "--remove", A),
    "models delete": (ID, "--version", "1"),
    "audit list": (),
    "audit verify": (),
    "audit export": (),
    "rebalance": ("--model", ID),
    "optimize": ("-",),
    "show": (ID,),
    "trades": (ID,),
    "drift": ("--portfolio", P),
    "export": (ID,),
    "hand-over": (ID, "--yes"),
    "orders": (),
    "portfolios find": ("Growth",),
    "portfolios last": (P,),
    "rebalances outcomes": (ID,),
    "rebalances outcome": (ID, P),
    "rebalances totals": (ID,),
    "rebalances causes": (ID,),
    "rebalances delete": (ID, "--version", "1"),
    "keys create": ("nightly", "--role", "trader"),
    "keys list": (),
    "keys rotate": ("0" * 16,),
    "keys revoke": ("0" * 16,),
    "runs list": (),
    "runs begin": ("--whole-book",),
    "runs show": (ID,),
    "runs follow": (ID,),
    "runs cancel": (ID,),
    "runs export": (ID,),
    "runs retry": (ID,),
    "runs causes": (ID,),
    "book scan": (),
    "book show": (),
    "book histogram": (),
    "proposals list": (),
    "proposals show": (ID,),
    "proposals propose": (ID,),
    "proposals approve": (ID,),
    "proposals reject": (ID, "--note", "too late"),
    "proposals override": (ID, "--note", "agreed"),
    "proposals hold": (ID, "--portfolio", P),
    "proposals release": (ID,),
    "proposals withdraw": (ID,),
    "rules list": (),
    "rules show": (ID,),
    "rules create": ("-",),
    "rules replace": (ID, "-", "--version", "1"),
    "rules delete": (ID, "--version", "1"),
    "system": (),
}
# Those that do more than ask the service have tests of their own.
APART = {"doctor", "login", "logout"}
TAKES_AN_ID = {
    "models": ("{}",),
    "models edit": ("{}", "--name", "Growth"),
    "models versions": ("{}",),
    "rebalance --model": ("--model", "{}"),
    "rebalance --portfolio": ("--portfolio", "{}"),
    "show": ("{}",),
    "trades": ("{}",),
    "show --portfolio": (ID, "--portfolio", "{}"),
    "drift --model": ("--model", "{}"),
    "drift --portfolio": ("--portfolio", "{}"),
    "export": ("{}",),
    "hand-over": ("{}", "--yes"),
    "orders": ("{}",),
    "portfolios last": (P, "{}"),
    "rebalances outcomes": ("{}",),
    "rebalances outcome": ("{}", P),
    "rebalances totals": ("{}",),
    "rebalances causes": ("{}",),
    "rebalances delete": ("{}",),
    "models try": ("{}",),
    "models delete": ("{}",),
    "replay": ("{}",),
    "runs begin --model": ("--model", "{}"),
    "runs begin --portfolio": ("--portfolio", "{}"),
    "runs show": ("{}",),
    "runs follow": ("{}",),
    "runs cancel": ("{}",),
    "runs export": ("{}",),
}
WITHOUT_JSON = frozenset({"export", "runs export", "audit export"})
RULE = {"pointer": "/options/lots", "detail": "lots are at least 1"}
PROBLEM: dict[str, Any] = {
    "type": "/problems/infeasible",
    "title": "No feasible solution exists",
    "status": 422,
    "detail": f"No feasible solution exists: {A} has no whole lot inside the drift band.",
    "errors": [RULE],
    "securities": [
        {
            "security_id": A,
            "price": "812.40",
            "target": "0.055",
            "low_drift": "0.005",
            "high_drift": "0.006",
            "option": "direction",
            "smallest_band": {"low_drift": "0.01438", "high_drift": "0.01439", "lots": "1"},
        }
    ],
    "limits": [{"option": "turnover_cap", "short_by": "17.25"}],
    "nearest_plan": {
        "transactions": [{"transaction_type": "BUY", "security_id": A, "quantity": "1"}],
        "cash_after_rebalance": "19187.60",
        "objective": "287.60",
        "outside_band": [{"security_id": B, "quantity": "1", "actual": "0.0406"}],
        "gives": [{"option": "turnover_cap", "by": "9.5"}],
    },
    "admits": [{"option": "bands", "value": "YIELD"}, {"option": "soft_band_price"}],
    "options": ["cash_floor"],
    "portfolio_id": P,
    "instance": "/api/v1/x",
}
SAID = (
    "422 /problems/infeasible: No feasible solution exists: ",
    "/options/lots: lots are at least 1",
    f"{A} at 812.40: target 0.055 -0.005 +0.006, held by direction",
    "smallest band with a whole lot is -0.01438 +0.01439",
    "in the way: turnover_cap by 17.25",
    "what would admit a plan: bands YIELD, soft_band_price",
    "gives turnover_cap by 9.5",
    "options: cash_floor",
    f"nearest plan: BUY 1 {A}; cash after 19187.60; drift 287.60",
    f"{B} at 0.0406",
)
KINDS = {
    "infeasible": (422, 1),
    "not-found": (404, 1),
    "stale-version": (409, 1),
    "upstream-contract": (502, 1),
    "internal-error": (500, 1),
    "unknown-route": (404, 2),
    "bad-id": (400, 2),
    "not-json": (400, 2),
    "invalid-request": (422, 2),
    "body-too-large": (413, 2),
    "upstream-unavailable": (503, 3),
    "deadline-exceeded": (504, 3),
}


def list_commands() -> Iterator[str]:
    """List every command with the option of the service's URL."""

    def walk(command: Any, name: str) -> Iterator[str]:
        for part, each in getattr(command, "commands", {}).items():
            yield from walk(each, f"{name} {part}".strip())
        if any(parameter.name == "url" for parameter in command.params):
            yield name

    yield from walk(get_command(cli), "")


def make_app(status: int, body: Any) -> FastAPI:
    """Make an application with one answer to every request."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    async def answer(request: Request) -> Response:
        await request.body()
        if isinstance(body, str):
            return Response(body, status, media_type="text/html")
        return JSONResponse(body, status, media_type="application/problem+json")

    return app


def test_no_command_that_asks_the_service_is_left_out() -> None:
    assert {*list_commands()} == {*COMMANDS, *APART}


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_refusal_says_everything_that_helps_and_nothing_twice(command: str) -> None:
    async with serve(make_app(422, PROBLEM)) as url:
        done = await connect_ordergen(url)(*command.split(), *COMMANDS[command], stdin="{}")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("ordergen: 422 ")
    for text in SAID:
        assert done.stderr.count(text) == 1, text
    assert done.stderr.count("no whole lot inside the drift band") == 1


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in WITHOUT_JSON])
async def test_with_json_a_refusal_is_the_problem_document_on_stdout(command: str) -> None:
    async with serve(make_app(422, PROBLEM)) as url:
        done = await connect_ordergen(url)(
            *command.split(), *COMMANDS[command], "--json", stdin="{}"
        )

    assert done.exit_code == 1
    assert json.loads(done.stdout) == PROBLEM
    assert done.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
async def test_with_json_a_service_that_does_not_answer_is_a_document_too(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arguments, "RETRY_S", 0.1)
    flags = () if command in WITHOUT_JSON else ("--json",)
    ordergen = connect_ordergen("http://127.0.0.1:9")

    done = await ordergen(*command.split(), *COMMANDS[command], *flags, stdin="{}")

    assert done.exit_code == 3
    said = json.loads(done.stdout)["detail"] if flags else done.stderr
    assert "http://127.0.0.1:9/ does not answer" in said


@pytest.mark.parametrize(("kind", "status", "code"), [(k, *v) for k, v in KINDS.items()])
@pytest.mark.parametrize("command", COMMANDS)
async def test_the_exit_code_is_that_of_the_kind(
    command: str, kind: str, status: int, code: int
) -> None:
    problem = {"type": f"/problems/{kind}", "title": "T", "status": status, "detail": "D"}
    async with serve(make_app(status, problem)) as url:
        done = await connect_ordergen(url)(*command.split(), *COMMANDS[command], stdin="{}")

    assert done.exit_code == code
    assert done.stderr == f"ordergen: {status} /problems/{kind}: D\n"


@pytest.mark.parametrize("command", COMMANDS)
async def test_what_stands_between_command_and_service_is_shown_without_its_control_characters(
    command: str,
) -> None:
    async with serve(make_app(502, "<h1>\x1b[2J\x07Bad\u202eGateway</h1>")) as url:
        done = await connect_ordergen(url)(*command.split(), *COMMANDS[command], stdin="{}")

    assert done.exit_code == 1
    assert r"\x1b[2J\x07Bad\u202eGateway" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_open_orders_that_are_in_the_way_are_named_by_portfolio_and_rebalance() -> None:
    portfolios = [
        {"portfolio_id": f"P{number:023}", "rebalance_ids": [ID], "open_orders": 40}
        for number in range(12)
    ]
    problem = {"type": "/problems/orders-open", "status": 409, "title": "T", "detail": "D"}
    async with serve(make_app(409, {**problem, "portfolios": portfolios})) as url:
        done = await connect_ordergen(url)("hand-over", ID, "--yes")

    assert done.exit_code == 1
    assert f"  portfolio_id P{9:023} rebalance_ids {ID} open_orders 40\n" in done.stderr
    assert "  2 more portfolios\n" in done.stderr


@pytest.mark.parametrize("wrong", ["x", "not-an-id", "6" * 25, "../models", "\x1b[2J"])
@pytest.mark.parametrize("command", TAKES_AN_ID)
async def test_a_malformed_id_is_a_wrong_argument(
    ordergen: Ordergen, command: str, wrong: str
) -> None:
    name = command.partition(" --")[0].split()
    done = await ordergen(
        *name, *(argument.replace("{}", wrong) for argument in TAKES_AN_ID[command])
    )

    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "\x1b" not in done.stderr


# Found wrong by the command itself, before it asks the service.
REFUSED_HERE = {
    "proposals hold": (ID,),
    "proposals release": (ID, "--trade", "no-slash"),
    "rules create": ("nowhere.json",),
    "rules replace": (ID, "nowhere.json"),
    "rebalance": (),
    "drift": (),
    "models create": (),
    "orders": (ID, "--since", "2026-01-01"),
    "trades": (ID, "--min-amount", "much"),
    "book show": ("--min-drift", "much"),
}


@pytest.mark.parametrize("command", REFUSED_HERE)
async def test_a_wrong_argument_is_usage_for_people_and_a_document_for_programs(
    command: str,
) -> None:
    ordergen = connect_ordergen("http://127.0.0.1:9")
    asked = (*command.split(), *REFUSED_HERE[command])

    shown = await ordergen(*asked)
    as_json = await ordergen(*asked, "--json")

    assert (shown.exit_code, shown.stdout) == (2, "")
    assert f"Usage: root {command}" in shown.stderr
    assert (as_json.exit_code, as_json.stderr) == (2, "")
    assert json.loads(as_json.stdout)["title"] == "Wrong argument, file or setting"


def infeasible(portfolio_id: str) -> PortfolioOutcome:
    """Make the engine's refusal of an account too small for a share."""
    model = Model("m", (Target(A, Decimal("0.5"), DriftBand(*[Decimal("0.01")] * 2)),), (P,))
    return rebalance(model, Portfolio(portfolio_id, Decimal(1000), {}, {A: Decimal("812.40")}))


@pytest.mark.parametrize("refused", [{P, Q}, {P}], ids=["all", "one of two"])
async def test_of_each_portfolio_without_a_plan_the_reason_and_the_smallest_band_are_printed(
    ordergen: Ordergen, model: dict[str, Any], optimizer: FakeOptimizer, refused: set[str]
) -> None:
    well = optimizer.outcome
    optimizer.outcome = lambda portfolio_id, priced: (
        infeasible(portfolio_id) if portfolio_id in refused else well(portfolio_id, priced)
    )

    done = await ordergen("rebalance", "--model", model["model_id"])

    said = done.stderr if len(refused) == 2 else done.stdout
    assert done.exit_code == (1 if len(refused) == 2 else 0), done.output
    for portfolio_id in refused:
        assert said.count(f"{portfolio_id}: No feasible solution exists: {A} has no whole lot") == 1
    assert said.count("the smallest band with a whole lot is -") == len(refused)
    assert said.count("nearest plan: ") == len(refused)


async def test_control_characters_of_the_service_do_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = "Growth\x1b]0;owned\x07\x9b2J\u202e\u200b[red]:skull:\n"
    body = {
        "model_id": ID,
        "name": evil,
        "positions": [],
        "portfolios": [P],
        "last_rebalance_date": None,
        "version": 1,
    }
    async with serve(make_app(200, body)) as url:
        shown = await connect_ordergen(url)("models", ID)
        as_json = await connect_ordergen(url)("models", ID, "--json")

    visible = r"Growth\x1b]0;owned\x07\x9b2J\u202e\u200b[red]:skull:\n"
    assert visible in shown.stdout.replace("\n", "")  # a title is as wide as its table
    for output in (shown.stdout, as_json.stdout):
        assert output.replace("\n", "").isprintable()
    assert json.loads(as_json.stdout)["name"] == evil
