"""Resources of a process: which upstreams get which credentials."""

from collections.abc import AsyncIterator

import httpx
import pytest

from serve_app.observability.observers import Observers
from serve_app.resources import open_resources
from serve_app.settings import UPSTREAM_URLS, read_settings
from storage.mongo.connection import disconnect
from tests.support import upstream_servers


def ignore(*_: object) -> None:
    pass


UNWATCHED = Observers(ignore, ignore, ignore)


@pytest.fixture(autouse=True)
async def close_upstreams() -> AsyncIterator[None]:
    yield
    await upstream_servers.opened.aclose()


async def collect_credentials(**values: str) -> list[str]:
    """Call the health route of every upstream; return the credentials that the five got."""
    headers: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers.get("Authorization", "none"))
        return httpx.Response(200, json={"access_token": "abc"})

    url = upstream_servers.start_server(answer)
    urls = dict.fromkeys(UPSTREAM_URLS.values(), url)
    settings = read_settings({"mongodb_uri": "mongodb://127.0.0.1:9", **values})
    if "upstream_token_url" in values:
        settings = settings.model_copy(update={"upstream_token_url": f"{url}/token"})
    resources = open_resources(settings.model_copy(update=urls), UNWATCHED)
    try:
        for part in (
            resources.prices,
            resources.securities,
            resources.holdings,
            resources.order_service,
            resources.portfolios,
        ):
            assert (await part.check_health()).is_healthy
            await part._client.close()  # noqa: SLF001 - resources live as long as their process
    finally:
        await disconnect(resources.database)
    return headers


REAL = dict.fromkeys(UPSTREAM_URLS.values(), "http://replaced")
CLIENT = {
    "upstream_token_url": "http://replaced",
    "upstream_client_id": "ada",
    "upstream_client_secret": "mellon",
}


async def test_nothing_is_sent_unless_the_settings_say_so() -> None:
    assert await collect_credentials(**REAL) == ["none"] * 5


async def test_a_fixed_header_goes_to_all_five_upstreams() -> None:
    headers = await collect_credentials(**REAL, upstream_authorization="Bearer abc")

    assert headers == ["Bearer abc"] * 5


async def test_one_token_goes_to_all_five_upstreams() -> None:
    headers = await collect_credentials(**REAL, **CLIENT)

    assert headers == ["Basic YWRhOm1lbGxvbg==", *["Bearer abc"] * 5]


async def test_the_simulated_market_gets_no_credentials() -> None:
    values = {"upstreams": "simulated", **CLIENT}

    assert await collect_credentials(**values) == ["none"] * 5
