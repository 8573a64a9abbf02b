"""The first page: each tile has the count that the page behind it lists."""

from playwright.async_api import Page, expect

from tests.page.conftest import World


async def test_the_root_leads_to_the_first_page(page: Page) -> None:
    await page.goto("/")

    await expect(page).to_have_url("/console")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Today")


async def test_the_tile_of_the_newest_run_counts_its_portfolios_without_a_plan(
    page: Page, world: World
) -> None:
    (newest,) = world.read("/api/v1/runs?limit=1")
    counts = newest["counts"]
    planless = counts.get("INFEASIBLE", 0) + counts.get("FAILED", 0)

    await page.goto("/console")

    tile = page.get_by_role("link", name="without a plan in the newest run")
    await expect(tile.locator("b")).to_have_text(str(planless))
    await tile.click()
    await expect(page).to_have_url(f"/console/runs/{newest['run_id']}")


async def test_the_tile_of_failed_orders_leads_to_as_many(page: Page, world: World) -> None:
    failed = world.http.get("/api/v1/orders?status=FAILED&limit=1").headers["X-Total-Count"]
    await page.goto("/console")

    tile = page.get_by_role("link", name="orders failed")
    await expect(tile.locator("b")).to_have_text(failed)
    await tile.click()

    await expect(page.get_by_label("Status")).to_have_value("FAILED")
    await expect(page.locator(".head .muted")).to_have_text(f"{failed}, of all rebalances")


async def test_g_and_a_letter_go_to_each_page(page: Page) -> None:
    await page.goto("/console")
    await expect(page.locator("h1")).to_have_text("Today")

    for letter, word in zip(
        "rmohst", ["Runs", "Models", "Orders", "History", "System", "Today"], strict=True
    ):
        await page.keyboard.press("g")
        await page.keyboard.press(letter)
        await expect(page.locator("h1")).to_have_text(word)


async def test_letters_do_nothing_once_they_are_switched_off(page: Page) -> None:
    await page.goto("/console")
    await page.keyboard.press("?")
    await page.get_by_role("checkbox", name="keys of single letters").uncheck()
    await page.get_by_role("button", name="Close").click()

    await page.keyboard.press("g")
    await page.keyboard.press("m")

    await expect(page.locator("h1")).to_have_text("Today")
