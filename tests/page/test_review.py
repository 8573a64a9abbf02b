"""The review of a rebalance: two people from proposal to orders, holds, rules, staleness."""

import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.page.conftest import SHAPES, Desk, open_context, post
from tests.page.test_portfolio import money
from tests.page.test_rules_of_pages import find_violations


async def open_review(desk: Desk, context: BrowserContext, name: str, rebalance_id: str) -> Page:
    page = await desk.sign_in(context, name)
    await page.goto(f"/console/review/{rebalance_id}")
    await expect(page.get_by_role("table", name="Portfolios that trade")).to_be_visible()
    return page


async def ask(page: Page, verb: str) -> Locator:
    """Press a button of the page, and return the dialog that it opens."""
    await page.get_by_role("main").get_by_role("button", name=verb, exact=True).first.click()
    question = page.get_by_role("dialog")
    await expect(question).to_be_visible()
    return question


def words_of(lines: list[dict[str, Any]], side: str) -> str:
    amounts = [Decimal(str(line["amount"])) for line in lines if line["transaction_type"] == side]
    return f"{len(amounts)} {side} of {money(str(sum(amounts, Decimal())))}"


def status(page: Page) -> Locator:
    return page.locator(".head .status")


async def test_two_people_lead_a_rebalance_to_its_orders(browser: Browser, desk: Desk) -> None:
    rebalance_id = desk.rebalance(desk.models[0]["portfolios"][0])
    lines = desk.read(f"rebalance/{rebalance_id}/transactions")
    async with (
        open_context(browser, desk.url) as of_tom,
        open_context(browser, desk.url) as of_anna,
    ):
        tom = await open_review(desk, of_tom, "tom", rebalance_id)
        question = await ask(tom, "Propose")
        await question.get_by_label("Note").fill("quarter end")
        await question.get_by_role("button", name="Propose").click()
        await expect(status(tom)).to_have_text("PROPOSED")

        question = await ask(tom, "Approve")
        await question.get_by_role("button", name="Approve").click()
        await expect(question.get_by_role("alert")).to_contain_text(
            "tom proposed the orders, and cannot"
        )
        await question.get_by_role("button", name="Keep it as it is").click()

        anna = await desk.sign_in(of_anna, "anna")
        await anna.get_by_role("link", name="wait for approval").click()
        await anna.locator(f"a[href$='{rebalance_id}']").click()
        await expect(anna.locator(".facts")).to_contain_text("quarter end")
        question = await ask(anna, "Approve")
        for side in ("BUY", "SELL"):
            await expect(question).to_contain_text(words_of(lines, side))
        await question.get_by_role("button", name="Approve").click()
        await expect(status(anna)).to_have_text("APPROVED")
        await expect(anna.get_by_role("button", name="Send orders")).to_be_disabled()

        await tom.reload()
        question = await ask(tom, "Send orders")
        for side in ("BUY", "SELL"):
            await expect(question).to_contain_text(words_of(lines, side))
        assert desk.read(f"rebalance/{rebalance_id}/orders")["counts"].get("SENT", 0) == 0
        await question.get_by_role("button", name="Send the orders").click()
        await expect(status(tom)).to_have_text("ORDERED")

    assert desk.read(f"rebalance/{rebalance_id}/orders")["counts"]["SENT"] == len(lines)


async def hold_one(page: Page, row: Locator, note: str) -> None:
    """Hold a portfolio that is selected, with a note, and wait until it says so."""
    await row.get_by_role("checkbox").check()
    question = await ask(page, "Hold 1 selected")
    await question.get_by_label("Note").fill(note)
    await question.get_by_role("button", name="Hold", exact=True).click()
    await expect(row).to_contain_text(f"held by anna: {note}")


async def test_what_is_held_is_not_approved_until_it_is_released(
    browser: Browser, desk: Desk
) -> None:
    rebalance_id = desk.propose(desk.models[1])
    lines = desk.read(f"rebalance/{rebalance_id}/transactions")
    trading = desk.read(f"rebalance/{rebalance_id}/outcomes", status="REBALANCED")
    whole, part = (outcome["portfolio_id"] for outcome in trading[:2])
    async with open_context(browser, desk.url) as context:
        page = await open_review(desk, context, "anna", rebalance_id)
        rows = page.get_by_role("table", name="Portfolios that trade").locator(".body .row")
        await expect(rows).to_have_count(len(trading))

        await hold_one(page, rows.first, "the client asked for it")

        await rows.nth(1).get_by_role("link").click()
        trades = page.get_by_role("table", name="Trades")
        await trades.get_by_role("button").filter(has_text="Hold").first.click()
        await page.get_by_role("dialog").get_by_role("button", name="Hold", exact=True).click()
        await expect(rows.nth(1)).to_contain_text("1 trades held")
        proposal_id = desk.proposal(rebalance_id)["proposal_id"]
        holds = desk.read(f"proposal/{proposal_id}/holds")
        (trade,) = (line["security_id"] for line in holds if line["portfolio_id"] == part)

        question = await ask(page, "Approve")
        orders = [
            line
            for line in lines
            if line["portfolio_id"] != whole
            and (line["portfolio_id"], line["security_id"]) != (part, trade)
        ]
        await expect(question).to_contain_text(words_of(orders, "BUY"))
        await expect(question).to_contain_text(f"({len(lines) - len(orders)} trades are held)")
        await question.get_by_role("button", name="Keep it as it is").click()

        await rows.first.get_by_role("checkbox").check()
        question = await ask(page, "Release")
        await question.get_by_role("button", name="Release").click()
        await expect(rows.first).not_to_contain_text("held by")

    assert [hold["portfolio_id"] for hold in desk.read(f"proposal/{proposal_id}/holds")] == [part]


async def test_filters_and_order_are_in_the_address_and_all_that_match_are_held_at_once(
    browser: Browser, desk: Desk
) -> None:
    rebalance_id = desk.propose(desk.models[1])
    path = f"rebalance/{rebalance_id}/outcomes"
    by_value = desk.read(path, status="REBALANCED", sort_by="-market_value")
    async with open_context(browser, desk.url) as context:
        page = await open_review(desk, context, "anna", rebalance_id)
        table = page.get_by_role("table", name="Portfolios that trade")
        await table.get_by_role("button", name="Market value").click()
        await expect(page).to_have_url(re.compile("sort_by=-market_value"))
        links = table.locator(".body .row a")
        await expect(links.first).to_have_attribute("title", by_value[0]["portfolio_id"])

        boxes = table.get_by_role("checkbox")
        await boxes.first.check()
        await boxes.nth(2).click(modifiers=["Shift"])
        selection = page.locator(".chosen")
        three = sum(Decimal(outcome["turnover"]) for outcome in by_value[:3])
        await expect(selection).to_contain_text(f"3 selected, turnover {money(str(three))}")
        await page.get_by_role("button", name=f"Select all {len(by_value)}").click()
        whole = sum(Decimal(outcome["turnover"]) for outcome in by_value)
        await expect(selection.locator("span").first).to_have_attribute("title", str(whole))
        await page.keyboard.press("h")
        question = page.get_by_role("dialog")
        await expect(question).to_contain_text(f"Hold {len(by_value)} portfolios?")
        await question.get_by_role("button", name="Hold", exact=True).click()
        await expect(table.get_by_text("held by anna")).to_have_count(len(by_value))

        last = by_value[-1]["portfolio_id"]
        await page.get_by_label("Portfolio id").fill(last)
        await page.get_by_label("Portfolio id").press("Enter")
        await expect(links).to_have_count(1)
        await page.reload()
        await expect(links).to_have_count(1)
        await expect(links.first).to_have_attribute("title", last)


async def test_a_rejection_gives_its_reason_and_the_orders_may_be_proposed_again(
    browser: Browser, desk: Desk
) -> None:
    rebalance_id = desk.propose(desk.models[1])
    async with open_context(browser, desk.url) as context:
        page = await open_review(desk, context, "anna", rebalance_id)
        question = await ask(page, "Reject")
        verb = question.get_by_role("button", name="Reject")
        await expect(verb).to_be_disabled()
        await question.get_by_label("Reason").fill("too much of one name")
        await verb.click()

        await expect(status(page)).to_have_text("REJECTED")
        await expect(page.get_by_role("main")).to_contain_text("too much of one name")
        again = page.get_by_role("button", name="Propose again")
        await expect(again).to_have_attribute(
            "title", "needs the permission rebalances:start, which you do not have"
        )


async def test_a_plan_that_breaks_a_rule_is_approved_after_somebody_else_overrode_it(
    browser: Browser, desk: Desk
) -> None:
    rule = {"name": "No turnover", "kind": "TURNOVER_MOST", "severity": "BLOCK", "amount": "0.01"}
    portfolio_id = desk.models[0]["portfolios"][1]
    post(desk.http, "rules", {**rule, "portfolios": [portfolio_id]})
    rebalance_id = desk.rebalance(portfolio_id)
    async with open_context(browser, desk.url) as of_tom:
        tom = await open_review(desk, of_tom, "tom", rebalance_id)
        row = tom.get_by_role("table", name="Portfolios that trade").locator(".body .row")
        await expect(row).to_contain_text("BLOCK")
        await expect(row).to_contain_text("No turnover")
        question = await ask(tom, "Propose")
        await question.get_by_role("button", name="Propose").click()
        await expect(status(tom)).to_have_text("PROPOSED")
    async with (
        open_context(browser, desk.url) as of_anna,
        open_context(browser, desk.url) as of_ben,
    ):
        anna = await open_review(desk, of_anna, "anna", rebalance_id)
        question = await ask(anna, "Approve")
        await question.get_by_role("button", name="Approve").click()
        await expect(question.get_by_role("alert")).to_contain_text("No turnover")
        await question.get_by_role("button", name="Keep it as it is").click()
        await expect(anna.get_by_role("heading", name="Plans that break rules")).to_be_visible()
        question = await ask(anna, "Override rules")
        await question.get_by_label("Reason").fill("the client moves out")
        await question.get_by_role("button", name="Override rules").click()
        await expect(anna.get_by_text("Rules overridden by anna")).to_be_visible()

        ben = await open_review(desk, of_ben, "ben", rebalance_id)
        question = await ask(ben, "Approve")
        await question.get_by_role("button", name="Approve").click()
        await expect(status(ben)).to_have_text("APPROVED")


async def test_a_stale_proposal_says_what_has_moved_and_may_be_proposed_again(
    browser: Browser, desk: Desk
) -> None:
    model = desk.models[2]
    rebalance_id = desk.propose(model)
    changed = {name: model[name] for name in ("name", "positions", "portfolios", "version")}
    changed["name"] = "Another name"
    desk.http.put(f"/api/v1/model/{model['model_id']}", json=changed).raise_for_status()
    async with open_context(browser, desk.url) as context:
        page = await open_review(desk, context, "anna", rebalance_id)
        question = await ask(page, "Approve")
        await question.get_by_role("button", name="Approve").click()
        await expect(status(page)).to_have_text("STALE")

        ending = desk.proposal(rebalance_id)["ending"]
        await expect(page.get_by_role("main")).to_contain_text(ending["reason"])
        await expect(page.get_by_role("main")).to_contain_text("Rebalance again and propose that")
        await expect(page.get_by_role("button", name="Propose again")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shape", ["wide", "narrow"])
async def test_a_review_breaks_no_rule_of_accessibility(
    browser: Browser, desk: Desk, scheme: str, shape: str
) -> None:
    portfolio_id = desk.models[0]["portfolios"][2]
    rebalance_id = desk.rebalance(portfolio_id)
    async with open_context(browser, desk.url, shape, color_scheme=scheme) as context:
        page = await open_review(desk, context, "tom", rebalance_id)
        question = await ask(page, "Propose")
        await question.get_by_role("button", name="Propose").click()
        await expect(status(page)).to_have_text("PROPOSED")
        await page.goto(f"/console/review/{rebalance_id}?portfolio={portfolio_id}")
        await expect(page.get_by_role("table", name="Trades")).to_be_visible()
        await expect(page.locator(".skeleton")).to_have_count(0)

        assert await find_violations(page) == []
        widest = SHAPES[shape]["width"]
        assert await page.evaluate("document.documentElement.scrollWidth") <= widest
        await ask(page, "Reject")
        assert await find_violations(page) == []


async def test_figures_that_cannot_be_read_are_a_problem_and_no_question(
    browser: Browser, desk: Desk
) -> None:
    rebalance_id = desk.propose(desk.models[1])
    async with open_context(browser, desk.url) as context:
        page = await open_review(desk, context, "anna", rebalance_id)
        await context.route("**/transactions/totals", lambda route: route.abort())
        await page.get_by_role("button", name="Approve").click()

        await expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        await expect(page.get_by_role("dialog")).to_have_count(0)
