"""A desk's morning in the browser: from sign-in and drift to orders that are sent."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.conftest import Desk, open_context, post
from tests.page.test_models import cell
from tests.page.test_review import ask, status
from tests.page.world import make_models


@pytest.fixture
def model(desk: Desk) -> Iterator[dict[str, Any]]:
    """A model whose portfolios no other test rebalances."""
    body = make_models(desk.upstreams.market, 5)[3]
    model = post(desk.http, "models", body)
    yield model
    desk.http.delete(f"/api/v1/model/{model['model_id']}", params={"version": model["version"]})


async def measure_drift(page: Page, model: dict[str, Any]) -> int:
    """Open the followers of a model from Today; return how many are out of their bands."""
    await page.get_by_role("link", name="Models", exact=True).click()
    await page.get_by_role("link", name=model["name"]).click()
    await page.get_by_role("link", name="Followers").click()
    followers = page.get_by_role("table", name="Followers").locator(".body .row")
    await expect(followers).to_have_count(len(model["portfolios"]))
    return await followers.filter(has_text="OUT_OF_BAND").count()


async def try_wider_band(page: Page) -> None:
    """Try an edit on the followers without saving it."""
    await page.get_by_role("link", name="Targets").click()
    await cell(page, 0, 2).fill("0.02")
    await page.get_by_role("button", name="Try").click()
    await expect(page.get_by_role("table", name="What if")).to_be_visible()
    await page.get_by_role("button", name="Discard").click()


async def rebalance(page: Page) -> str:
    """Begin a run from the page of a model and wait for its end; return the rebalance's id."""
    question = await ask(page, "Rebalance")
    await question.get_by_role("button", name="Begin the run").click()
    await expect(status(page)).to_have_text("COMPLETED", timeout=60_000)
    # In the page, because the list of all pages has a link of this name before the run has any.
    rebalances = page.get_by_role("main")
    await rebalances.get_by_role("link", name="Review", exact=True).last.click()
    await expect(page.get_by_role("table", name="Portfolios that trade")).to_be_visible()
    return page.url.rpartition("/")[2]


async def decide(page: Page, verb: str, answer: str, result: str) -> None:
    question = await ask(page, verb)
    await question.get_by_role("button", name=answer).click()
    await expect(status(page)).to_have_text(result)


async def test_a_morning_leads_from_sign_in_over_drift_and_approval_to_orders_sent(
    browser: Browser, desk: Desk, model: dict[str, Any]
) -> None:
    async with (
        open_context(browser, desk.url) as of_tom,
        open_context(browser, desk.url) as of_anna,
    ):
        tom = await desk.sign_in(of_tom, "tom")
        assert await measure_drift(tom, model) > 0
        await try_wider_band(tom)
        rebalance_id = await rebalance(tom)
        lines = desk.read(f"rebalance/{rebalance_id}/transactions")
        await decide(tom, "Propose", "Propose", "PROPOSED")

        anna = await desk.sign_in(of_anna, "anna")
        await anna.get_by_role("link", name="wait for approval").click()
        await anna.locator(f"a[href$='{rebalance_id}']").click()
        await decide(anna, "Approve", "Approve", "APPROVED")

        await tom.reload()
        await decide(tom, "Send orders", "Send the orders", "ORDERED")
        await tom.get_by_role("main").get_by_role("link", name="Orders").click()
        table = tom.get_by_role("table", name="Orders")
        await expect(table).to_have_attribute("aria-rowcount", str(len(lines) + 1))
        in_view = table.locator(".body .row")
        await expect(in_view.filter(has_text="SENT")).to_have_count(await in_view.count())

    assert desk.read(f"rebalance/{rebalance_id}/orders")["counts"]["SENT"] == len(lines)
    assert desk.read(f"model/{model['model_id']}")["version"] == model["version"]
    entries = desk.read("audit", object_id=desk.proposal(rebalance_id)["proposal_id"])
    assert {entry["principal"] for entry in entries} >= {"tom", "anna"}
