import asyncio

import httpx
import pytest

from serve_app.upstream.errors import UpstreamUnavailableError
from serve_app.upstream.retry_policy import Policy
from tests.support.upstream_servers import Handler, start_client

PATIENT = Policy(tries=2, backoff_s=0.001, total_s=10)
HASTY = Policy(tries=2, backoff_s=0.001, total_s=0.05)


async def observe_call(handler: Handler, policy: Policy = PATIENT) -> list[tuple[str, str]]:
    """Make one call; return what the observer received."""
    told: list[tuple[str, str]] = []
    client = start_client(handler, policy, observer=lambda name, how, _: told.append((name, how)))
    try:
        await client.get("/api/v1/prices")
    except UpstreamUnavailableError:
        told.append(("the call", "refused"))
    return told


async def test_each_try_is_told_for_itself() -> None:
    statuses = iter([503, 200])

    assert await observe_call(lambda _: httpx.Response(next(statuses))) == [
        ("pricing", "failed"),
        ("pricing", "answered"),
    ]


@pytest.mark.parametrize(
    ("error", "outcome"), [(httpx.ConnectError("no"), "failed"), (None, "given up")]
)
async def test_a_try_without_an_answer_is_told_too(error: Exception | None, outcome: str) -> None:
    async def handler(_: httpx.Request) -> httpx.Response:
        if error is not None:
            raise error
        await asyncio.sleep(60)
        raise AssertionError

    told = await observe_call(handler, PATIENT if error else HASTY)

    assert told[-1] == ("the call", "refused")
    assert set(told[:-1]) == {("pricing", outcome)}
