"""Rules of the HTTP client, against answers that no real service gives on demand."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import httpx
import pytest

from serve_app.call_context import correlation_id
from serve_app.concurrency import for_each
from serve_app.upstream.circuit_breaker import Breaker, BreakerState
from serve_app.upstream.errors import (
    CircuitOpenError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.http_client import Client, UpstreamHealth
from serve_app.upstream.retry_policy import Policy
from tests.support.upstream_servers import EAGER, start_client
from tests.upstream.test_circuit_breaker import Clock


class Script:
    """Upstream that gives these answers in turn, and the last answer for ever."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.asked = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.asked.set()
        await asyncio.sleep(0.001)  # because otherwise calls would not overlap
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def well() -> httpx.Response:
    return httpx.Response(200, json={"fine": True})


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(500),
        httpx.Response(503),
        httpx.Response(429),
        httpx.ReadError("reset"),
    ],
    ids=str,
)
async def test_a_passing_disturbance_is_tried_again(trouble: httpx.Response | Exception) -> None:
    script = Script(trouble, trouble, well())

    assert await start_client(script).get_json("/x") == {"fine": True}

    assert len(script.requests) == 3


async def test_a_lasting_disturbance_ends_after_three_tries_and_names_the_upstream() -> None:
    script = Script(httpx.Response(502))

    with pytest.raises(UpstreamUnavailableError, match=r"pricing service.*/x answered 502"):
        await start_client(script).get_json("/x")

    assert len(script.requests) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 422])
async def test_what_is_wrong_with_the_request_is_never_tried_again(status: int) -> None:
    script = Script(httpx.Response(status))

    with pytest.raises(UpstreamContractError, match=str(status)):
        await start_client(script).get_json("/x")

    assert len(script.requests) == 1


async def test_an_expected_status_is_an_answer() -> None:
    script = Script(httpx.Response(500))

    response = await start_client(script).get("/x", accept=frozenset({200, 500}))

    assert response.status_code == 500
    assert len(script.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b'{"a":'])
async def test_an_answer_that_is_not_json_breaks_the_contract(body: bytes) -> None:
    script = Script(httpx.Response(200, content=body))

    with pytest.raises(UpstreamContractError, match="the answer of /x is not"):
        await start_client(script).get_json("/x")

    assert len(script.requests) == 1


async def test_numbers_arrive_with_every_digit() -> None:
    script = Script(httpx.Response(200, content=b"[12345678901234567890.12345678]"))

    assert await start_client(script).get_json("/x") == [Decimal("12345678901234567890.12345678")]


async def test_a_slow_upstream_is_given_up_after_the_total_time_of_its_tries() -> None:
    tries = 0

    async def slow(_: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        await asyncio.sleep(60)
        return well()

    policy = Policy(total_s=0.02, backoff_s=0.0)
    with pytest.raises(UpstreamUnavailableError, match="took over"):
        await start_client(slow, policy).get_json("/x")

    assert 2 <= tries <= 3


async def test_the_wait_an_upstream_asks_for_is_kept_before_the_next_try() -> None:
    busy = httpx.Response(429, headers={"Retry-After": "0"})
    script = Script(busy, well())
    patient = Policy(backoff_s=3600.0, longest_backoff_s=3600.0)

    assert await start_client(script, patient).get_json("/x") == {"fine": True}


async def test_a_wait_beyond_the_budget_is_handed_to_the_caller_at_once() -> None:
    script = Script(httpx.Response(503, headers={"Retry-After": "120"}))

    with pytest.raises(UpstreamUnavailableError) as caught:
        await start_client(script).get_json("/x")

    assert caught.value.retry_after_s == 120
    assert len(script.requests) == 1


async def test_a_wait_may_be_given_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    script = Script(httpx.Response(503, headers={"Retry-After": later}))

    with pytest.raises(UpstreamUnavailableError) as caught:
        await start_client(script).get_json("/x")

    assert 290 < caught.value.retry_after_s <= 300


@pytest.mark.parametrize("wait", ["9" * 400, "99999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_wait_of_more_than_an_hour_is_an_hour(wait: str) -> None:
    script = Script(httpx.Response(503, headers={"Retry-After": wait}))

    with pytest.raises(UpstreamUnavailableError) as caught:
        await start_client(script).get_json("/x")

    assert caught.value.retry_after_s == 3600


@pytest.mark.parametrize("wait", ["soon", "-1", "Fri, 31 Dec 9999 23:59:59 -2359", "", "1e9"])
async def test_a_wait_that_nobody_can_read_is_ignored(wait: str) -> None:
    script = Script(httpx.Response(503, headers={"Retry-After": wait}), well())

    assert await start_client(script).get_json("/x") == {"fine": True}


async def test_the_correlation_id_goes_along() -> None:
    script = Script(well())
    token = correlation_id.set("abc-123")
    try:
        await start_client(script).get_json("/x")
    finally:
        correlation_id.reset(token)

    assert script.requests[0].headers["X-Correlation-ID"] == "abc-123"


async def test_no_more_calls_are_under_way_than_the_policy_allows() -> None:
    under_way = 0
    most = 0

    async def counting(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return well()

    upstream = start_client(counting, Policy(concurrency=3))
    await asyncio.gather(*(upstream.get_json("/x") for _ in range(20)))

    assert most == 3


async def test_calls_that_keep_failing_open_the_circuit() -> None:
    script = Script(httpx.Response(500))
    clock = Clock()
    breaker = Breaker("pricing", threshold=2, max_pause_s=60.0, clock=clock)
    upstream = start_client(script, breaker=breaker)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailableError):
            await asyncio.gather(*(upstream.get_json("/x") for _ in range(8)))
        clock.now_s += 1

    clock.now_s -= 0.5
    asked = len(script.requests)
    with pytest.raises(CircuitOpenError) as caught:
        await upstream.get_json("/x")

    assert caught.value.retry_after_s == 1.0
    assert len(script.requests) == asked


async def test_a_blip_that_many_calls_of_one_request_meet_leaves_the_circuit_closed() -> None:
    is_down = True

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if is_down else well()

    upstream = start_client(handler, Policy(backoff_s=0.0, tries=1))
    lost = await asyncio.gather(
        *(upstream.get_json("/x") for _ in range(50)), return_exceptions=True
    )
    is_down = False

    assert all(isinstance(error, UpstreamUnavailableError) for error in lost)
    assert await upstream.get_json("/x") == {"fine": True}


@pytest.mark.parametrize("status", [400, 404, 429])
async def test_a_refused_request_is_no_failure_of_the_upstream(status: int) -> None:
    script = Script(httpx.Response(status))
    upstream = start_client(script, Policy(backoff_s=0.0, breaker_threshold=1))

    for _ in range(3):
        with pytest.raises((UpstreamContractError, UpstreamUnavailableError)) as caught:
            await upstream.get_json("/x")
        assert not isinstance(caught.value, CircuitOpenError)


async def test_a_call_that_waits_for_its_next_try_stops_when_the_circuit_opens() -> None:
    script = Script(httpx.Response(500))
    upstream = start_client(script, Policy(backoff_s=0.001, breaker_threshold=1, concurrency=4))

    errors = await asyncio.gather(
        *(upstream.get_json("/x") for _ in range(4)), return_exceptions=True
    )

    assert sum(not isinstance(error, CircuitOpenError) for error in errors) >= 1
    assert all(isinstance(error, UpstreamUnavailableError) for error in errors)


@pytest.fixture
async def half_open() -> tuple[Client, Script]:
    script = Script(httpx.Response(500), httpx.Response(500), httpx.Response(500), well())
    upstream = start_client(script, Policy(backoff_s=0.0, breaker_threshold=1, breaker_pause_s=0.0))
    with pytest.raises(UpstreamUnavailableError):
        await upstream.get_json("/x")
    script.requests.clear()
    script.asked.clear()
    return upstream, script


async def test_of_ten_callers_after_the_pause_exactly_one_probes(
    half_open: tuple[Client, Script],
) -> None:
    upstream, script = half_open

    answers = await asyncio.gather(
        *(upstream.get_json("/x") for _ in range(10)), return_exceptions=True
    )

    assert len(script.requests) == 1
    assert sum(answer == {"fine": True} for answer in answers) == 1
    assert sum(isinstance(answer, CircuitOpenError) for answer in answers) == 9


async def test_a_probe_that_succeeds_closes_the_circuit(half_open: tuple[Client, Script]) -> None:
    upstream, _ = half_open
    await upstream.get_json("/x")

    answers = await asyncio.gather(*(upstream.get_json("/x") for _ in range(10)))

    assert answers == [{"fine": True}] * 10


async def test_a_probe_is_one_request(half_open: tuple[Client, Script]) -> None:
    upstream, script = half_open
    script.answers[:] = [httpx.Response(500)]

    with pytest.raises(UpstreamUnavailableError):
        await upstream.get_json("/x")

    assert len(script.requests) == 1


async def test_a_cancelled_probe_leaves_the_next_caller_to_probe(
    half_open: tuple[Client, Script],
) -> None:
    upstream, script = half_open
    probe = asyncio.create_task(upstream.get_json("/x"))
    await script.asked.wait()
    probe.cancel()
    await asyncio.wait([probe])

    assert probe.cancelled()
    assert await upstream.get_json("/x") == {"fine": True}


async def test_health_is_asked_once_past_the_breaker_whose_state_it_says() -> None:
    script = Script(httpx.Response(500))
    upstream = start_client(script, Policy(backoff_s=0.0, breaker_threshold=1))
    with pytest.raises(UpstreamUnavailableError):
        await upstream.get_json("/x")
    script.requests.clear()

    assert await upstream.check_health("/health") == UpstreamHealth(False, BreakerState.OPEN)
    script.answers[:] = [well()]
    assert await upstream.check_health("/health") == UpstreamHealth(True, BreakerState.OPEN)
    assert len(script.requests) == 2


async def test_health_does_not_wait_for_a_hung_service() -> None:
    async def hung(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return well()

    asked = await start_client(hung).check_health("/health", within_s=0.01)

    assert asked == UpstreamHealth(False, BreakerState.CLOSED)


async def test_a_closed_port_is_an_unavailable_upstream() -> None:
    async with Client("pricing", "http://127.0.0.1:9", EAGER) as upstream:
        with pytest.raises(UpstreamUnavailableError, match="ClientConnectorError"):
            await upstream.get_json("/x")


async def test_the_first_error_of_many_calls_ends_the_others_and_is_raised_itself() -> None:
    ended: list[int] = []
    before = asyncio.all_tasks()

    async def call(item: int) -> None:
        if item == 1:
            raise UpstreamUnavailableError("pricing", "gone", 5.0)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(item)

    with pytest.raises(UpstreamUnavailableError):
        await for_each(range(100), call, 4)

    assert sorted(ended) == [0, 2, 3]
    assert asyncio.all_tasks() <= before
