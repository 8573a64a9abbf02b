"""The review with one row per trade: filters of the service, sums, holds of single trades."""

import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.page.conftest import SHAPES, Desk, open_context
from tests.page.test_portfolio import money
from tests.page.test_review import open_review, words_of
from tests.page.test_rules_of_pages import find_violations


async def open_trades(desk: Desk, context: BrowserContext, rebalance_id: str) -> Page:
    page = await open_review(desk, context, "anna", rebalance_id)
    await page.keyboard.press("t")
    await expect(page).to_have_url(re.compile("rows=trades"))
    await expect(rows_of(page).first).to_be_visible()
    return page


def rows_of(page: Page) -> Locator:
    return page.get_by_role("table", name="All trades").locator(".body .row")


def count_of(page: Page) -> Locator:
    return page.get_by_role("heading", name="All trades").locator("xpath=following-sibling::span")


def read_trades(desk: Desk, rebalance_id: str, **query: str) -> list[dict[str, Any]]:
    return desk.read(f"rebalance/{rebalance_id}/trades", limit="1000", **query)


async def test_filters_are_in_the_address_and_the_sums_are_those_of_what_matches(
    browser: Browser, desk: Desk
) -> None:
    rebalance_id = desk.propose(desk.models[1])
    every = read_trades(desk, rebalance_id)
    amounts = sorted((Decimal(trade["trade_amount"]) for trade in every), reverse=True)
    middle = amounts[len(amounts) // 2]
    large = [trade for trade in every if Decimal(trade["trade_amount"]) >= middle]
    large_sales = [trade for trade in large if trade["transaction_type"] == "SELL"]
    async with open_context(browser, desk.url) as context:
        page = await open_trades(desk, context, rebalance_id)
        await expect(count_of(page)).to_have_text(f"{len(every):,}")
        await page.get_by_label("Amount from").fill(f"{middle:,}")
        await page.get_by_label("Amount from").press("Enter")
        await expect(count_of(page)).to_have_text(f"{len(large):,}")
        await page.get_by_label("Side").select_option("SELL")
        await expect(count_of(page)).to_have_text(f"{len(large_sales):,}")
        sold = [{**trade, "amount": trade["trade_amount"]} for trade in large_sales]
        await expect(page.get_by_text(words_of(sold, "SELL"))).to_be_visible()
        await page.get_by_role("button", name="Amount").click()
        await expect(page).to_have_url(re.compile("sort_by=-amount"))
        largest = max(Decimal(trade["trade_amount"]) for trade in large_sales)
        await expect(rows_of(page).first).to_contain_text(money(str(largest)))
        await page.reload()
        await expect(count_of(page)).to_have_text(f"{len(large_sales):,}")

        await page.get_by_role("button", name="Show all").click()
        await expect(count_of(page)).to_have_text(f"{len(every):,}")
        security_id = every[0]["security_id"]
        await page.get_by_label("Ticker").fill(desk.upstreams.tickers[security_id].lower())
        await page.get_by_label("Ticker").press("Enter")
        of_ticker = [trade for trade in every if trade["security_id"] == security_id]
        await expect(count_of(page)).to_have_text(f"{len(of_ticker):,}")
        await page.get_by_role("button", name="Show all").click()
        await page.get_by_label("Drift from, pp").fill("1.5")
        await page.get_by_label("Drift from, pp").press("Enter")
        await expect(page).to_have_url(re.compile("min_drift=0.015"))
        far = read_trades(desk, rebalance_id, min_drift="0.015")
        await expect(count_of(page)).to_have_text(f"{len(far):,}")


async def test_single_trades_are_held_with_a_note_found_by_that_and_released(
    browser: Browser, desk: Desk
) -> None:
    rebalance_id = desk.propose(desk.models[1])
    every = read_trades(desk, rebalance_id)
    async with open_context(browser, desk.url) as context:
        page = await open_trades(desk, context, rebalance_id)
        for _ in range(2):
            await page.keyboard.press("j")
            await page.keyboard.press("x")
        two = sum(Decimal(trade["trade_amount"]) for trade in every[:2])
        selection = page.get_by_text(f"2 selected, amount {money(str(two))}")
        await expect(selection).to_have_attribute("title", str(two))
        await page.keyboard.press("h")
        question = page.get_by_role("dialog")
        await expect(question).to_contain_text("Hold 2 trades?")
        await question.get_by_label("Note").fill("too much at once")
        await question.get_by_role("button", name="Hold", exact=True).click()
        await expect(page.get_by_text("held by anna: too much at once")).to_have_count(2)
        await expect(page.get_by_text(f"2 held of {money(str(two))}")).to_be_visible()

        await page.get_by_label("Approval").select_option("HELD")
        await expect(count_of(page)).to_have_text("2")
        await rows_of(page).first.get_by_role("checkbox").check()
        await page.get_by_role("button", name="Release").click()
        await question.get_by_role("button", name="Release").click()
        await expect(count_of(page)).to_have_text("1")
        await page.get_by_label("Approval").select_option("OPEN")
        await expect(count_of(page)).to_have_text(f"{len(every):,}")

    proposal_id = desk.proposal(rebalance_id)["proposal_id"]
    (hold,) = desk.read(f"proposal/{proposal_id}/holds")
    assert (hold["security_id"], hold["note"]) == (every[1]["security_id"], "too much at once")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shape", ["wide", "narrow"])
async def test_the_list_of_trades_breaks_no_rule_of_accessibility(
    browser: Browser, desk: Desk, scheme: str, shape: str
) -> None:
    rebalance_id = desk.propose(desk.models[2])
    async with open_context(browser, desk.url, shape, color_scheme=scheme) as context:
        page = await open_trades(desk, context, rebalance_id)
        await expect(page.locator(".skeleton")).to_have_count(0)

        assert await find_violations(page) == []
        widest = SHAPES[shape]["width"]
        assert await page.evaluate("document.documentElement.scrollWidth") <= widest


async def test_a_bound_that_is_no_number_is_a_problem_that_names_it(
    browser: Browser, desk: Desk
) -> None:
    rebalance_id = desk.propose(desk.models[1])
    async with open_context(browser, desk.url) as context:
        page = await open_trades(desk, context, rebalance_id)
        await page.get_by_label("Amount from").fill("many")
        await page.get_by_label("Amount from").press("Enter")

        await expect(page.get_by_role("alert").first).to_contain_text("min_amount")
