"""The book: tiles and histogram filter it, and what somebody chose is rebalanced."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.page.conftest import Desk, World, open_context

SCANS = "/api/v1/drift-scans"
BEGUN = re.compile(r"/console/runs/[0-9a-f]{24}$")


@pytest.fixture
def scan(world: World) -> dict[str, Any]:
    """The last scan of the book."""
    (newest,) = world.read(f"{SCANS}?status=COMPLETED&limit=1")
    return newest


def lines_of(world: World, scan: dict[str, Any], query: str) -> list[dict[str, Any]]:
    return world.read(f"{SCANS}/{scan['scan_id']}/portfolios?limit=1000&{query}")


def table(page: Page) -> Locator:
    return page.get_by_role("table", name="Portfolios")


def row(page: Page, portfolio_id: str) -> Locator:
    link = page.locator(f"[title='{portfolio_id}']")
    return table(page).locator(".body .row").filter(has=link)


async def open_book(page: Page, query: str = "") -> None:
    await page.goto(f"/console/book{query}")
    await expect(table(page).locator(".body a").first).to_be_visible()


async def expect_rows(page: Page, count: int) -> None:
    await expect(table(page)).to_have_attribute("aria-rowcount", str(count + 1))


def query_of(page: Page) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(page.url).query).items()}


async def test_the_book_is_shown_from_the_most_drift_on_with_the_figures_of_the_scan(
    page: Page, world: World, scan: dict[str, Any]
) -> None:
    lines = lines_of(world, scan, "sort_by=-total_drift_weight")
    await open_book(page)

    await expect_rows(page, len(lines))
    first = table(page).locator(".body .row").first
    await expect(first).to_have_attribute("aria-rowindex", "2")
    await expect(first.locator(f"[title='{lines[0]['portfolio_id']}']")).to_be_visible()
    await expect(first).to_contain_text(f"{float(lines[0]['total_drift_weight']):.2%}"[:-1])
    await expect(first.locator(f"[title='{lines[0]['market_value']}']")).to_be_visible()
    for state, count in scan["counts"].items():
        tile = page.get_by_role("button", name=state)
        await expect(tile.locator("b")).to_have_text(str(count))


async def test_a_tile_and_a_model_filter_together_and_stay_in_the_address(
    page: Page, world: World, scan: dict[str, Any]
) -> None:
    model = world.models[0]
    query = f"status=OUT_OF_BAND&model_id={model['model_id']}"
    await open_book(page)

    await page.get_by_role("button", name="OUT_OF_BAND").click()
    await page.get_by_label("Model").select_option(label=model["name"])

    await expect_rows(page, len(lines_of(world, scan, query)))
    assert query_of(page) == {"status": "OUT_OF_BAND", "model_id": model["model_id"]}
    await page.reload()
    await expect_rows(page, len(lines_of(world, scan, query)))
    await page.get_by_role("button", name="OUT_OF_BAND").click()
    await expect_rows(page, len(lines_of(world, scan, f"model_id={model['model_id']}")))


async def test_a_range_that_is_dragged_over_the_histogram_filters_the_portfolios(
    page: Page, world: World, scan: dict[str, Any]
) -> None:
    bins = world.read(f"{SCANS}/{scan['scan_id']}/histogram")["bins"]
    await open_book(page)
    picture = page.get_by_role("img", name="Total drift of")
    box = await picture.bounding_box()
    assert box is not None
    step, middle = box["width"] / len(bins), box["y"] + box["height"] / 2
    highest = max(range(1, len(bins) - 3), key=lambda place: bins[place]["portfolios"])

    await page.mouse.move(box["x"] + (highest + 2.5) * step, middle)
    await page.mouse.down()
    await page.mouse.move(box["x"] + (highest + 0.5) * step, middle, steps=4)
    await page.mouse.up()

    within = bins[highest : highest + 3]
    await expect(page).to_have_url(re.compile("min_drift"))
    assert query_of(page) == {"min_drift": within[0]["lower"], "max_drift": within[-1]["upper"]}
    await expect_rows(page, sum(interval["portfolios"] for interval in within))
    await page.get_by_role("button", name="✕").click()
    await expect_rows(page, sum(scan["counts"].values()))


async def test_the_range_is_chosen_with_the_keyboard_as_well(
    page: Page, world: World, scan: dict[str, Any]
) -> None:
    bins = world.read(f"{SCANS}/{scan['scan_id']}/histogram")["bins"]
    await open_book(page)

    slider = page.get_by_role("slider", name="Drift from")
    await slider.press("ArrowRight")
    await expect(page).to_have_url(re.compile("min_drift"))
    await slider.press("ArrowRight")

    await expect_rows(page, sum(interval["portfolios"] for interval in bins[2:]))
    assert query_of(page) == {"min_drift": bins[2]["lower"]}


async def test_what_is_chosen_by_keys_is_kept_and_becomes_a_run(
    page: Page, world: World, scan: dict[str, Any]
) -> None:
    lines = lines_of(world, scan, "status=OUT_OF_BAND&sort_by=-market_value")
    ids = [line["portfolio_id"] for line in (lines[0], lines[2])]
    await open_book(page, "?status=OUT_OF_BAND&sort_by=-market_value")

    for key in "jxjjx":
        await page.keyboard.press(key)
    for portfolio_id in ids:
        await expect(row(page, portfolio_id).get_by_role("checkbox")).to_be_checked()
    await page.reload()
    await expect(row(page, ids[1]).get_by_role("checkbox")).to_be_checked()
    await page.get_by_role("button", name="Rebalance 2 selected").click()
    await page.get_by_role("dialog").get_by_role("button", name="Begin the run").click()

    await expect(page).to_have_url(BEGUN)
    run = world.wait_for_run(page.url.rpartition("/")[2])
    assert (run["status"], run["selection"]["number_of_portfolios"]) == ("COMPLETED", 2)
    outcomes = world.http.get(f"/api/v1/runs/{run['run_id']}/outcomes").text
    assert all(portfolio_id in outcomes for portfolio_id in ids)


async def test_all_that_match_are_selected_and_none_again(
    page: Page, world: World, scan: dict[str, Any]
) -> None:
    tight = world.models[-1]["model_id"]
    count = len(lines_of(world, scan, f"model_id={tight}"))
    await open_book(page, f"?model_id={tight}")

    await page.get_by_role("button", name=f"Select all {count} that match").click()
    await expect(page.get_by_role("button", name=f"Rebalance {count} selected")).to_be_enabled()
    await page.get_by_role("button", name="Select none").click()

    await expect(page.get_by_role("button", name="Rebalance 0 selected")).to_be_disabled()


async def test_enter_shows_a_portfolio_against_its_bands_as_they_are_now(
    page: Page, world: World, scan: dict[str, Any]
) -> None:
    line = lines_of(world, scan, "sort_by=-total_drift_weight")[0]
    drift = world.read(f"/api/v1/portfolio/{line['portfolio_id']}/drift")
    await open_book(page)

    await page.keyboard.press("j")
    await page.keyboard.press("Enter")

    securities = page.get_by_role("table", name="Securities")
    await expect(securities.locator(".body .row")).to_have_count(len(drift["drifts"]))
    assert query_of(page) == {"portfolio": line["portfolio_id"]}
    await expect(securities.locator(".bands rect.out")).to_have_count(drift["out_of_band"])
    await page.get_by_role("button", name="Close").click()
    await expect(securities).to_have_count(0)


async def test_a_viewer_measures_the_book_and_begins_no_run(browser: Browser, desk: Desk) -> None:
    async with open_context(browser, desk.url) as context:
        page = await desk.sign_in(context, "vera")
        await page.get_by_role("link", name="Book").click()
        await expect(page.get_by_role("main")).to_contain_text("The book was not measured yet.")

        await page.get_by_role("button", name="Measure the book").click()

        await expect(table(page).locator(".body a").first).to_be_visible()
        await table(page).get_by_role("checkbox").first.check()
        rebalance = page.get_by_role("button", name="Rebalance 1 selected")
        await expect(rebalance).to_be_disabled()
        await expect(rebalance).to_have_attribute("title", re.compile("rebalances:start"))
    (scan,) = desk.read("drift-scans")
    assert sum(scan["counts"].values()) == sum(len(model["portfolios"]) for model in desk.models)


async def test_each_row_in_view_has_its_last_outcome_and_leads_to_that_plan(
    page: Page, world: World, scan: dict[str, Any]
) -> None:
    urls: list[str] = []
    page.on(
        "request",
        lambda request: urls.append(request.url) if "last-outcomes" in request.url else None,
    )
    await open_book(page)
    first = lines_of(world, scan, "sort_by=-total_drift_weight")[0]
    portfolio_id = first["portfolio_id"]
    (last,) = world.read(f"/api/v1/portfolios/last-outcomes?ids={portfolio_id}")

    line = row(page, portfolio_id)
    await expect(line.locator("[data-head='Last outcome']")).to_have_text(last["status"])
    link = line.locator("[data-head='Last run']").get_by_role("link")
    plan = f"/console/rebalance/{last['rebalance_id']}/portfolio/{portfolio_id}"
    await expect(link).to_have_attribute("href", plan)
    moment = last["rebalance_date"].replace("T", " ")[:16]
    await page.get_by_label("Times").select_option("UTC")
    await expect(link).to_contain_text(moment)
    # One request for all rows in view, because a request of their own would be hundreds.
    rows = await table(page).locator(".body .row").count()
    ids = [portfolio_id for url in urls for portfolio_id in parse_qs(urlsplit(url).query)["ids"]]
    assert len(urls) == 1
    assert rows <= len(ids) == len(set(ids)) <= 100


async def test_rows_without_an_answer_about_their_last_outcome_say_so(page: Page) -> None:
    await page.route("**/last-outcomes?*", lambda route: route.fulfill(status=503, json={}))
    await open_book(page)

    cell = table(page).locator(".body .row").first.locator("[data-head='Last outcome']")
    await expect(cell.get_by_title("the service gave no answer")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)
