"""Client of the order service: a batch is sent once, and an unclear answer stays unknown."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from optimization.domain.outcome import Side
from serve_app.simulator import Market
from serve_app.upstream.circuit_breaker import Breaker
from serve_app.upstream.errors import (
    CircuitOpenError,
    OutcomeUnknownError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_transports import HttpxTransport, single_use_transport
from serve_app.upstream.order_service import Accepted, NewOrder, OrderService, Placed, Refused
from serve_app.upstream.retry_policy import Policy
from tests.support import flaky_order_service
from tests.support.flaky_order_service import OrderDesk
from tests.support.upstream_servers import EAGER, Handler, start_client
from tests.upstream.test_circuit_breaker import Clock

AT = datetime(2026, 11, 23, 9, 30, 0, 7000, UTC)


def orders(market: Market, count: int) -> list[NewOrder]:
    securities = [str(security.security_id) for security in market.securities()]
    return [
        NewOrder(
            market.portfolio_id(number // len(securities)),
            securities[number % len(securities)],
            (Side.BUY, Side.SELL)[number % 2],
            number + 1,
        )
        for number in range(count)
    ]


def service(desk: OrderDesk | Handler, policy: Policy = EAGER) -> OrderService:
    if isinstance(desk, OrderDesk):
        return OrderService(Client("order", "http://desk", policy, HttpxTransport(desk)), "Default")
    one = start_client(desk, policy, "order", transport=single_use_transport(1.0))
    return OrderService(one, "Default")


@pytest.fixture
def desk(market: Market) -> OrderDesk:
    return OrderDesk(market)


async def test_a_batch_is_accepted_and_can_be_read_back_by_its_timestamp(
    desk: OrderDesk, market: Market
) -> None:
    batch = [*orders(market, 3), NewOrder("f" * 24, "e" * 24, Side.SELL, Decimal("1.50"))]

    answers = await service(desk).place(batch, AT)

    assert answers == (Accepted(1), Accepted(2), Accepted(3), Accepted(4))
    there = await service(desk).read_placed(AT)
    assert there == {
        (one.portfolio_id, one.security_id): Placed(n, "NEW") for n, one in enumerate(batch, 1)
    }
    assert await service(desk).read_placed(AT.replace(microsecond=8000)) == {}
    last = (await desk.read_orders())[-1]
    assert (last["orderType"]["abbreviation"], last["status"]["abbreviation"]) == ("SELL", "NEW")
    assert last["quantity"] == 1.5
    assert last["orderTimestamp"] == "2026-11-23T09:30:00.007Z"


async def test_answers_are_matched_by_their_index_whatever_their_order(
    desk: OrderDesk, market: Market
) -> None:
    desk.faults = [flaky_order_service.reverse_answers]

    answers = await service(desk).place(orders(market, 50), AT)

    assert answers == tuple(Accepted(number) for number in range(1, 51))


async def test_what_is_refused_says_why_and_the_others_are_taken(
    desk: OrderDesk, market: Market
) -> None:
    wrong = NewOrder(market.portfolio_id(0), "a" * 24, Side.BUY, 0)

    answers = await service(desk).place([wrong, *orders(market, 1)], AT)

    assert answers == (Refused("Quantity must be positive"), Accepted(1))


async def test_an_order_whose_answer_has_no_index_has_no_answer(
    desk: OrderDesk, market: Market
) -> None:
    desk.faults = [flaky_order_service.save_without_index]

    assert await service(desk).place(orders(market, 2), AT) == (None, Accepted(2))


def answer_with(status: int, **body: Any) -> Handler:
    references = {
        "blotters": [{"id": 1, "name": "Default"}],
        "statuses": [{"id": 1, "abbreviation": "NEW"}],
        "orderTypes": [{"id": 1, "abbreviation": "BUY"}, {"id": 2, "abbreviation": "SELL"}],
    }

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=references[request.url.path.rpartition("/")[2]])
        return httpx.Response(status, **body)

    return answer


def result(**members: Any) -> dict[str, Any]:
    return {"status": "SUCCESS", "orderId": 7, "requestIndex": 0} | members


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([result()], Accepted(7)),
        ([result(orderId=None, order={"id": 8})], Accepted(8)),
        ([result(orderId=None)], None),
        ([result(orderId="7")], None),
        ([result(), result(orderId=9)], None),
        ([result(), result(status="FAILURE", message="no")], None),
        ([result(status="PENDING")], None),
        ([result(requestIndex=1)], None),
        ([], None),
        ([result(status="FAILURE")], Refused("None")),
    ],
)
async def test_only_one_clear_answer_is_an_answer(
    market: Market, rows: list[Any], expected: object
) -> None:
    found = await service(answer_with(207, json={"orders": rows})).place(orders(market, 1), AT)

    assert found == (expected,)


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 429])
async def test_a_batch_that_is_refused_as_a_whole_was_not_taken(
    market: Market, status: int
) -> None:
    desk = answer_with(status, json={"message": "too many"})

    answers = await service(desk).place(orders(market, 2), AT)

    assert answers == (Refused(f"the batch was refused with {status}: too many"),) * 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"json": {"status": "FAILURE", "message": flaky_order_service.OVERLOADED}}),
        (502, {"text": "bad gateway"}),
        (503, {}),
        (504, {}),
        (408, {}),
        (302, {"headers": {"Location": "/elsewhere"}}),
        (204, {}),
        (200, {"text": "<html>"}),
        (200, {"json": {"status": "SUCCESS"}}),
        (200, {"json": {"orders": None}}),
        (200, {"json": {"orders": [1]}}),
    ],
)
async def test_an_answer_that_says_too_little_leaves_the_outcome_unknown(
    market: Market, status: int, body: dict[str, Any]
) -> None:
    with pytest.raises(OutcomeUnknownError):
        await service(answer_with(status, **body)).place(orders(market, 1), AT)


@pytest.mark.parametrize(
    "fault", [flaky_order_service.lose_request, flaky_order_service.lose_answer]
)
async def test_a_connection_that_breaks_leaves_the_outcome_unknown_and_is_not_tried_again(
    desk: OrderDesk, market: Market, fault: flaky_order_service.Fault
) -> None:
    desk.faults = [fault]

    with pytest.raises(OutcomeUnknownError):
        await service(desk).place(orders(market, 1), AT)

    assert len(desk.posted) == 1


async def test_a_connection_that_cannot_be_made_is_tried_again_because_nothing_went_out(
    desk: OrderDesk, market: Market
) -> None:
    desk.faults = [flaky_order_service.refuse_connection, flaky_order_service.refuse_connection]
    assert await service(desk).place(orders(market, 1), AT) == (Accepted(1),)

    desk.faults = [flaky_order_service.refuse_connection] * 3
    with pytest.raises(UpstreamUnavailableError, match="ConnectError"):
        await service(desk).place(orders(market, 1), AT)


async def test_a_breaker_that_is_open_sends_nothing(desk: OrderDesk, market: Market) -> None:
    clock = Clock()
    breaker = Breaker("order", threshold=1, max_pause_s=60.0, clock=clock)
    upstream = OrderService(
        Client("order", "http://desk", EAGER, HttpxTransport(desk), breaker=breaker), "Default"
    )
    await upstream.references()
    clock.now_s += 10
    desk.faults = [flaky_order_service.report_overload]
    with pytest.raises(OutcomeUnknownError, match="overloaded"):
        await upstream.place(orders(market, 1), AT)

    with pytest.raises(CircuitOpenError):
        await upstream.place(orders(market, 1), AT)

    assert len(desk.posted) == 1


@asynccontextmanager
async def listen(answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[str]:
    """Run a server that reads the begin of a request and calls ``answer``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


async def test_over_a_real_connection_one_that_is_refused_is_told_from_one_that_breaks() -> None:
    async with (
        listen(lambda _: None) as url,
        Client("order", url, EAGER, single_use_transport(1.0)) as one,
    ):
        with pytest.raises(OutcomeUnknownError):
            await one.send_once("POST", "/x", b"[]", 5.0)
    async with Client("order", "http://127.0.0.1:9", EAGER, single_use_transport(1.0)) as one:
        with pytest.raises(UpstreamUnavailableError, match="ConnectError"):
            await one.send_once("POST", "/x", b"[]", 5.0)


async def test_an_answer_that_takes_too_long_leaves_the_outcome_unknown() -> None:
    async def slow(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    one = start_client(slow, EAGER, "order", transport=single_use_transport(1.0))
    with pytest.raises(OutcomeUnknownError, match="took over"):
        await one.send_once("POST", "/x", b"[]", 0.01)


async def test_reference_ids_are_asked_for_once_and_a_blotter_that_is_missing_is_named(
    desk: OrderDesk, market: Market
) -> None:
    upstream = service(desk)
    first = await upstream.references()
    assert (first.blotter, first.status, first.types) == (1, 1, {Side.BUY: 1, Side.SELL: 2})
    assert await upstream.references() is first

    nowhere = OrderService(Client("order", "http://desk", EAGER, HttpxTransport(desk)), "Nowhere")
    with pytest.raises(UpstreamContractError, match="no name Nowhere"):
        await nowhere.place(orders(market, 1), AT)
    assert desk.posted == []


async def test_reading_back_an_answer_that_is_not_of_the_contract_finds_nothing_out() -> None:
    def odd(_: httpx.Request) -> httpx.Response:
        rows = [{"id": 1, "portfolio": None, "security": {"securityId": "S"}}]
        return httpx.Response(200, json={"content": rows, "pagination": {"hasNext": False}})

    with pytest.raises(UpstreamContractError, match="could not be read"):
        await service(odd).read_placed(AT)


async def test_a_batch_is_read_back_page_by_page(desk: OrderDesk, market: Market) -> None:
    batch = orders(market, 1500)
    for start in (0, 1000):
        await service(desk).place(batch[start : start + 1000], AT)

    assert len(await service(desk).read_placed(AT)) == 1500
