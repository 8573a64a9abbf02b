"""The outcomes of a rebalance: counts of the service, filters in the address, causes."""

from typing import Any

from playwright.async_api import Page, expect

from tests.page.conftest import World


def tight_rebalance(world: World) -> dict[str, Any]:
    """Read the rebalance of the model whose bands are too narrow for many portfolios."""
    all_of = [
        world.read(f"/api/v1/rebalance/{rebalance_id}/summary")
        for rebalance_id in world.run["rebalances"]
    ]
    return max(all_of, key=lambda summary: summary["counts"].get("INFEASIBLE", 0))


async def test_a_count_leads_to_as_many_outcomes(page: Page, world: World) -> None:
    rebalance = tight_rebalance(world)
    await page.goto(f"/console/rebalance/{rebalance['rebalance_id']}")

    await page.get_by_role("link", name="INFEASIBLE").click()

    count = rebalance["counts"]["INFEASIBLE"]
    rows = page.get_by_role("table", name="Outcomes").get_by_role("row")
    await expect(rows).to_have_count(count + 1)
    assert "status=INFEASIBLE" in page.url
    await page.reload()
    await expect(rows).to_have_count(count + 1)


async def test_a_column_sorts_all_outcomes_and_not_those_in_view(page: Page, world: World) -> None:
    rebalance_id = tight_rebalance(world)["rebalance_id"]
    await page.goto(f"/console/rebalance/{rebalance_id}")

    await page.get_by_role("button", name="Market value").click()

    path = f"/api/v1/rebalance/{rebalance_id}/outcomes?sort_by=-market_value&limit=1"
    (largest,) = world.read(path)
    link = page.get_by_role("table", name="Outcomes").get_by_role("link").first
    await expect(link).to_have_attribute("title", largest["portfolio_id"])


async def test_causes_have_the_counts_of_the_service_and_tickers(page: Page, world: World) -> None:
    rebalance_id = tight_rebalance(world)["rebalance_id"]
    (first, *_) = world.read(f"/api/v1/rebalance/{rebalance_id}/causes")["causes"]
    await page.goto(f"/console/rebalance/{rebalance_id}")

    line = page.locator(".causes li").first
    await expect(line.locator("b")).to_have_text(str(first["portfolios"]))
    ticker = world.upstreams.tickers[first["subject"]]
    await expect(line.get_by_role("button")).to_have_text(ticker)


async def test_trades_are_saved_as_a_file(page: Page, world: World) -> None:
    await page.goto(f"/console/rebalance/{world.run['rebalances'][0]}")

    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Trades as CSV").click()

    text = (await (await waiting.value).path()).read_text()
    assert text.startswith("rebalance_id,portfolio_id,security_id,transaction_type,quantity")
