"""Columns of the long tables: chosen in a menu by mouse or keyboard, and remembered."""

import re

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.page.conftest import World, open_context
from tests.page.test_portfolio import find_outcome
from tests.page.test_rules_of_pages import find_violations

STORED = "columns.v1.book"


async def open_book(page: Page) -> Locator:
    await page.goto("/console/book")
    book = page.get_by_role("table", name="Portfolios")
    await expect(book.locator(".body a").first).to_be_visible()
    return book


def head(table: Locator, name: str) -> Locator:
    return table.get_by_role("columnheader", name=name)


async def test_a_column_that_is_hidden_stays_so_until_all_are_shown(page: Page) -> None:
    book = await open_book(page)
    all_heads = await book.get_by_role("columnheader").all_inner_texts()
    await page.get_by_role("button", name="Columns of Portfolios").click()
    for name in ("Cash %", "Out of band"):
        await page.get_by_role("checkbox", name=name).uncheck()

    await expect(head(book, "Cash %")).to_have_count(0)
    row = book.locator(".body .row").first
    await expect(row.get_by_role("cell")).to_have_count(len(all_heads) - 2)
    await expect(row.locator("[data-head='Cash %']")).to_have_count(0)
    await page.reload()
    await expect(head(book, "Market value")).to_be_visible()
    await expect(head(book, "Cash %")).to_have_count(0)
    # Neither the checkbox nor the name of a row can be hidden.
    await page.get_by_role("button", name="Columns of Portfolios").click()
    menu = page.get_by_role("group", name="Columns shown")
    await expect(menu.get_by_role("checkbox")).to_have_count(len(all_heads) - 2)

    await menu.get_by_role("button", name="Show all").click()

    await expect(book.get_by_role("columnheader")).to_have_text(all_heads)
    assert await page.evaluate("key => localStorage.getItem(key)", STORED) is None


async def test_a_link_shows_the_columns_of_who_copied_it_and_leaves_the_choice_of_others(
    page: Page, browser: Browser, world: World
) -> None:
    await open_book(page)
    await page.get_by_role("button", name="Columns of Portfolios").click()
    await page.get_by_role("checkbox", name="Cash %").uncheck()
    await expect(page).to_have_url(re.compile(r"[?&]hide\.book=\w+$"))
    link = page.url
    await page.goto("/console/book")
    await expect(page).to_have_url(link)

    async with open_context(browser, world.url) as context:
        other = await context.new_page()
        await other.goto(link)
        book = other.get_by_role("table", name="Portfolios")
        await expect(head(book, "Market value")).to_be_visible()
        await expect(head(book, "Cash %")).to_have_count(0)
        await open_book(other)
        await expect(head(book, "Cash %")).to_be_visible()


async def test_the_menu_works_by_keyboard_alone(page: Page) -> None:
    book = await open_book(page)
    button = page.get_by_role("button", name="Columns of Portfolios")
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(button).to_have_attribute("aria-expanded", "true")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("checkbox", name="Model")).to_be_focused()
    await page.keyboard.press("Space")
    await expect(head(book, "Model")).to_have_count(0)
    assert await find_violations(page) == []

    await page.keyboard.press("Escape")

    await expect(page.get_by_role("group", name="Columns shown")).to_have_count(0)
    await expect(button).to_be_focused()


async def test_a_column_is_moved_by_keyboard_and_stays_where_it_is_put(
    page: Page, browser: Browser, world: World
) -> None:
    book = await open_book(page)
    usual = await book.get_by_role("columnheader").all_inner_texts()
    await page.get_by_role("button", name="Columns of Portfolios").click()
    button = page.get_by_role("button", name="Move Cash % left")
    place = usual.index("Cash %")
    await button.focus()

    others = [column for column in usual if column != "Cash %"]
    for index in [*range(place - 1, 1, -1), 2]:  # as far as the columns that stay, and no further
        await page.keyboard.press("Enter")
        moved = [*others[:index], "Cash %", *others[index:]]
        await expect(book.get_by_role("columnheader")).to_have_text(moved)
        await expect(button).to_be_focused()
    cell = book.locator(".body .row").first.get_by_role("cell").nth(2)
    await expect(cell).to_have_attribute("data-head", "Cash %")
    assert await find_violations(page) == []
    link = page.url
    await page.goto("/console/book")
    await expect(page).to_have_url(link)
    async with open_context(browser, world.url, "narrow") as context:
        other = await context.new_page()
        await other.goto(link)
        card = other.get_by_role("table", name="Portfolios").locator(".body .row").first
        await expect(card.get_by_role("cell").nth(2)).to_have_attribute("data-head", "Cash %")

    await page.get_by_role("button", name="Columns of Portfolios").click()
    await page.get_by_role("button", name="Usual order").click()
    await expect(book.get_by_role("columnheader")).to_have_text(usual)
    await expect(page).to_have_url("/console/book")


@pytest.mark.parametrize(
    "stored", ["{", "null", '{"cash_weight": true}', "[7]", '["a column of long ago"]']
)
async def test_bad_contents_of_the_storage_hide_nothing(page: Page, stored: str) -> None:
    await page.add_init_script(f"localStorage.setItem('{STORED}', '{stored}')")
    book = await open_book(page)

    for name in ("Model", "Status", "Cash %", "Market value"):
        await expect(head(book, name)).to_be_visible()
    button = page.get_by_role("button", name="Columns of Portfolios")
    await expect(button).to_have_text("Columns")


@pytest.mark.parametrize(
    ("path", "label", "column"),
    [
        ("/console/review/{rebalance}", "Portfolios that trade", "Cash after"),
        ("/console/review/{rebalance}?rows=trades", "All trades", "Price"),
        ("/console/rebalance/{rebalance}", "Outcomes", "Cash before"),
    ],
)
async def test_every_long_table_has_the_menu_and_remembers_for_itself(
    page: Page, world: World, path: str, label: str, column: str
) -> None:
    outcome = find_outcome(world, "REBALANCED")
    await page.goto(path.format(rebalance=outcome["rebalance_id"]))
    table = page.get_by_role("table", name=label, exact=True)
    await page.get_by_role("button", name=f"Columns of {label}").click()

    await page.get_by_role("checkbox", name=column, exact=True).uncheck()

    await expect(head(table, column)).to_have_count(0)
    await page.mouse.click(2, 2)
    await expect(page.get_by_role("group", name="Columns shown")).to_have_count(0)
    keys = await page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('columns'))")
    assert len(keys) == 1
    assert keys != [STORED]


@pytest.mark.parametrize("shape", ["wide", "narrow"])
async def test_an_open_menu_fits_the_screen(browser: Browser, world: World, shape: str) -> None:
    async with open_context(browser, world.url, shape) as context:
        page = await context.new_page()
        await open_book(page)
        await page.get_by_role("button", name="Columns of Portfolios").click()

        box = await page.get_by_role("group", name="Columns shown").bounding_box()
        width = await page.evaluate("document.documentElement.clientWidth")
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert await find_violations(page) == []
