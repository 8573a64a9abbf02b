"""POST /optimize gives the engine's plan, also the plan of a stored model with equal holdings."""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from optimization import Portfolio, rebalance
from optimization.errors import OptimizationError
from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.schemas.options import options_json
from serve_app.api.schemas.outcome_lines import OutcomeLines
from serve_app.api.schemas.rebalances import outcome_json
from serve_app.json_text import encode
from serve_app.json_text import plain as digits
from serve_app.settings import Settings, read_settings
from tests.optimization.support import generated_problems
from tests.optimization.support.generated_problems import Problem
from tests.support.fakes import P, Stored, render_no_metrics
from tests.support.in_process import Upstreams, build_optimizer
from tests.support.optimize_bodies import build_optimize_app, open_client

pytestmark = pytest.mark.usefixtures("read_anywhere")
Json = dict[str, Any]
Change = Callable[[Json], Any]
PATH = "/api/v1/optimize"
KINDS = (
    generated_problems.plain,
    generated_problems.tight,
    generated_problems.round_numbers,
    generated_problems.with_options,
)
PER_KIND = 12


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return build_optimize_app(settings)


def client_with(settings: Settings, store: Any, optimizer: Any) -> httpx.AsyncClient:
    app = api_app(settings, Ports(store, optimizer, {}, render_no_metrics))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


def body_of(problem: Problem) -> Json:
    model, portfolio = problem.model, problem.portfolio
    options = options_json(problem.options)
    if not model.targets:  # because the engine does not need the option
        options["liquidate"] = True
    return {
        "model": {
            "positions": [
                {
                    "security_id": target.security_id,
                    "target": digits(target.weight),
                    "low_drift": digits(target.band.low),
                    "high_drift": digits(target.band.high),
                }
                for target in model.targets
            ]
        },
        "prices": {security: digits(price) for security, price in portfolio.prices.items()},
        "portfolios": [portfolio_body(portfolio)],
        "options": options,
    }


def portfolio_body(portfolio: Portfolio) -> Json:
    # Zero shares stay in the request, because a security without a holding can be restricted.
    held = {**dict.fromkeys(portfolio.prices, Decimal(0)), **portfolio.holdings}
    holdings = {security: digits(shares) for security, shares in held.items()}
    return {
        "portfolio_id": portfolio.portfolio_id,
        "cash": digits(portfolio.cash),
        "holdings": holdings,
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_the_answer_is_the_engines_to_the_byte(
    client: httpx.AsyncClient, settings: Settings, kind: Callable[..., Problem]
) -> None:
    rng = np.random.default_rng(5)
    for problem in [kind(rng) for _ in range(PER_KIND)]:
        try:
            made = rebalance(problem.model, problem.portfolio, problem.options)
        except OptimizationError:
            continue

        answer = await client.post(PATH, json=body_of(problem))

        day = datetime.now(settings.time_zone).date().isoformat()
        if answer.status_code == 200:
            assert answer.content == encode([outcome_json(made, None, None, OutcomeLines(day))])
            continue
        (element,) = answer.json()["portfolios"]
        assert made.refusal is not None
        assert (answer.status_code, element["status"]) == (422, "INFEASIBLE")
        assert element["error"]["detail"] == made.refusal.detail
        own = outcome_json(made, None, None, OutcomeLines(day))
        assert json.loads(encode(own)) == element


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_the_answer_is_that_of_a_stored_model_with_the_same_holdings(
    client: httpx.AsyncClient,
    settings: Settings,
    stored: Stored,
    database: Any,
    kind: Callable[..., Problem],
) -> None:
    rng = np.random.default_rng(6)
    world = Upstreams()
    async with client_with(
        settings, stored.port, build_optimizer(settings, database, world)
    ) as other:
        for number in range(PER_KIND):
            problem = kind(rng)
            given = body_of(problem)
            world.prices = dict(problem.portfolio.prices)
            (portfolio,) = given["portfolios"]
            world.set_balance(P, portfolio["cash"], **portfolio["holdings"])
            body = {**given["model"], "name": f"Model {number}", "portfolios": [P]}
            model = (await other.post("/api/v1/models", json=body)).json()
            path = f"/api/v1/model/{model['model_id']}/rebalance"

            by_id = (await other.post(path, json=given["options"])).json()
            by_body = (await client.post(PATH, json=given)).json()

            for element in _elements(by_id):
                element |= {"rebalance_id": None, "model_id": None}
            assert _elements(by_body) == _elements(by_id)


def _elements(answer: Any) -> list[Json]:
    return answer if isinstance(answer, list) else answer["portfolios"]


async def test_the_time_limit_is_that_of_the_settings() -> None:
    settings = read_settings({"optimization_timeout": 1e-9})
    problem = generated_problems.large_with_options(np.random.default_rng(0))

    async with open_client(build_optimize_app(settings)) as client:
        answer = await client.post(PATH, json=body_of(problem))

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/no-solution-in-time")
