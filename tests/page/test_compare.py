"""Comparison of two rebalances: in total, by portfolio and by order."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.page.conftest import World, open_context
from tests.page.test_portfolio import money
from tests.page.test_rules_of_pages import find_violations
from tests.page.world import make_models

PORTFOLIOS: Final = 6
Order = tuple[str, str, str]  # side, quantity, amount


@pytest.fixture(scope="module")
async def both(world: World) -> AsyncIterator[tuple[str, str]]:
    """Two rebalances of a model of its own; the later one does not buy a security."""
    body: dict[str, Any] = make_models(world.market, 2)[0] | {"name": "Twice"}
    portfolios = body["portfolios"][:PORTFOLIOS]
    answer = world.http.post("/api/v1/models", json=body | {"portfolios": portfolios})
    assert answer.status_code == 201, answer.text
    model = answer.json()
    path = f"/api/v1/model/{model['model_id']}"
    former = world.post(f"{path}/rebalance", {})[0]["rebalance_id"]
    bought = next(trade["security_id"] for trade in trades_of(world, former, side="BUY"))
    later = world.post(f"{path}/rebalance", {"do_not_buy": [bought]})[0]["rebalance_id"]
    yield later, former
    # Its followers would otherwise belong to this model in other tests.
    world.http.delete(path, params={"version": model["version"]})


def trades_of(world: World, rebalance_id: str, **query: str) -> list[dict[str, Any]]:
    path = f"/api/v1/rebalance/{rebalance_id}/trades"
    answer = world.http.get(path, params={"limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def orders_of(world: World, rebalance_id: str, portfolio_id: str) -> dict[str, Order]:
    """Read the orders of a portfolio by security."""
    return {
        trade["security_id"]: (
            trade["transaction_type"],
            trade["trade_quantity"],
            trade["trade_amount"],
        )
        for trade in trades_of(world, rebalance_id, portfolio_id=portfolio_id)
    }


def changes_between(world: World, both: tuple[str, str], portfolio_id: str) -> dict[str, set[str]]:
    """List the securities whose orders the first rebalance adds, drops and changes."""
    here, there = (orders_of(world, rebalance_id, portfolio_id) for rebalance_id in both)
    return {
        "added": here.keys() - there.keys(),
        "dropped": there.keys() - here.keys(),
        "changed": {
            security_id
            for security_id in here.keys() & there.keys()
            if here[security_id] != there[security_id]
        },
    }


def words_of(changes: dict[str, set[str]]) -> str:
    return ", ".join(f"{len(ids)} {name}" for name, ids in changes.items() if ids)


def portfolio_that_differs(world: World, both: tuple[str, str]) -> str:
    ids = [
        outcome["portfolio_id"] for outcome in world.read(f"/api/v1/rebalance/{both[0]}/outcomes")
    ]
    return next(
        portfolio_id
        for portfolio_id in ids
        if changes_between(world, both, portfolio_id)["dropped"]
    )


def rows_of(page: Page, name: str) -> Locator:
    return page.get_by_role("table", name=name).locator(".body .row")


async def test_the_rebalance_before_is_compared_and_another_is_chosen_by_the_address(
    page: Page, world: World, both: tuple[str, str]
) -> None:
    later, former = both
    await page.goto(f"/console/rebalance/{later}")
    await expect(page.get_by_role("link", name="Compare")).to_be_visible()
    await page.keyboard.press("c")

    choice = page.get_by_label("Compare with")
    await expect(choice).to_have_value(former)
    (oldest,) = (
        rebalance_id
        for rebalance_id in world.run["rebalances"]
        if shares_portfolios(world, rebalance_id, later)
    )
    await choice.select_option(oldest)
    await expect(page).to_have_url(re.compile(f"/rebalance/{later}/compare.with={oldest}$"))
    await page.reload()
    await expect(choice).to_have_value(oldest)
    await expect(page.get_by_role("table", name="Totals")).to_be_visible()


def shares_portfolios(world: World, rebalance_id: str, other: str) -> bool:
    first = world.read(f"/api/v1/rebalance/{other}/outcomes?limit=1")[0]["portfolio_id"]
    path = f"/api/v1/rebalance/{rebalance_id}/outcomes?portfolio_id={first}"
    return bool(world.read(path))


async def test_totals_are_the_sums_of_both_and_their_difference(
    page: Page, world: World, both: tuple[str, str]
) -> None:
    later, former = both
    await page.goto(f"/console/rebalance/{later}/compare?with={former}")
    outcomes = [
        world.read(f"/api/v1/rebalance/{rebalance_id}/outcomes") for rebalance_id in (former, later)
    ]

    for term, field in (
        ("turnover", "turnover"),
        ("cash after", "cash_after_rebalance"),
        ("objective", "objective"),
    ):
        line = page.get_by_role("table", name="Totals").get_by_role("row", name=term)
        sums = [sum(Decimal(outcome[field] or 0) for outcome in of) for of in outcomes]
        change = sums[1] - sums[0]
        sign = "+" if change > 0 else ""
        figures = [*map(money, map(str, sums)), sign + money(str(change))]
        await expect(line.get_by_role("cell")).to_have_text(figures)
    trades = page.get_by_role("table", name="Totals").get_by_role("row", name="trades")
    numbers = [str(len(trades_of(world, rebalance_id))) for rebalance_id in (former, later)]
    for place, number in enumerate(numbers):
        await expect(trades.get_by_role("cell").nth(place)).to_have_text(number)


async def test_portfolios_that_differ_say_what_became_of_their_orders_and_d_shows_all(
    page: Page, world: World, both: tuple[str, str]
) -> None:
    later, former = both
    await page.goto(f"/console/rebalance/{later}/compare?with={former}")
    ids = [outcome["portfolio_id"] for outcome in world.read(f"/api/v1/rebalance/{later}/outcomes")]
    changes = {
        portfolio_id: words_of(changes_between(world, both, portfolio_id)) for portfolio_id in ids
    }
    differing = [portfolio_id for portfolio_id in ids if changes[portfolio_id]]

    rows = rows_of(page, "Portfolios compared")
    await expect(rows).to_have_count(len(differing))
    for portfolio_id in differing:
        row = rows.filter(has=page.locator(f"[title='{portfolio_id}']"))
        await expect(row).to_contain_text(changes[portfolio_id])
    await page.keyboard.press("d")
    await expect(rows).to_have_count(len(ids))
    assert "all=yes" in page.url


async def test_enter_shows_the_orders_of_both_plans_added_dropped_and_changed(
    page: Page, world: World, both: tuple[str, str]
) -> None:
    later, former = both
    portfolio_id = portfolio_that_differs(world, both)
    changes = changes_between(world, both, portfolio_id)
    await page.goto(f"/console/rebalance/{later}/compare?with={former}")
    rows = rows_of(page, "Portfolios compared")
    ids = [await link.get_attribute("title") for link in await links_of(page)]
    for _ in range(ids.index(portfolio_id) + 1):
        await page.keyboard.press("j")
    await page.keyboard.press("Enter")

    await expect(page).to_have_url(re.compile(f"portfolio={portfolio_id}"))
    orders = rows_of(page, "Orders compared")
    for kind, securities in changes.items():
        of_kind = orders.filter(has=page.locator(".status").get_by_text(kind, exact=True))
        await expect(of_kind).to_have_count(len(securities))
    here, there = (orders_of(world, rebalance_id, portfolio_id) for rebalance_id in both)
    dropped = min(changes["dropped"])
    row = orders.filter(has_text=world.upstreams.tickers[dropped]).first
    side, quantity, amount = there[dropped]
    assert dropped not in here
    await expect(row.locator("[data-head='Other']")).to_have_text(f"{side} {int(quantity):,}")
    await expect(row.locator("[data-head='This']")).to_have_text("–")  # noqa: RUF001
    less = money(f"{-Decimal(amount)}") if side == "BUY" else f"+{money(amount)}"
    await expect(row.locator("[data-head='Change, amount']")).to_have_text(less)
    await page.get_by_role("button", name="Close").click()
    await expect(orders).to_have_count(0)
    await expect(rows).not_to_have_count(0)


async def links_of(page: Page) -> list[Locator]:
    links = page.get_by_role("table", name="Portfolios compared").locator(".body a")
    await expect(links.first).to_be_visible()
    return await links.all()


async def test_the_same_plan_an_absent_one_and_a_wrong_id_are_told_apart(
    page: Page, world: World, both: tuple[str, str]
) -> None:
    later, former = both
    await page.goto(f"/console/rebalance/{later}/compare?with={later}")
    await expect(page.get_by_text("That is this rebalance itself")).to_be_visible()

    field = page.get_by_label("or by id")
    await field.fill("0" * 24)
    await field.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("0" * 24)

    stranger = world.market.portfolio_id(1)
    await page.goto(f"/console/rebalance/{later}/compare?with={former}&portfolio={stranger}")
    await expect(page.get_by_text("The portfolio is in neither rebalance.")).to_be_visible()


async def test_more_portfolios_than_a_browser_holds_are_read_a_page_at_a_time_and_added_up(
    page: Page, world: World, both: tuple[str, str]
) -> None:
    later, former = both
    summary = world.read(f"/api/v1/rebalance/{later}/summary")
    await page.route(
        f"**/rebalance/{later}/summary",
        lambda route: route.fulfill(json=summary | {"number_of_portfolios": 2001}),
    )
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    await page.goto(f"/console/rebalance/{later}/compare?with={former}")

    await expect(rows_of(page, "Portfolios compared")).to_have_count(PORTFOLIOS)
    totals = world.read(f"/api/v1/rebalance/{later}/outcomes/totals")
    for term, field in (("cash after", "cash_after_rebalance"), ("objective", "objective")):
        line = page.get_by_role("table", name="Totals").get_by_role("row", name=term)
        await expect(line.get_by_role("cell").nth(1)).to_have_text(money(totals[field]))
    assert not [url for url in urls if "/outcomes" in url and "limit=1000" in url]


@pytest.mark.parametrize("shape", ["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_comparison_breaks_no_rule_of_accessibility(
    browser: Browser, world: World, both: tuple[str, str], shape: str, scheme: str
) -> None:
    later, former = both
    portfolio_id = portfolio_that_differs(world, both)
    path = f"/console/rebalance/{later}/compare?with={former}&portfolio={portfolio_id}"
    async with open_context(browser, world.url, shape, color_scheme=scheme) as context:
        page = await context.new_page()
        await page.goto(path)
        await expect(rows_of(page, "Orders compared").first).to_be_visible()
        await expect(rows_of(page, "Portfolios compared").first).to_be_visible()

        assert await find_violations(page) == []
        width = await page.evaluate("document.documentElement.clientWidth")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
