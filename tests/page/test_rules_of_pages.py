"""Rules of every page: WCAG 2.2 AA, the security policy, no other host, no sideways scrolling."""

from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.page.conftest import World, open_context
from tests.page.test_portfolio import find_outcome

WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PAGES: Final = {
    "today": "/console",
    "runs": "/console/runs",
    "run": "/console/runs/{run}",
    "rebalance": "/console/rebalance/{rebalance}?status=REBALANCED",
    "plan": "/console/rebalance/{rebalance}/portfolio/{rebalanced}",
    "models": "/console/models",
    "model": "/console/model/{model}",
    "followers": "/console/model/{model}?tab=followers",
    "versions": "/console/model/{model}?tab=history",
    "reviews": "/console/review",
    "review": "/console/review/{rebalance}?portfolio={rebalanced}",
    "orders": "/console/orders",
    "book": "/console/book?status=OUT_OF_BAND&portfolio={rebalanced}",
    "orders of a rebalance": "/console/rebalance/{rebalance}/orders",
    "upload": "/console/upload",
    "history": "/console/history",
    "system": "/console/system",
    "no plan": "/console/rebalance/{tight}/portfolio/{infeasible}?view=distance",
}


def address(name: str, world: World) -> str:
    planned, planless = find_outcome(world, "REBALANCED"), find_outcome(world, "INFEASIBLE")
    return PAGES[name].format(
        run=world.run["run_id"],
        model=world.models[0]["model_id"],
        rebalance=planned["rebalance_id"],
        rebalanced=planned["portfolio_id"],
        tight=planless["rebalance_id"],
        infeasible=planless["portfolio_id"],
    )


async def find_violations(page: Page) -> list[dict[str, Any]]:
    results = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    return [
        {"id": violation["id"], "nodes": [node["html"][:200] for node in violation["nodes"]]}
        for violation in results.response["violations"]
    ]


async def load(page: Page, path: str) -> None:
    await page.goto(path)
    await expect(page.locator("h1")).to_be_visible()
    await expect(page.locator(".skeleton")).to_have_count(0)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_page_breaks_no_rule_of_accessibility(
    browser: Browser, world: World, name: str, scheme: str
) -> None:
    async with open_context(browser, world.url, color_scheme=scheme) as context:
        page = await context.new_page()
        await load(page, address(name, world))

        assert await find_violations(page) == []


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_fits_a_telephone(narrow_page: Page, world: World, name: str) -> None:
    await load(narrow_page, address(name, world))

    assert await narrow_page.evaluate("document.documentElement.scrollWidth") <= 390
    assert await find_violations(narrow_page) == []


async def test_the_page_comes_with_the_strict_policy_and_is_asked_for_each_time(
    world: World,
) -> None:
    index = world.http.get("/console/runs/any/path")

    policy = index.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(policy)
    assert not [rule for rule in policy if "unsafe" in rule]
    assert index.headers["cache-control"] == "no-cache"


async def test_every_file_that_the_index_names_is_there_and_never_changes(world: World) -> None:
    index = world.http.get("/console").text
    names = [part.partition('"')[0] for part in index.split('"/console/assets/')[1:]]

    assert len(names) == 3  # script, style, icon
    for name in names:
        answer = world.http.get(f"/console/assets/{name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert world.http.get("/console/assets/absent.js").status_code == 404
