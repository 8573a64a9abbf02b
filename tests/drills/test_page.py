"""The console in a browser, signed in, while the replicas behind it are killed one by one."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx
import pytest
from playwright.async_api import Page, expect

from serve_app.auth.permissions import Role
from serve_app.launch.launcher import format_url, run_service
from serve_app.launch.preflight import read_configuration
from serve_app.settings import Settings
from storage.mongo.connection import connect, disconnect
from tests.drills.drill import (
    BALANCES,
    COORDINATOR,
    INGRESS,
    WITHIN_S,
    Drill,
    find_log_lines,
    kill_processes,
    list_processes,
)
from tests.end_to_end.book import Book
from tests.end_to_end.calls import CONFIG
from tests.page.browser.found import open_browser
from tests.page.conftest import open_context, sign_in
from tests.support.fakes import Stored
from tests.support.keys import add_key

pytestmark = [pytest.mark.cluster, pytest.mark.apart]

INGRESSES: Final = 2
WITHIN_MS: Final = WITHIN_S * 1000
# Each balance takes most of a second until the stream is live again, so that the run outlasts the
# start of new replicas.
PAUSE_S: Final = 0.7
RECORD: Final = """() => {
  window.shown = [];
  const look = () => {
    const done = document.querySelector(".facts dd")?.textContent ?? "";
    const mode = document.querySelector(".mode")?.textContent ?? "";
    window.shown.push([parseInt(done.replaceAll(",", "")), mode]);
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
  look();
}"""


@pytest.fixture(scope="module")
def service(overrides: dict[str, Any], cluster: object) -> Iterator[Settings]:
    """Start the service with two ingresses; every caller needs credentials."""
    slow = {"auth": "keys", "run_chunk_size": 5, "run_window": 1}
    settings, content = read_configuration(CONFIG, overrides | slow)
    (application,) = content["applications"]
    (ingress,) = [
        deployment for deployment in application["deployments"] if deployment["name"] == "Ingress"
    ]
    ingress["num_replicas"] = INGRESSES
    with run_service(settings, content, print) as complete:
        yield complete


@pytest.fixture(scope="module")
async def key(service: Settings) -> str:
    """Add a key with every right."""
    assert service.mongodb_uri is not None
    uri = service.mongodb_uri.get_secret_value()
    database = connect(uri, service.database_name)
    text = await add_key(Stored(database), Role.ADMIN, owner="anna")
    await disconnect(database)
    return text


@pytest.fixture(scope="module")
async def http(service: Settings, key: str) -> AsyncIterator[httpx.AsyncClient]:
    bearer = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=format_url(service), timeout=90, trust_env=False, headers=bearer
    ) as client:
        yield client


@pytest.fixture
async def page(service: Settings) -> AsyncIterator[Page]:
    async with open_browser() as browser, open_context(browser, format_url(service)) as context:
        yield await context.new_page()


async def test_a_page_follows_a_run_to_its_end_though_every_replica_behind_it_dies(
    page: Page, drill: Drill, book: Book, key: str
) -> None:
    ids = book.market.portfolio_ids()
    answers = collect_answers(page)
    await sign_in(page, key)
    first = await wait_until_each_answered(page, answers)
    with book.delay(BALANCES, PAUSE_S):
        run_id = await drill.begin_run(await drill.add_model(ids))
        following = asyncio.create_task(drill.follow_events(run_id))
        await page.goto(f"/console/runs/{run_id}")
        await expect(page.locator(".mode")).to_have_text("live")
        await drill.wait_until_under_way(run_id)
        await page.evaluate(RECORD)
        for replica in first:
            os.kill(replica, signal.SIGKILL)
            await wait_for_ingresses({replica})
        assert kill_processes(COORDINATOR)
        await expect(page.locator(".mode")).to_have_text("live", timeout=WITHIN_MS)
        run = await drill.read_run(run_id)
        assert run is not None
        assert run["status"] == "RUNNING", "the run was over before the stream was resumed"
    await expect(page.locator(".head .status")).to_have_text("COMPLETED", timeout=WITHIN_MS)

    run = await drill.check_run(run_id, ids, await following)
    samples: list[tuple[float, str]] = await page.evaluate("window.shown")
    counts, modes = zip(*samples, strict=True)
    assert list(counts) == sorted(counts), "a count went back"
    assert counts[-1] == run["portfolios"]["done"] == len(ids)
    assert {"reconnecting", "polling every 2 s"} & set(modes), "the stream was never cut"
    assert await read_legend(page) == run["counts"]
    assert not first & await wait_until_each_answered(page, answers)
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_a_session_is_good_at_an_ingress_that_did_not_begin_it(
    page: Page, drill: Drill, key: str
) -> None:
    answers = collect_answers(page)
    await sign_in(page, key)
    first = await wait_until_each_answered(page, answers)

    for replica in first:
        os.kill(replica, signal.SIGKILL)
        await reload_until_answered(page)
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        await wait_for_ingresses({replica})

    assert not first & await wait_until_each_answered(page, answers)
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert (await drill.http.get("/api/v1/models")).status_code == 200


async def read_legend(page: Page) -> dict[str, int]:
    """Read the counts by outcome below the bar of the run."""
    texts = await page.locator(".stacked").first.locator(".legend li").all_inner_texts()
    parts = [text.split() for text in texts]
    return {outcome: int(number.replace(",", "")) for outcome, number in parts}


def collect_answers(page: Page) -> set[str]:
    """Collect the correlation ids of the answers that the page gets from now on."""
    answers: set[str] = set()
    page.on("response", lambda answer: answers.add(answer.headers.get("x-correlation-id", "")))
    return answers


async def wait_until_each_answered(page: Page, answers: set[str]) -> set[int]:
    """Load the page anew until each ingress has answered it as signed in; return the ingresses.

    No answer tells which ingress gave it. The log of each does, by the correlation id.
    """
    ingresses = set(await wait_for_ingresses(set()))
    async with asyncio.timeout(WITHIN_S):
        while not ingresses <= find_answering(answers):
            await reload_until_answered(page)
            await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    return ingresses


def find_answering(answers: set[str]) -> set[int]:
    """Find the processes that gave one of these answers to an authenticated caller."""
    return {
        line["process"]
        for line in find_log_lines('"event": "request"')
        if line["correlation_id"] in answers and line["principal"]
    }


async def reload_until_answered(page: Page) -> None:
    """Reload the page until it is answered, because a new ingress may not take requests yet."""
    async with asyncio.timeout(WITHIN_S):
        while (answer := await page.reload()) is None or not answer.ok:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def wait_for_ingresses(killed: set[int]) -> list[int]:
    """Wait until all ingresses run and none of them is a killed one."""
    async with asyncio.timeout(WITHIN_S):
        pids = list_processes(INGRESS)
        while killed & {*pids} or len(pids) < INGRESSES:
            await asyncio.sleep(0.1)
            pids = list_processes(INGRESS)
    return pids
