"""Rebalances of one portfolio in the process that took the request, and what goes elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from optimization import NO_OVERRIDES, Model, RebalanceOptions, Status
from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.ports.optimizer import Optimizer
from serve_app.ports.rebalances import RebalancePortfolio
from serve_app.rebalances import inline
from serve_app.rebalances.inline import MAX_INLINE_REBALANCES, InlineRebalancer
from serve_app.settings import Settings
from serve_app.upstream.errors import UpstreamUnavailableError
from storage.errors import IdempotencyInProgressError, NotFoundError
from storage.idempotency_store import IdempotencyClaim
from storage.rebalances.rebalance import new_rebalance_id
from tests.support.fakes import A, P, Stored, build_resources, render_no_metrics
from tests.support.in_process import Gate, Upstreams, make_two_owners

UNKNOWN = "Z" * 24
KEY = {"Idempotency-Key": "monday"}


class Elsewhere:
    """Optimizer that only counts the rebalances that it is asked for."""

    def __init__(self) -> None:
        self.calls = 0

    async def rebalance_portfolio(self, command: RebalancePortfolio) -> Any:
        self.calls += 1
        return command.rebalance_id, None

    async def preview_portfolio(self, *_: Any) -> Any:
        self.calls += 1
        return None, None


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


def inline_with(settings: Settings, database: Any, upstreams: Any, other: Any) -> InlineRebalancer:
    return InlineRebalancer(settings, lambda: build_resources(database, upstreams), other)


@pytest.fixture
def rebalancer(
    settings: Settings, database: Any, upstreams: Upstreams, elsewhere: Elsewhere
) -> InlineRebalancer:
    return inline_with(settings, database, upstreams, elsewhere)


@pytest.fixture
def inline_app(
    settings: Settings,
    stored: Stored,
    optimizer: Optimizer,
    database: Any,
    rebalancer: InlineRebalancer,
) -> FastAPI:
    ports = Ports(stored.port, optimizer, {}, render_no_metrics, rebalancing=rebalancer)
    return api_app(settings, ports)


@pytest.fixture
async def inline_client(inline_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(inline_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def command(portfolio_id: str = P, **fields: Any) -> RebalancePortfolio:
    return RebalancePortfolio(new_rebalance_id(), portfolio_id, **fields)


async def eventually_dated(stored: Stored, model_id: str) -> Model:
    for _ in range(200):
        found = await stored.models.read(model_id)
        if found.last_rebalance_date is not None:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("the model has no date")


async def test_the_answer_is_that_of_the_optimizer_byte_for_byte(
    client: httpx.AsyncClient,
    inline_client: httpx.AsyncClient,
    elsewhere: Elsewhere,
    model: dict[str, Any],
) -> None:
    path, plain = f"/api/v1/portfolio/{P}/rebalance", {"Accept-Encoding": "identity"}
    dry = {"dry_run": "true"}

    here = await inline_client.post(path, headers=plain | {"X-Correlation-ID": "one"})
    there = await client.post(path, headers=plain | {"X-Correlation-ID": "one"})

    assert here.status_code == there.status_code == 200
    ids = (there.json()["rebalance_id"], here.json()["rebalance_id"])
    assert here.content == there.content.replace(*(rebalance_id.encode() for rebalance_id in ids))
    assert here.headers["location"] == there.headers["location"].replace(*ids)
    previews = [await caller.post(path, params=dry) for caller in (client, inline_client)]
    assert previews[0].content == previews[1].content
    assert elsewhere.calls == 0


async def test_the_rebalance_is_stored_and_dates_its_model(
    rebalancer: InlineRebalancer, stored: Stored, model: dict[str, Any]
) -> None:
    rebalance, outcome = await rebalancer.rebalance_portfolio(command())

    assert await stored.rebalances.read(rebalance.rebalance_id) == rebalance
    assert await stored.rebalances.list_outcomes(rebalance) == (outcome,)
    dated = await eventually_dated(stored, model["model_id"])
    assert dated.last_rebalance_date == rebalance.started_at
    assert dated.version == model["version"]


@pytest.mark.parametrize(
    "options",
    [
        {"maximum_trades": 1},  # a search
        {"open_orders": "COUNT"},  # more than holdings
        {"cash_floor": 990},  # the cash row binds, or there is no plan
    ],
    ids=str,
)
async def test_what_may_take_longer_goes_elsewhere(
    rebalancer: InlineRebalancer,
    elsewhere: Elsewhere,
    stored: Stored,
    model: dict[str, Any],
    options: dict[str, Any],
) -> None:
    overrides = NO_OVERRIDES.from_options(RebalanceOptions(**options))

    await rebalancer.rebalance_portfolio(command(overrides=overrides))
    await rebalancer.preview_portfolio(P, None, overrides)

    assert elsewhere.calls == 2
    assert await stored.rebalances.read_page() == ((), 0)


async def test_a_portfolio_of_many_securities_goes_elsewhere(
    rebalancer: InlineRebalancer,
    elsewhere: Elsewhere,
    model: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inline, "MAX_SECURITIES", 0)

    await rebalancer.rebalance_portfolio(command())

    assert elsewhere.calls == 1


async def test_more_than_a_few_at_a_time_go_elsewhere(
    settings: Settings, database: Any, elsewhere: Elsewhere, model: dict[str, Any]
) -> None:
    gate = Gate(make_two_owners().prices, make_two_owners().balances)
    rebalancer = inline_with(settings, database, gate, elsewhere)

    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(rebalancer.preview_portfolio(P, None, NO_OVERRIDES))
            for _ in range(MAX_INLINE_REBALANCES)
        ]
        await gate.reached.wait()
        await rebalancer.preview_portfolio(P, None, NO_OVERRIDES)
        assert elsewhere.calls == 1
        gate.open.set()

    assert {task.result()[1].status for task in waiting} == {Status.REBALANCED}
    await rebalancer.preview_portfolio(P, None, NO_OVERRIDES)
    assert elsewhere.calls == 1


async def test_errors_come_in_the_order_of_the_reads(
    rebalancer: InlineRebalancer, upstreams: Upstreams, stored: Stored, model: dict[str, Any]
) -> None:
    upstreams.down = "accounting"
    with pytest.raises(NotFoundError):
        await rebalancer.rebalance_portfolio(command(UNKNOWN))
    with pytest.raises(UpstreamUnavailableError):
        await rebalancer.rebalance_portfolio(command())
    assert await stored.rebalances.read_page() == ((), 0)

    upstreams.down = ""
    del upstreams.balances[P]
    _, outcome = await rebalancer.rebalance_portfolio(command())
    assert outcome.status is Status.FAILED
    del upstreams.prices[A]
    _, outcome = await rebalancer.rebalance_portfolio(command())
    assert outcome.refusal is not None
    assert outcome.refusal.code == "prices-missing"


async def test_a_lost_claim_stores_nothing(
    rebalancer: InlineRebalancer, stored: Stored, model: dict[str, Any]
) -> None:
    with pytest.raises(IdempotencyInProgressError):
        await rebalancer.rebalance_portfolio(command(claim=IdempotencyClaim("monday", "me")))

    assert await stored.rebalances.read_page() == ((), 0)


async def test_a_repeated_key_gives_the_first_answer(
    inline_client: httpx.AsyncClient, stored: Stored, model: dict[str, Any]
) -> None:
    path = f"/api/v1/portfolio/{P}/rebalance"

    first, second = [await inline_client.post(path, headers=KEY) for _ in range(2)]

    assert second.headers["idempotent-replayed"] == "true"
    assert first.json() == second.json()
    assert (await stored.rebalances.read_page())[1] == 1


async def test_a_caller_that_leaves_ends_the_read_of_holdings_and_stores_nothing(
    settings: Settings,
    database: Any,
    elsewhere: Elsewhere,
    stored: Stored,
    model: dict[str, Any],
) -> None:
    gate = Gate(make_two_owners().prices, make_two_owners().balances)
    rebalancer = inline_with(settings, database, gate, elsewhere)

    left = asyncio.create_task(rebalancer.rebalance_portfolio(command()))
    await gate.reached.wait()
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    gate.open.set()

    assert elsewhere.calls == 0
    assert await stored.rebalances.read_page() == ((), 0)
