"""Prices: snapshots, their sharing, and malformed answers."""

import asyncio
import pickle
from decimal import Decimal

import httpx
import pytest

from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from serve_app.upstream.prices import PricingService
from tests.support.upstream_servers import start_client


class Pricing:
    """Pricing service whose prices rise by 100 with every request."""

    def __init__(self, body: bytes | None = None) -> None:
        self.body = body
        self.looks = 0

    async def __call__(self, _: httpx.Request) -> httpx.Response:
        self.looks += 1
        await asyncio.sleep(0)
        rows = f'[{{"ticker":"A","close":{self.looks}00.10}},{{"ticker":"A","close":1.00}}]'
        return httpx.Response(200, content=self.body or rows.encode())


def prices(pricing: Pricing, ttl_s: float = 60.0) -> PricingService:
    return PricingService(start_client(pricing), ttl_s)


async def test_a_price_keeps_its_digits_and_the_first_row_of_a_ticker_counts() -> None:
    snapshot = await prices(Pricing()).read_snapshot()

    assert snapshot.prices == {"A": Decimal("100.10")}
    assert str(snapshot.prices["A"]) == "100.10"
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot


async def test_simultaneous_callers_share_one_look() -> None:
    pricing = Pricing()
    source = prices(pricing)

    snapshots = await asyncio.gather(*(source.read_snapshot() for _ in range(20)))

    assert pricing.looks == 1
    assert len({snapshot.snapshot_id for snapshot in snapshots}) == 1


async def test_a_caller_that_is_cancelled_does_not_take_the_look_from_the_others() -> None:
    pricing = Pricing()
    source = prices(pricing)
    first = asyncio.create_task(source.read_snapshot())
    second = asyncio.create_task(source.read_snapshot())
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).prices
    assert pricing.looks == 1


async def test_after_its_time_a_snapshot_is_taken_anew_and_the_old_one_stays_as_it_was() -> None:
    pricing = Pricing()
    source = prices(pricing, ttl_s=0.0)
    old = await source.read_snapshot()
    await asyncio.sleep(0.01)

    new = await source.read_snapshot()

    assert new.snapshot_id != old.snapshot_id
    assert (old.prices["A"], new.prices["A"]) == (Decimal("100.10"), Decimal("200.10"))


async def test_a_failed_look_is_not_remembered() -> None:
    answers = iter([httpx.Response(500)] * 3)
    pricing = Pricing()

    async def handler(request: httpx.Request) -> httpx.Response:
        return next(answers, None) or await pricing(request)

    source = PricingService(start_client(handler), 60.0)
    with pytest.raises(UpstreamUnavailableError):
        await source.read_snapshot()

    assert (await source.read_snapshot()).prices


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[1]",
        b'[{"ticker":"A"}]',
        b'[{"ticker":"A","close":"x"}]',
        b'[{"ticker":"A","close":NaN}]',
        b"null",
    ],
)
async def test_prices_that_cannot_be_read_break_the_contract(body: bytes) -> None:
    with pytest.raises(UpstreamContractError):
        await prices(Pricing(body)).read_snapshot()


async def test_a_price_of_nothing_is_no_price() -> None:
    body = b'[{"ticker":"A","close":0.00},{"ticker":"B","close":0.01}]'

    assert (await prices(Pricing(body)).read_snapshot()).prices == {"B": Decimal("0.01")}
