"""Long lists: rows in view are in the document, and others are read as they come into view."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from tests.page.conftest import World
from tests.page.world import make_models


@pytest.fixture
def rebalance_id(world: World) -> Iterator[str]:
    """A rebalance of every portfolio of the market."""
    body = make_models(world.market, 2)[0] | {
        "name": "Everybody",
        "portfolios": list(world.market.portfolio_ids()),
    }
    answer = world.http.post("/api/v1/models", json=body)
    assert answer.status_code == 201, answer.text
    model: dict[str, Any] = answer.json()
    outcomes = world.http.post(f"/api/v1/model/{model['model_id']}/rebalance").json()
    yield outcomes[0]["rebalance_id"]
    # Its followers would otherwise belong to this model in other tests.
    world.http.delete(f"/api/v1/model/{model['model_id']}", params={"version": model["version"]})


async def test_a_long_list_keeps_few_rows_and_shows_its_last(
    page: Page, world: World, rebalance_id: str
) -> None:
    path = f"/api/v1/rebalance/{rebalance_id}/outcomes"
    total = world.market.portfolios
    (last,) = world.read(f"{path}?limit=1&offset={total - 1}")
    await page.goto(f"/console/rebalance/{rebalance_id}")
    table = page.get_by_role("table", name="Outcomes")
    await expect(table).to_have_attribute("aria-rowcount", str(total + 1))
    assert await table.get_by_role("row").count() < 80

    region = page.get_by_role("region", name="Outcomes")
    await region.evaluate("element => element.scrollTo(0, element.scrollHeight)")

    await expect(table.locator(f"[title='{last['portfolio_id']}']")).to_be_visible()
    assert await table.get_by_role("row").count() < 80


async def test_keys_walk_beyond_the_rows_in_view(
    page: Page, world: World, rebalance_id: str
) -> None:
    path = f"/api/v1/rebalance/{rebalance_id}/outcomes"
    (fortieth,) = world.read(f"{path}?limit=1&offset=39")
    await page.goto(f"/console/rebalance/{rebalance_id}")
    await expect(
        page.get_by_role("table", name="Outcomes").get_by_role("link").first
    ).to_be_visible()

    for _ in range(40):
        await page.keyboard.press("j")
    current = page.locator(".row.current")
    await expect(current.get_by_role("link")).to_have_attribute("title", fortieth["portfolio_id"])
    await expect(current).to_be_in_viewport()
    await page.keyboard.press("Enter")

    target = f"/console/rebalance/{rebalance_id}/portfolio/{fortieth['portfolio_id']}"
    await expect(page).to_have_url(target)


async def test_a_list_of_a_hundred_thousand_keeps_a_small_document(
    page: Page, world: World, rebalance_id: str
) -> None:
    total = 100_000
    (line,) = world.read(f"/api/v1/rebalance/{rebalance_id}/outcomes?limit=1")

    async def answer(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        first, limit = int(query.get("offset", ["0"])[0]), int(query["limit"][0])
        places = range(first, min(first + limit, total))
        rows = [{**line, "portfolio_id": f"{place:024x}"} for place in places]
        await route.fulfill(json=rows, headers={"X-Total-Count": str(total)})

    await page.route("**/outcomes?*", answer)
    await page.goto(f"/console/rebalance/{rebalance_id}")
    table = page.get_by_role("table", name="Outcomes")
    await expect(table).to_have_attribute("aria-rowcount", str(total + 1))
    await expect(table.get_by_text(f"{0:024x}")).to_be_visible()
    assert await page.evaluate("document.querySelectorAll('*').length") < 1_500

    await page.get_by_role("region", name="Outcomes").evaluate(
        "element => element.scrollTo(0, element.scrollHeight)"
    )
    await expect(table.get_by_text(f"{total - 1:024x}")).to_be_visible()
    assert await page.evaluate("document.querySelectorAll('*').length") < 1_500
