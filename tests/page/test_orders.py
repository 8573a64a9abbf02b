"""Orders: a question with exact amounts, their way to the order service, and the audit log."""

from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.conftest import Desk, World, open_context
from tests.page.test_portfolio import money


@pytest.fixture
def rebalance(world: World) -> dict[str, Any]:
    """A rebalance of one portfolio, none of whose orders is sent."""
    portfolio_id = world.models[1]["portfolios"][0]
    answer = world.http.post(f"/api/v1/portfolio/{portfolio_id}/rebalance")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_orders_are_sent_after_a_question_that_names_number_and_amount(
    page: Page, world: World, rebalance: dict[str, Any]
) -> None:
    path = f"/rebalance/{rebalance['rebalance_id']}"
    lines = world.read(f"/api/v1{path}/transactions")
    await page.goto(f"/console{path}/orders")

    await page.get_by_role("button", name="Send orders").click()
    question = page.get_by_role("dialog")
    for side in ("BUY", "SELL"):
        amounts = [Decimal(str(x["amount"])) for x in lines if x["transaction_type"] == side]
        words = f"{len(amounts)} {side} of {money(str(sum(amounts, Decimal())))}"
        await expect(question).to_contain_text(words)
    assert world.read(f"/api/v1{path}/orders")["counts"].get("SENT", 0) == 0
    await question.get_by_role("button", name="Send the orders").click()

    rows = page.get_by_role("table", name="Orders").get_by_role("row")
    await expect(rows).to_have_count(len(lines) + 1)
    assert world.read(f"/api/v1{path}/orders")["counts"]["SENT"] == len(lines)
    await page.get_by_role("button", name="Columns of Orders").click()
    await page.get_by_role("checkbox", name="Message").uncheck()
    heads = page.get_by_role("table", name="Orders").get_by_role("columnheader")
    await expect(heads.get_by_text("Quantity")).to_be_visible()
    await expect(heads.get_by_text("Message")).to_have_count(0)


async def test_a_refusal_is_shown_with_its_remedy(
    page: Page, world: World, rebalance: dict[str, Any]
) -> None:
    path = f"/rebalance/{rebalance['rebalance_id']}"
    await page.goto(f"/console{path}/orders")
    await page.get_by_role("button", name="Send orders").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    newer = world.http.post(f"/api/v1/portfolio/{rebalance['portfolio_id']}/rebalance").json()
    answer = world.http.post(f"/api/v1/rebalance/{newer['rebalance_id']}/orders")
    assert answer.status_code in {200, 207, 409}, answer.text

    await page.get_by_role("dialog").get_by_role("button", name="Send the orders").click()

    problem = page.get_by_role("dialog").get_by_role("alert")
    await expect(problem.get_by_role("link", name="What to do")).to_be_visible()


async def test_the_history_lists_the_newest_change_first_and_filters(
    page: Page, world: World
) -> None:
    entries = world.read("/api/v1/audit?limit=1000&sort_by=-seq")
    await page.goto("/console/history")
    first = page.get_by_role("table", name="History").get_by_role("row").nth(1)
    await expect(first).to_be_visible()

    await page.get_by_label("Kind").fill("model")
    await page.get_by_label("Kind").press("Enter")

    count = sum(entry["object_type"] == "model" for entry in entries)
    await expect(page.locator(".head .muted")).to_have_text(f"{count} entries")
    assert "object_type=model" in page.url


async def test_the_system_page_names_each_part_with_its_state(page: Page, world: World) -> None:
    checks = world.read("/health")["checks"]
    await page.goto("/console/system")

    rows = page.get_by_role("table", name="Parts").locator("tbody tr")
    await expect(rows).to_have_count(len(checks))
    for part, state in checks.items():
        row = rows.filter(has=page.get_by_role("rowheader", name=part))
        await expect(row.locator(".status").first).to_have_text(state)


async def test_the_system_page_has_the_settings_for_those_who_may_read_them(
    browser: Browser, desk: Desk
) -> None:
    async with (
        open_context(browser, desk.url) as of_admin,
        open_context(browser, desk.url) as of_vera,
    ):
        admin = await desk.sign_in(of_admin, "admin")
        await admin.goto("/console/system")
        settings = desk.read("system")["settings"]
        rows = admin.get_by_role("table", name="Settings").locator("tbody tr")
        await expect(rows).to_have_count(len(settings))
        row = rows.filter(has=admin.get_by_role("rowheader", name="REQUIRE_APPROVALS", exact=True))
        await expect(row.locator("td")).to_have_text(str(settings["REQUIRE_APPROVALS"]))
        await expect(admin.locator(".facts")).to_contain_text(desk.read("system")["version"])

        vera = await desk.sign_in(of_vera, "vera")
        await vera.goto("/console/system")
        await expect(vera.get_by_role("table", name="Parts")).to_be_visible()
        await expect(vera.get_by_role("table", name="Settings")).to_have_count(0)
