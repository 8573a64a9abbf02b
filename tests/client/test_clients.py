"""The Python client: awaited against the application in process, blocking against a port."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from fastapi import FastAPI

from serve_app.client import AsyncClient, Client, Model, Position, ProblemError
from tests.support.command_server import serve
from tests.support.fakes import PRICE, A, B, FakeOptimizer, P, Q, R, make_refusal

POSITION = Position(A, Decimal("0.25"), Decimal("0.02"), Decimal("0.01"))


@pytest.fixture
async def service(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("http://localhost", transport=httpx.ASGITransport(app)) as client:
        yield client


@pytest.fixture
async def growth(service: AsyncClient) -> Model:
    return await service.add_model("Growth", [POSITION], [P, Q])


async def test_a_model_that_is_added_comes_back_typed_and_exact(
    service: AsyncClient, growth: Model
) -> None:
    assert growth.positions == (POSITION,)
    assert (growth.name, growth.portfolios, growth.version) == ("Growth", (P, Q), 1)
    assert await service.read_model(growth.model_id) == growth


async def test_a_model_is_replaced_at_the_version_that_was_read_and_at_no_other(
    service: AsyncClient, growth: Model
) -> None:
    options = {"cash_floor": "2%"}
    changed = replace(growth, name="Income", rebalance_options=options)

    stored = await service.replace_model(changed)

    assert stored == replace(changed, version=2)
    assert (await service.replace_model(replace(stored, rebalance_options=None))).version == 3
    with pytest.raises(ProblemError) as refusal:
        await service.replace_model(changed)
    assert refusal.value.type == "/problems/precondition-failed"
    assert (await service.read_model(growth.model_id)).rebalance_options == options


async def test_positions_and_portfolios_are_added_changed_and_removed(
    service: AsyncClient, growth: Model
) -> None:
    more = replace(POSITION, security_id=B)
    wider = replace(more, high_drift=Decimal("0.05"))
    one = growth.model_id

    assert (await service.add_position(one, more, version=1)).positions == (POSITION, more)
    assert (await service.replace_position(one, wider)).positions == (POSITION, wider)
    assert (await service.remove_position(one, wider)).positions == (POSITION,)
    assert (await service.add_portfolios(one, [R])).portfolios == (P, Q, R)
    assert (await service.remove_portfolios(one, [Q, R])).portfolios == (P,)
    with pytest.raises(ProblemError, match="precondition-failed"):
        await service.add_portfolios(one, [R], version=1)


async def test_a_model_is_deleted_at_its_version_alone(service: AsyncClient, growth: Model) -> None:
    with pytest.raises(ProblemError) as stale:
        await service.delete_model(growth.model_id, 7)
    assert stale.value.status == 412

    await service.delete_model(growth.model_id, growth.version)

    with pytest.raises(ProblemError, match="not-found"):
        await service.read_model(growth.model_id)


async def test_a_list_goes_on_through_all_pages_in_the_order_asked_for(
    service: AsyncClient,
) -> None:
    for name in "BDACE":
        await service.add_model(name, [POSITION], [P])

    names = [model.name async for model in service.list_models(sort_by="-name", limit=2)]

    assert names == [*"EDCBA"]


async def test_a_rebalance_is_answered_stored_listed_and_deleted(
    service: AsyncClient, growth: Model
) -> None:
    outcomes = await service.rebalance_model(growth.model_id, {"cash_floor": "2%"})

    assert [each.portfolio_id for each in outcomes] == [P, Q]
    assert outcomes[0].transactions[0].quantity == 1
    assert outcomes[0].objective == Decimal("0.0000002")
    rebalance_id = outcomes[0].rebalance_id
    assert rebalance_id is not None
    (listed,) = [each async for each in service.list_rebalances()]
    assert listed == await service.read_rebalance(rebalance_id)
    assert listed.counts == {"REBALANCED": 2}
    assert [each async for each in service.list_portfolios(rebalance_id, limit=1)] == [
        *listed.portfolios
    ]
    positions = await service.list_positions(rebalance_id, P)
    assert positions == listed.portfolios[0].positions
    assert positions[0].price == PRICE
    (brief,) = [each async for each in service.list_rebalance_summaries()]
    assert brief == await service.read_rebalance_summary(rebalance_id)
    assert (brief.model_version, brief.options) == (1, {})
    lines = [
        each async for each in service.list_outcomes(rebalance_id, status=["REBALANCED"], limit=1)
    ]
    assert [each.portfolio_id for each in lines] == [P, Q]
    detail = await service.read_outcome(rebalance_id, P)
    assert detail.objective == lines[0].objective == Decimal("0.0000002")
    assert detail.positions[0].trade_quantity == 1
    assert (await service.list_causes(rebalance_id)).causes == ()
    (of_q,) = [each async for each in service.list_rebalances_of_portfolios([Q])]
    assert [each.portfolio_id for each in of_q.portfolios] == [Q]
    assert "deleted" in (await service.delete_rebalance(rebalance_id, listed.version)).message
    assert [each async for each in service.list_rebalances()] == []


async def test_a_portfolio_is_rebalanced_alone_or_only_tried(
    service: AsyncClient, growth: Model
) -> None:
    tried = await service.rebalance_portfolio(P, {"model_id": growth.model_id}, dry_run=True)
    done = await service.rebalance_portfolio(P)

    assert (tried.rebalance_id, tried.model_id) == (None, growth.model_id)
    assert replace(done, rebalance_id=None) == tried


async def test_a_model_is_tried_before_it_is_saved(service: AsyncClient, growth: Model) -> None:
    tried = await service.try_model(growth.model_id, growth.positions, sample=1)

    assert (tried.followers, tried.tried, tried.counts) == (2, 1, {"REBALANCED": 1})
    assert [each.portfolio_id for each in tried.outcomes] == [P]


async def test_the_same_idempotency_key_does_the_work_once(
    service: AsyncClient, growth: Model, optimizer: FakeOptimizer
) -> None:
    keyed = [
        await service.rebalance_model(growth.model_id, idempotency_key="mine") for _ in range(2)
    ]
    unkeyed = await service.rebalance_model(growth.model_id)

    assert keyed[0] == keyed[1] != unkeyed
    assert len(optimizer.asked) == 2


async def test_what_is_given_whole_is_optimized(service: AsyncClient) -> None:
    body = {
        "model": {"positions": [POSITION]},
        "prices": {A: Decimal("31.50")},
        "portfolios": [{"portfolio_id": P, "cash": Decimal(1000), "holdings": {}}],
    }

    (outcome,) = await service.optimize(body)

    assert (outcome.portfolio_id, outcome.model_id) == (P, None)


async def test_a_trade_list_comes_as_rows_or_as_a_file(service: AsyncClient, growth: Model) -> None:
    (first, _) = await service.rebalance_model(growth.model_id)
    one = str(first.rebalance_id)

    rows = [row async for row in service.list_transactions(one)]
    table = b"".join([piece async for piece in service.export_transactions(one, "csv", [Q])])
    book = b"".join([piece async for piece in service.export_transactions(one, "xlsx")])

    assert [(row.portfolio_id, row.amount) for row in rows] == [(P, PRICE), (Q, PRICE)]
    header, line = table.decode().splitlines()
    assert header.startswith("rebalance_id,portfolio_id,")
    assert line.startswith(f"{one},{Q},{A},BUY,1,{PRICE}")
    assert book.startswith(b"PK")


async def test_orders_are_handed_over_and_read(service: AsyncClient, growth: Model) -> None:
    (first, _) = await service.rebalance_model(growth.model_id)

    handed = await service.hand_over(str(first.rebalance_id))

    assert handed.number_of_orders == len(handed.orders) == 2
    assert await service.list_orders(handed.rebalance_id) == handed
    every = [each async for each in service.list_orders_of_all(status=["SENT"], limit=1)]
    assert [each.portfolio_id for each in every] == [each.portfolio_id for each in handed.orders]
    assert {each.rebalance_id for each in every} == {handed.rebalance_id}
    none = await service.list_orders(handed.rebalance_id, status=["FAILED", "PENDING"])
    assert none.number_of_orders == 2
    assert none.orders == ()


async def test_drift_is_told_of_a_portfolio_and_of_all_of_a_model(
    service: AsyncClient, growth: Model
) -> None:
    one = await service.measure_portfolio(P, model_id=growth.model_id)
    every = [each async for each in service.measure_portfolios(growth.model_id, limit=1)]

    assert one.drifts[-1].security_id == B
    assert (every[0].portfolio_id, every[0].total_drift) == (P, one.total_drift)


async def test_health_is_told_by_part(service: AsyncClient) -> None:
    assert (await service.live()).status == "healthy"
    assert (await service.ready()).checks == {"database": "healthy"}
    system = await service.system()
    assert (system.health.checks, system.settings["MODEL_RULES"]) == (
        {"database": "healthy"},
        "globeco",
    )


async def test_a_refusal_names_type_place_and_rule(service: AsyncClient) -> None:
    with pytest.raises(ProblemError) as refusal:
        await service.add_model("Odd", [replace(POSITION, target=Decimal("0.251"))], [P])

    error = refusal.value
    assert (error.status, error.type) == (422, "/problems/invalid-request")
    assert error.errors[0]["pointer"] == "/positions/0/target"
    assert error.members["instance"] == "/api/v1/models"
    assert "/positions/0/target: " in str(error)


async def test_the_portfolios_of_which_none_was_rebalanced_are_members_of_the_problem(
    service: AsyncClient, growth: Model, optimizer: FakeOptimizer
) -> None:
    optimizer.outcome = lambda portfolio_id, _: make_refusal("infeasible", portfolio_id)

    with pytest.raises(ProblemError) as refusal:
        await service.rebalance_model(growth.model_id)

    assert refusal.value.type == "/problems/infeasible"
    assert [each["portfolio_id"] for each in refusal.value.members["portfolios"]] == [P, Q]


async def test_an_id_with_a_slash_stays_one_step_of_the_path(service: AsyncClient) -> None:
    with pytest.raises(ProblemError) as refusal:
        await service.read_model("../models")

    assert refusal.value.status in {400, 404}


async def test_blocking_calls_answer_the_same_as_awaited_ones(
    app: FastAPI, service: AsyncClient, growth: Model
) -> None:
    def ask(url: str) -> tuple[list[Model], int, list[Decimal], bytes, str]:
        with Client(url) as client:
            models = list(client.list_models(limit=1))
            (first, _) = client.rebalance_model(models[0].model_id)
            one = str(first.rebalance_id)
            amounts = [row.amount for row in client.list_transactions(one)]
            table = b"".join(client.export_transactions(one))
            with pytest.raises(ProblemError) as refusal:
                client.read_rebalance("0" * 24)
            return models, len(first.transactions), amounts, table, refusal.value.type

    async with serve(app) as url:
        models, trades, amounts, table, kind = await asyncio.to_thread(ask, url)

    assert models == [growth]
    assert (trades, amounts, kind) == (1, [PRICE, PRICE], "/problems/not-found")
    assert table.count(b"\r\n") == 3
