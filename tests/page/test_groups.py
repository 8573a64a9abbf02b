"""Rows in groups: counted by the service, opened and closed, in a document that stays small."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Locator, Page, Route, expect

from tests.page.conftest import World, open_context
from tests.page.test_portfolio import find_outcome
from tests.page.test_rules_of_pages import find_violations

HUNDRED_THOUSAND = {"REBALANCED": 60_000, "IN_BAND": 0, "NO_TRADE": 0, "INFEASIBLE": 40_000}


async def group(page: Page, label: str, by: str) -> Locator:
    """Group a table in its menu, and return its table."""
    await page.get_by_role("button", name=f"Columns of {label}").click()
    await page.get_by_role("button", name=f"Group by {by}").click()
    return page.get_by_role("table", name=label, exact=True)


def heads(table: Locator) -> Locator:
    return table.locator(".row.group button")


def words_of(counts: Mapping[str, int]) -> list[re.Pattern[str]]:
    return [re.compile(rf"^. {name} {number:,}$") for name, number in counts.items() if number]


def count_trades(world: World, rebalance_id: str, side: str) -> int:
    path = f"/api/v1/rebalance/{rebalance_id}/trades"
    answer = world.http.get(path, params={"side": side, "limit": 1})
    return int(answer.headers["X-Total-Count"])


async def test_the_book_by_status_has_the_counts_of_the_service_and_closes_by_keyboard(
    page: Page, world: World
) -> None:
    counts = world.measure_book()["counts"]
    order = {status: counts.get(status, 0) for status in ("OUT_OF_BAND", "WITHIN_BANDS", "FAILED")}
    await page.goto("/console/book")

    book = await group(page, "Portfolios", "Status")

    await expect(heads(book).first).to_have_text(words_of(order)[0])
    lines = sum(order.values()) + sum(1 for number in order.values() if number)
    await expect(book).to_have_attribute("aria-rowcount", str(lines + 1))
    assert await find_violations(page) == []
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(heads(book).first).to_have_attribute("aria-expanded", "false")
    await expect(book).to_have_attribute("aria-rowcount", str(lines - order["OUT_OF_BAND"] + 1))
    await expect(heads(book)).to_have_text(words_of(order)[: await heads(book).count()])
    await expect(book.get_by_text("OUT_OF_BAND")).to_have_count(1)
    link = page.url
    assert link.endswith("?group.book=status")
    await page.goto("/console/book")
    await expect(page).to_have_url(link)
    await expect(heads(book).first).to_have_attribute("aria-expanded", "true")


async def test_a_filter_leaves_its_own_group_alone(page: Page) -> None:
    await page.goto("/console/book?group.book=status&status=WITHIN_BANDS")
    book = page.get_by_role("table", name="Portfolios")

    await expect(heads(book)).to_have_count(1)
    await expect(heads(book)).to_contain_text("WITHIN_BANDS")
    statuses = await book.locator(".status").all_inner_texts()
    assert "OUT_OF_BAND" not in statuses


async def test_the_book_by_model_names_the_models(page: Page, world: World) -> None:
    await page.goto("/console/book")
    followers = len(world.models[0]["portfolios"])

    book = await group(page, "Portfolios", "Model")

    words = re.compile(rf"{world.models[0]['name']} {followers}$")
    await expect(heads(book).filter(has_text=words).first).to_be_visible()


async def test_trades_stand_under_their_side(page: Page, world: World) -> None:
    rebalance_id = find_outcome(world, "REBALANCED")["rebalance_id"]
    sides = {side: count_trades(world, rebalance_id, side) for side in ("BUY", "SELL")}
    await page.goto(f"/console/review/{rebalance_id}?rows=trades")

    trades = await group(page, "All trades", "Side")

    await expect(heads(trades).first).to_have_text(words_of(sides)[0])
    await expect(trades.locator("[data-row='1'] [data-head='Side']")).to_have_text("BUY")
    await heads(trades).first.click()
    await expect(heads(trades)).to_have_text(words_of(sides))
    await expect(trades.locator("[data-row='2'] [data-head='Side']")).to_have_text("SELL")


async def answer_of_many(line: dict[str, Any], route: Route) -> None:
    """Answer with a page of a hundred thousand outcomes that are like one of them."""
    query = parse_qs(urlsplit(route.request.url).query)
    first, limit = int(query.get("offset", ["0"])[0]), int(query["limit"][0])
    (status,) = query.get("status", ["any"])
    total = HUNDRED_THOUSAND.get(status, 0) if status != "any" else 100_000
    rows: list[dict[str, Any]] = [
        {**line, "status": status, "portfolio_id": f"{status[:4]}{place:020}"}
        for place in range(first, min(first + limit, total))
    ]
    await route.fulfill(json=rows, headers={"X-Total-Count": str(total)})


@pytest.mark.parametrize("shape", ["wide", "narrow"])
async def test_groups_of_a_hundred_thousand_rows_keep_a_small_document(
    browser: Browser, world: World, shape: str
) -> None:
    rebalance_id = find_outcome(world, "REBALANCED")["rebalance_id"]
    (line,) = world.read(f"/api/v1/rebalance/{rebalance_id}/outcomes?limit=1")

    async with open_context(browser, world.url, shape) as context:
        page = await context.new_page()
        await page.route("**/outcomes?*", partial(answer_of_many, line))
        await page.goto(f"/console/rebalance/{rebalance_id}?group.outcomes=status")
        table = page.get_by_role("table", name="Outcomes")
        await expect(heads(table)).to_have_text(words_of({"REBALANCED": 60_000}))
        await expect(table.get_by_text(f"REBA{0:020}")).to_be_visible()

        region = page.get_by_role("region", name="Outcomes")
        await region.evaluate("element => element.scrollTo(0, element.scrollHeight)")
        await expect(table.get_by_text(f"INFE{39_999:020}")).to_be_visible()
        assert await page.evaluate("document.querySelectorAll('*').length") < 1_500

        await region.evaluate("element => element.scrollTo(0, 0)")
        await heads(table).first.click()
        await expect(heads(table)).to_have_text(words_of(HUNDRED_THOUSAND))
        assert {
            round((await row.bounding_box() or {})["height"])
            for row in await table.locator(".row.group").all()
        } == {32}
        await expect(table.get_by_text(f"INFE{0:020}")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= (
            390 if shape == "narrow" else 1440
        )
        assert await find_violations(page) == []
