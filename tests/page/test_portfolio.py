"""The page of a portfolio's outcome: exact figures, the picture, and remedies for no plan."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from tests.page.conftest import World

MINUS: Final = "\N{MINUS SIGN}"


def find_outcome(world: World, status: str) -> dict[str, Any]:
    """Read the first outcome of this status in the run."""
    for rebalance_id in world.run["rebalances"]:
        outcomes = world.read(f"/api/v1/rebalance/{rebalance_id}/outcomes?status={status}&limit=1")
        if outcomes:
            path = f"/api/v1/rebalance/{rebalance_id}/portfolio/{outcomes[0]['portfolio_id']}"
            return world.read(path)
    raise AssertionError(f"no outcome is {status}")


def address_of(outcome: dict[str, Any]) -> str:
    return f"/console/rebalance/{outcome['rebalance_id']}/portfolio/{outcome['portfolio_id']}"


def percent(text: str) -> str:
    value = (Decimal(text) * 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{value:,}".replace("-", MINUS)


def money(text: str) -> str:
    return f"{Decimal(text).quantize(Decimal('0.01'), ROUND_HALF_UP):,}".replace("-", MINUS)


async def cells_of(page: Page, ticker: str) -> dict[str, str]:
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name=ticker, exact=True))
    await expect(row).to_have_count(1)  # once the ticker is known
    return {
        str(await cell.get_attribute("data-head")): await cell.inner_text()
        for cell in await row.get_by_role("cell").all()
    }


async def test_every_position_has_the_figures_of_the_answer(page: Page, world: World) -> None:
    outcome = find_outcome(world, "REBALANCED")
    await page.goto(address_of(outcome))
    await expect(page.get_by_role("heading", name="Proof")).to_be_visible()

    for position in outcome["positions"]:
        cells = await cells_of(page, world.upstreams.tickers[position["security_id"]])
        assert cells["Before %"] == percent(position["original_weight"])
        assert cells["After %"] == percent(position["actual"])
        assert cells["Price"].replace(",", "") == position["price"]
        assert cells["Shares after"].replace(",", "") == position["adjusted_quantity"]
        assert cells["Side"] == (position["transaction_type"] or "")
        assert cells["Quantity"].replace(",", "") == (position["trade_quantity"] or "")
        assert cells["Amount"] == (money(position["trade_amount"]) if cells["Side"] else "")


async def test_amounts_of_both_sides_are_the_sums_of_their_trades(page: Page, world: World) -> None:
    outcome = find_outcome(world, "REBALANCED")
    await page.goto(address_of(outcome))

    facts = page.locator(".facts").first
    for side, word in (("SELL", "sells"), ("BUY", "buys")):
        traded = [
            position for position in outcome["positions"] if position["transaction_type"] == side
        ]
        total = sum((Decimal(position["trade_amount"]) for position in traded), Decimal())
        fact = facts.locator("div").filter(has=page.get_by_text(word, exact=True))
        await expect(fact.locator("dd")).to_have_text(money(str(total)))


@pytest.mark.parametrize("view", ["weight", "distance"])
async def test_marks_of_the_picture_lie_where_the_weights_are(
    page: Page, world: World, view: str
) -> None:
    outcome = find_outcome(world, "REBALANCED")
    await page.goto(f"{address_of(outcome)}?sort=target&view={view}")
    await expect(page.locator("svg.bands circle.after").first).to_be_visible()

    places = {
        name: [
            float(str(await mark.get_attribute("cx")))
            for mark in await page.locator(f"svg.bands circle.{name}").all()
        ]
        for name in ("before", "after")
    }
    positions = sorted(
        outcome["positions"], key=lambda position: Decimal(position["target_value"]), reverse=True
    )
    # Places of a linear scale: every mark lies on the line through two of them.
    weights = [value_of(position, "original", view) for position in positions]
    weights += [value_of(position, "adjusted", view) for position in positions]
    drawn = places["before"] + places["after"]
    low, high = weights.index(min(weights)), weights.index(max(weights))
    scale = (drawn[high] - drawn[low]) / float(weights[high] - weights[low])
    for place, weight in zip(drawn, weights, strict=True):
        assert abs(drawn[low] + scale * float(weight - weights[low]) - place) < 0.5


def value_of(position: dict[str, Any], name: str, view: str) -> Decimal:
    value = Decimal(position[f"{name}_position_market_value"])
    return value - Decimal(position["target_value"]) if view == "distance" else value


async def test_a_portfolio_without_a_plan_names_the_bands_and_the_way_out(
    page: Page, world: World
) -> None:
    outcome = find_outcome(world, "INFEASIBLE")
    culprits = outcome["problem"]["securities"]
    await page.goto(address_of(outcome))

    table = page.get_by_role("table", name="Securities without a whole lot in their band")
    await expect(table.get_by_role("row")).to_have_count(len(culprits) + 1)
    for culprit in culprits:
        ticker = world.upstreams.tickers[culprit["security_id"]]
        await expect(table.get_by_role("button", name=ticker, exact=True)).to_be_visible()
    await expect(page.locator("svg.bands circle.after")).to_have_count(0)
    await expect(page.locator("svg.bands circle.nearest").first).to_be_visible()


async def test_s_orders_the_positions_anew(page: Page, world: World) -> None:
    outcome = find_outcome(world, "REBALANCED")
    await page.goto(address_of(outcome))
    await expect(page.get_by_label("Order")).to_have_value("distance")

    await page.keyboard.press("s")

    await expect(page.get_by_label("Order")).to_have_value("target")
    most = max(outcome["positions"], key=lambda position: Decimal(position["target_value"]))
    first = page.get_by_role("row").nth(1).get_by_role("button")
    await expect(first).to_have_text(world.upstreams.tickers[most["security_id"]])


async def test_the_portfolios_of_the_list_that_it_was_opened_from_are_walked_by_keys(
    page: Page, world: World
) -> None:
    rebalance_id = world.run["rebalances"][0]
    outcomes = world.read(f"/api/v1/rebalance/{rebalance_id}/outcomes?limit=3")
    path = f"/console/rebalance/{rebalance_id}"
    addresses = [f"{path}/portfolio/{outcome['portfolio_id']}" for outcome in outcomes]
    await page.goto(path)
    await page.locator(".row[data-row='1'] a").first.click()
    await expect(page).to_have_url(addresses[1])
    await expect(page.get_by_role("button", name="Next", exact=True)).to_be_visible()

    for key, address in (("]", addresses[2]), ("[", addresses[1]), ("[", addresses[0])):
        await page.keyboard.press(key)
        await expect(page).to_have_url(address)
    await expect(page.get_by_role("button", name="Previous", exact=True)).to_have_count(0)

    await page.goto(addresses[1])
    await expect(page.get_by_role("heading", name="Proof")).to_be_visible()
    await expect(page.get_by_role("button", name="Next", exact=True)).to_have_count(0)


async def test_the_id_of_the_row_is_copied_by_a_key(page: Page, world: World) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    outcome = find_outcome(world, "REBALANCED")
    await page.goto(address_of(outcome))
    await expect(page.get_by_role("row").nth(1)).to_be_visible()

    await page.keyboard.press("j")
    await page.keyboard.press("y")

    await expect(page.locator(".row.current button.id")).to_have_text("copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied in {position["security_id"] for position in outcome["positions"]}


async def test_hidden_amounts_are_on_no_page_but_in_the_question_before_orders_are_sent(
    page: Page, world: World
) -> None:
    outcome = find_outcome(world, "REBALANCED")
    value, path = outcome["market_value"], address_of(outcome)
    await page.goto(path)
    await expect(page.get_by_text(money(value)).first).to_be_visible()

    await page.get_by_label("Amounts").select_option("hidden")

    await expect(page.get_by_text(money(value))).to_have_count(0)
    await page.reload()  # the browser remembers the choice
    await expect(page.get_by_text("•••").first).to_be_visible()
    secrets = {value, outcome["cash_after_rebalance"], outcome["objective"]}
    secrets |= {
        position["trade_amount"] for position in outcome["positions"] if position["trade_amount"]
    }
    secrets |= {money(amount) for amount in secrets}
    markup = await page.locator("main").evaluate("element => element.outerHTML")
    assert [secret for secret in secrets if len(secret) > 6 and secret in markup] == []

    await page.goto(f"/console/rebalance/{outcome['rebalance_id']}/orders")
    await page.get_by_role("button", name="Send orders").click()
    totals = world.read(f"/api/v1/rebalance/{outcome['rebalance_id']}/transactions/totals")
    await expect(page.get_by_role("dialog")).to_contain_text(money(totals["buys"]["amount"]))
    await page.keyboard.press("Escape")

    await page.get_by_label("Amounts").select_option("shown")
    await page.goto(path)
    await expect(page.get_by_text(money(value)).first).to_be_visible()
