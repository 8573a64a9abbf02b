"""The console in a real browser, over the served application and a simulated market."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from serve_app.auth.permissions import Role
from serve_app.settings import read_settings
from serve_app.simulator import Market
from serve_app.web import is_built
from storage.mongo.connection import connect, disconnect
from tests.page.browser.found import open_browser
from tests.page.world import MarketUpstreams, make_models
from tests.support.fakes import Stored
from tests.support.keys import add_key
from tests.support.threaded_server import serve_in_thread

TIMEOUT_MS: Final = 20_000
expect.set_options(timeout=TIMEOUT_MS)  # a busy machine draws a page in seconds
SETTINGS: Final = read_settings({"run_chunk_size": 16, "run_window": 2, "event_streams": 3})
SHAPES: Final = {
    "wide": {"width": 1440, "height": 900},
    "narrow": {"width": 390, "height": 844},
}


@dataclass(frozen=True)
class World:
    """A running service over a market, with models and a run that is over."""

    url: str
    market: Market
    upstreams: MarketUpstreams
    http: httpx.Client
    models: list[dict[str, Any]]
    run: dict[str, Any]

    def begin_run(self, *models: dict[str, Any]) -> str:
        body = {"models": [model["model_id"] for model in models]}
        answer = self.http.post("/api/v1/runs", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["run_id"]

    def read(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def measure_book(self) -> dict[str, Any]:
        """Scan the drift of the book, and wait for the end."""
        scan = self.http.post("/api/v1/drift-scans").json()
        while scan["status"] == "RUNNING":
            time.sleep(0.05)
            scan = self.read(f"/api/v1/drift-scans/{scan['scan_id']}")
        assert scan["status"] == "COMPLETED", scan
        return scan

    def wait_for_run(self, run_id: str) -> dict[str, Any]:
        events = self.http.get(f"/api/v1/runs/{run_id}/events")
        assert events.status_code == 200, events.text
        return self.read(f"/api/v1/runs/{run_id}")


@pytest.fixture(scope="session")
def world(mongodb_uri: str) -> Iterator[World]:
    assert is_built(), "the console is not built: run make page"
    market = Market(seed=11, portfolios=300)
    upstreams = MarketUpstreams(market)
    with (
        serve_in_thread(mongodb_uri, "page", SETTINGS, upstreams, market) as url,
        httpx.Client(base_url=url, timeout=60) as http,
    ):
        bodies = make_models(market, 4)
        models = [http.post("/api/v1/models", json=body).json() for body in bodies]
        world = World(url, market, upstreams, http, models, {})
        run = world.wait_for_run(world.begin_run(*models))
        world.measure_book()
        yield World(url, market, upstreams, http, models, run)


@dataclass(frozen=True)
class Desk:
    """A service under AUTH=keys over a market, with a model, and the keys of its people."""

    url: str
    http: httpx.Client  # with the key of an admin
    keys: dict[str, str]
    upstreams: MarketUpstreams
    models: list[dict[str, Any]]

    @property
    def model(self) -> dict[str, Any]:
        return self.models[0]

    def rebalance(self, portfolio_id: str) -> str:
        """Rebalance a portfolio by Tom; return the id of the rebalance."""
        return self._by_tom(f"portfolio/{portfolio_id}/rebalance")["rebalance_id"]

    def propose(self, model: dict[str, Any]) -> str:
        """Rebalance a model and propose its orders, both by Tom; return the rebalance's id."""
        (first, *_) = self._by_tom(f"model/{model['model_id']}/rebalance")
        self._by_tom(f"rebalance/{first['rebalance_id']}/proposal")
        return first["rebalance_id"]

    def proposal(self, rebalance_id: str) -> dict[str, Any]:
        """Read the newest proposal of a rebalance."""
        (newest, *_) = self.read("proposals", rebalance_id=rebalance_id)
        return newest

    def read(self, path: str, **query: str) -> Any:
        return self.http.get(f"/api/v1/{path}", params=query).raise_for_status().json()

    def _by_tom(self, path: str) -> Any:
        bearer = {"Authorization": f"Bearer {self.keys['tom']}"}
        answer = self.http.post(f"/api/v1/{path}", headers=bearer)
        assert answer.is_success, answer.text
        return answer.json()

    async def sign_in(self, context: BrowserContext, name: str) -> Page:
        """Sign somebody in on a page of its own."""
        page = await context.new_page()
        await sign_in(page, self.keys[name])
        return page


async def sign_in(page: Page, key: str) -> None:
    """Sign in on a page with an API key."""
    await page.goto("/console")
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


PEOPLE: Final = {
    "admin": (Role.ADMIN,),
    "vera": (Role.VIEWER,),
    # Tom trades and approves, so that four eyes and not his rights stop him.
    "tom": (Role.TRADER, Role.APPROVER),
    "anna": (Role.APPROVER,),
    "ben": (Role.APPROVER,),
}


def post(http: httpx.Client, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return what the service answers to a change that it accepts."""
    answer = http.post(f"/api/v1/{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


@pytest.fixture(scope="session")
async def desk(mongodb_uri: str) -> AsyncIterator[Desk]:
    market = Market(seed=11, portfolios=40)
    settings = read_settings({"auth": "keys", "require_approvals": 1})
    upstreams = MarketUpstreams(market)
    with serve_in_thread(mongodb_uri, "desk", settings, upstreams, market) as url:
        database = connect(mongodb_uri, "desk")
        keys = {name: await add_key(Stored(database), *PEOPLE[name], owner=name) for name in PEOPLE}
        await disconnect(database)
        bearer = {"Authorization": f"Bearer {keys['admin']}"}
        with httpx.Client(base_url=url, timeout=60, headers=bearer) as http:
            models = [post(http, "models", body) for body in make_models(market, 4)[:3]]
            yield Desk(url, http, keys, upstreams, models)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as browser:
        yield browser


@asynccontextmanager
async def open_context(
    browser: Browser, url: str, shape: str = "wide", **options: Any
) -> AsyncIterator[BrowserContext]:
    """Open a context that fails if a page asks another host or writes to its console."""
    context = await browser.new_context(
        base_url=url,
        viewport=SHAPES[shape],  # pyright: ignore[reportArgumentType]
        **options,
    )
    context.set_default_timeout(TIMEOUT_MS)
    noise: list[str] = []
    context.on("console", lambda line: noise.append(f"console: {line.text}"))
    context.on("weberror", lambda error: noise.append(f"error: {error.error}"))
    context.on(
        "request",
        lambda request: None if request.url.startswith(url) else noise.append(request.url),
    )
    try:
        yield context
    finally:
        await context.close()
    # A refusal that a test provokes is written by the browser itself.
    assert [line for line in noise if "Failed to load resource" not in line] == []


@pytest.fixture
async def page(browser: Browser, world: World) -> AsyncIterator[Page]:
    """A page on a wide screen."""
    async with open_context(browser, world.url) as context:
        yield await context.new_page()


@pytest.fixture
async def narrow_page(browser: Browser, world: World) -> AsyncIterator[Page]:
    """A page on the screen of a telephone."""
    async with open_context(browser, world.url, "narrow") as context:
        yield await context.new_page()
