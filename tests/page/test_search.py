"""The search of every page: opened by slash, for names and ids that the caller may read."""

import re

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from tests.page.conftest import Desk, World, open_context
from tests.page.test_portfolio import find_outcome
from tests.page.test_rules_of_pages import find_violations


async def search(page: Page, text: str) -> Locator:
    await page.keyboard.press("/")
    field = page.get_by_label("Search")
    await expect(field).to_be_focused()
    await field.fill(text)
    await field.press("Enter")
    return page.get_by_role("list", name="Found")


async def test_a_name_or_an_id_leads_to_what_has_it(page: Page, world: World) -> None:
    model, outcome = world.models[0], find_outcome(world, "REBALANCED")
    await page.goto("/console")
    await expect(page.get_by_role("heading", name="Today")).to_be_visible()

    results = await search(page, "strategy")
    for model in world.models:
        await expect(results.get_by_role("link", name=model["name"])).to_be_visible()
    assert await find_violations(page) == []
    await page.keyboard.press("Escape")
    await expect(results).to_have_count(0)
    for text, path in (
        (model["name"].upper(), f"/model/{model['model_id']}"),
        (model["model_id"], f"/model/{model['model_id']}"),
        (world.run["run_id"], f"/runs/{world.run['run_id']}"),
        (outcome["rebalance_id"], f"/rebalance/{outcome['rebalance_id']}"),
    ):
        await page.get_by_role("link", name="Today", exact=True).click()
        await search(page, text)
        await expect(page).to_have_url(re.compile(f"{path}$"))

    # The newest, because tests of this world rebalance some portfolios more often than are found.
    body = {"portfolios": [outcome["portfolio_id"]]}
    newest, *others = world.post("/api/v1/rebalances/portfolios", body)
    plan = f"/rebalance/{newest['rebalance_id']}/portfolio/{outcome['portfolio_id']}"
    await page.goto("/console")
    await expect(page.get_by_role("heading", name="Today")).to_be_visible()
    results = await search(page, outcome["portfolio_id"])
    if others:
        await results.locator(f"a[href='/console{plan}']").click()
    await expect(page).to_have_url(re.compile(f"{plan}$"))
    await search(page, "0" * 24)
    await expect(page.get_by_text("Nothing has this name or id.")).to_be_visible()


async def test_it_is_not_there_before_somebody_has_signed_in(browser: Browser, desk: Desk) -> None:
    async with open_context(browser, desk.url) as context:
        page = await context.new_page()
        await page.goto("/console")
        await expect(page.get_by_label("API key")).to_be_visible()
        await expect(page.get_by_label("Search")).to_have_count(0)


async def test_a_portfolio_is_found_by_a_part_of_its_name_and_leads_to_its_last_plan(
    page: Page, world: World
) -> None:
    (portfolio_id, other) = world.models[0]["portfolios"][:2]
    query = f"ids={portfolio_id}&ids={other}"
    portfolio, _ = world.read(f"/api/v1/portfolios?{query}")
    (last, *_) = world.read(f"/api/v1/portfolios/last-outcomes?{query}")
    await page.goto("/console")
    await expect(page.get_by_role("heading", name="Today")).to_be_visible()

    results = await search(page, portfolio["name"].lower())

    link = results.get_by_role("link", name=portfolio["name"], exact=True)
    plan = f"/console/rebalance/{last['rebalance_id']}/portfolio/{portfolio_id}"
    await expect(link).to_have_attribute("href", plan)
    await link.click()
    await expect(page).to_have_url(re.compile(f"{plan}$"))


@pytest.mark.parametrize(
    "error",
    [
        UpstreamUnavailableError("portfolio", "it answered 503", 2.0),
        UpstreamContractError("portfolio", "it answered 404"),
    ],
    ids=["down", "without a search"],
)
async def test_without_the_portfolio_service_the_others_are_found_and_the_page_says_so(
    page: Page, world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model = world.models[0]
    await page.goto("/console")
    await expect(page.get_by_role("heading", name="Today")).to_be_visible()
    monkeypatch.setattr(world.upstreams, "search_error", error)

    results = await search(page, model["name"])

    await expect(results.get_by_role("link", name=model["name"])).to_be_visible()
    await expect(page.get_by_text("Portfolios were not found by name")).to_contain_text("portfolio")
    await expect(page.get_by_role("alert")).to_have_count(0)
