"""Securities: the whole list, single securities, and unknown ids."""

import asyncio

import httpx
import pytest

from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from serve_app.upstream.http_client import Client
from serve_app.upstream.listings import PAGE_SIZE
from serve_app.upstream.portfolio_names import PortfolioService
from serve_app.upstream.retry_policy import Policy
from serve_app.upstream.securities import SecurityService, find_tickers
from tests.support.upstream_servers import Handler, start_client

LATE = "f" * 24  # a security that was added after all were read
NOBODY = "e" * 24


def security_id(number: int) -> str:
    return f"{number:024x}"


class Registry:
    """Security service with ``count`` securities, and one added later."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        await asyncio.sleep(0)
        if path == f"/api/v1/security/{LATE}":
            return httpx.Response(200, json={"securityId": LATE, "ticker": "LATE"})
        if path != "/api/v2/securities":
            return httpx.Response(404, json={"detail": "Security not found"})
        offset = int(request.url.params["offset"])
        numbers = range(offset, min(offset + PAGE_SIZE, self.count))
        rows = [{"securityId": security_id(number), "ticker": f"T{number}"} for number in numbers]
        more = offset + PAGE_SIZE < self.count
        return httpx.Response(200, json={"securities": rows, "pagination": {"hasNext": more}})


def client(handler: Handler) -> Client:
    return start_client(handler, Policy(backoff_s=0.0, concurrency=4), "security")


async def test_a_ticker_leads_to_its_securities_in_any_case_of_its_letters() -> None:
    registry = Registry(PAGE_SIZE + 1)
    of_objects = SecurityService(client(registry))
    of_tickers = SecurityService(client(registry), accept_tickers=True)

    assert await of_objects.find_ids("t1000") == (security_id(PAGE_SIZE),)
    assert await of_objects.find_ids("IBM") == ()
    assert await of_tickers.find_ids("IBM") == ("IBM",)


async def test_all_pages_are_read_once_for_any_number_of_callers() -> None:
    registry = Registry(2 * PAGE_SIZE + 1)
    securities = SecurityService(client(registry))
    expected = {
        security_id(0): "T0",
        security_id(PAGE_SIZE): "T1000",
        security_id(2 * PAGE_SIZE): "T2000",
    }

    answers = await asyncio.gather(*(securities.read_tickers(expected) for _ in range(10)))

    assert answers == [expected] * 10
    assert registry.asked == ["/api/v2/securities"] * 3


async def test_a_security_that_was_added_since_is_found_by_its_id() -> None:
    securities = SecurityService(client(Registry(1)))

    assert await securities.read_tickers([LATE, security_id(0)]) == {
        LATE: "LATE",
        security_id(0): "T0",
    }


async def test_ids_of_no_security_are_left_out_and_remembered() -> None:
    registry = Registry(1)
    securities = SecurityService(client(registry))

    for _ in range(3):
        assert await securities.read_tickers([NOBODY]) == {}

    assert registry.asked.count(f"/api/v1/security/{NOBODY}") == 1


async def test_an_id_that_cannot_exist_there_is_not_asked_for() -> None:
    registry = Registry(1)

    assert await SecurityService(client(registry)).read_tickers(["Z" * 24, "F" * 24]) == {}

    assert registry.asked == ["/api/v2/securities"]


async def test_tickers_to_show_are_none_for_unknown_securities_and_without_the_service() -> None:
    def down(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503)

    ids = [security_id(1), NOBODY]

    found = await find_tickers(SecurityService(client(Registry(3))), ids)
    nothing = await find_tickers(SecurityService(client(down)), ids)

    assert found == {security_id(1): "T1", NOBODY: None}
    assert nothing == dict.fromkeys(ids)


async def test_tickers_that_are_too_late_are_left_out() -> None:
    async def hung(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert await find_tickers(SecurityService(client(hung)), [NOBODY], 0.01) == {NOBODY: None}


async def test_an_upstream_that_is_down_is_no_unknown_security() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v2/securities":
            return await Registry(1)(request)
        return httpx.Response(503)

    with pytest.raises(UpstreamUnavailableError):
        await SecurityService(client(handler)).read_tickers([NOBODY, LATE])


@pytest.mark.parametrize(
    "body", [b"[]", b'{"securities":[]}', b'{"securities":[{}],"pagination":{}}']
)
async def test_securities_that_cannot_be_read_break_the_contract(body: bytes) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    with pytest.raises(UpstreamContractError):
        await SecurityService(client(handler)).read_tickers([NOBODY])


async def test_a_portfolio_has_a_name_or_does_not_exist() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(LATE):
            return httpx.Response(200, json={"portfolioId": LATE, "name": "Growth"})
        return httpx.Response(404, json={"detail": "Portfolio not found"})

    portfolios = PortfolioService(client(handler))

    assert await portfolios.read_name(LATE) == "Growth"
    assert await portfolios.read_name(NOBODY) is None
    assert await portfolios.read_name("not an id") is None


async def test_an_id_that_the_service_does_not_know_may_be_the_ticker_itself() -> None:
    registry = Registry(1)
    securities = SecurityService(client(registry), accept_tickers=True)

    tickers = await securities.read_tickers(["VTI", "BRK.B", security_id(0), NOBODY])

    assert tickers == {"VTI": "VTI", "BRK.B": "BRK.B", security_id(0): "T0", NOBODY: NOBODY}
    assert registry.asked[1:] == [f"/api/v1/security/{NOBODY}"]
