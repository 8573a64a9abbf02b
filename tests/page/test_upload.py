"""Upload: files are dropped or chosen, checked, solved without being stored, and downloaded."""

import csv
import json
from io import BytesIO
from typing import Any, Final
from zipfile import ZipFile

import pytest
from playwright.async_api import FilePayload, Locator, Page, expect

from serve_app.api.media_types import CSV
from serve_app.files.template import build_template_files
from tests.page.conftest import SHAPES, World
from tests.page.test_portfolio import cells_of, money, percent
from tests.page.test_rules_of_pages import find_violations

FILES: Final = build_template_files()
TABLES: Final = ("holdings.csv", "prices.csv", "model.csv")
DROP: Final = """(files) => {
  const transfer = new DataTransfer();
  for (const [name, text] of Object.entries(files)) transfer.items.add(new File([text], name));
  for (const type of ["dragover", "drop"]) {
    document.body.dispatchEvent(
      new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
  }
}"""


def payload(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


async def choose(page: Page, *names: str, **changed: bytes) -> None:
    """Choose files of the template, and others in their place."""
    contents = {name: FILES[name] for name in names} | {
        f"{name}.csv": data for name, data in changed.items()
    }
    field = page.get_by_label("Drop files here, or choose them")
    await field.set_input_files([payload(*file) for file in contents.items()])


async def solve(page: Page) -> Locator:
    await page.get_by_role("button", name="Solve").click()
    outcomes = page.get_by_role("table", name="Outcomes")
    await expect(outcomes).to_be_visible()
    return outcomes


def answer_to_table(world: World, table: str) -> list[dict[str, str]]:
    """Read what the service answers to the same files as a table."""
    form = {name: FILES[f"{name}.csv"] for name in ("holdings", "prices", "model")}
    answer = world.http.post(
        "/api/v1/optimize", files=form, params={"table": table}, headers={"accept": CSV}
    )
    return [*csv.DictReader(answer.raise_for_status().text.splitlines())]


async def test_dropped_files_are_solved_and_shown_with_the_figures_of_the_service(
    page: Page, world: World
) -> None:
    before = world.read("/api/v1/rebalances/summary?limit=1")
    await page.goto("/console/upload")
    await expect(page.get_by_label("Drop files here, or choose them")).to_be_visible()
    await page.evaluate(DROP, {name: FILES[name].decode() for name in TABLES})
    await expect(page.get_by_role("list", name="Files").get_by_role("listitem")).to_have_count(3)
    outcomes = await solve(page)

    for expected in answer_to_table(world, "outcomes"):
        row = outcomes.get_by_role("row").filter(
            has=page.get_by_role("link", name=expected["portfolio"])
        )
        await expect(row).to_contain_text(expected["status"])
        await expect(row).to_contain_text(money(expected["market_value"]))
    await page.get_by_role("link", name="Alice").click()
    await expect(page).to_have_url("/console/upload?portfolio=Alice")
    await expect(page.get_by_role("heading", name="Proof")).to_be_visible()
    for expected in answer_to_table(world, "drift"):
        if expected["portfolio"] == "Alice":
            cells = await cells_of(page, expected["security"])
            assert cells["Before %"] == percent(expected["weight_before"])
            assert cells["After %"] == percent(expected["weight_after"])
            assert cells["Shares after"].replace(",", "") == expected["quantity_after"]
    assert await page.locator("svg.bands circle.after").count() == 3
    assert world.read("/api/v1/rebalances/summary?limit=1") == before


async def test_every_fault_is_listed_with_its_place_and_its_rule(page: Page) -> None:
    await page.goto("/console/upload")
    prices = FILES["prices.csv"].replace(b"68.9", b"n/a")
    model = FILES["model.csv"].replace(b"50%", b"150%")
    await choose(page, "holdings.csv", prices=prices, model=model)
    await page.get_by_role("button", name="Solve").click()

    faults = page.get_by_role("table", name="Faults in the files")
    for place, value, rule in (
        ("prices.csv", "n/a", "a number is expected here"),
        ("model.csv", "150%", "the number is from 0 to 1"),
    ):
        row = faults.get_by_role("row").filter(has_text=place)
        await expect(row).to_contain_text(value)
        await expect(row).to_contain_text(rule)
    await expect(page.get_by_role("table", name="Outcomes")).to_have_count(0)

    await choose(page, "prices.csv", "model.csv")  # the corrected ones, in place of the others
    await solve(page)
    await expect(faults).to_have_count(0)


async def test_a_portfolio_without_cash_in_the_files_is_told(page: Page) -> None:
    await page.goto("/console/upload")
    holdings = FILES["holdings.csv"].replace(b"Bob,CASH,15000\r\n", b"")
    await choose(page, "prices.csv", "model.csv", holdings=holdings)
    outcomes = await solve(page)

    note = "no cash is given: counted as 0"
    await expect(page.get_by_role("list", name="What was assumed")).to_have_text(
        f"Assumed for 1 of 2 portfolios: {note}"
    )
    await expect(outcomes.get_by_role("row").filter(has_text="Bob")).to_contain_text(note)


async def test_options_are_typed_or_come_as_a_file_and_the_workbook_has_the_same_trades(
    page: Page,
) -> None:
    await page.goto("/console/upload")
    await choose(page, "accounts.xlsx", "options.json")
    await solve(page)
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download as workbook").click()
    saved = await (await download.value).path()

    assert (await download.value).suggested_filename == "rebalance.xlsx"
    with ZipFile(BytesIO(saved.read_bytes())) as archive:
        assert b"Alice" in archive.read("xl/worksheets/sheet1.xml")

    await page.get_by_role("button", name="Remove options.json").click()
    await page.get_by_label("Options as JSON").fill('{"cash_flour": 1}')
    await page.get_by_role("button", name="Solve").click()
    await expect(page.get_by_role("table", name="Faults in the files")).to_contain_text(
        "/cash_flour"
    )


async def test_files_without_any_plan_say_why_and_show_the_nearest_one(page: Page) -> None:
    await page.goto("/console/upload")
    model = FILES["model.csv"].replace(b"5%\r\n", b"0.01%\r\n")
    await choose(page, "holdings.csv", "prices.csv", model=model)
    await solve(page)
    await page.get_by_role("link", name="Alice").click()

    await expect(page.get_by_text("The nearest plan is a dashed dot below")).to_be_visible()
    assert await page.locator("svg.bands circle.nearest").count() == 3
    await expect(page.get_by_role("link", name="Widen these bands")).to_have_count(0)


async def test_the_json_of_the_command_is_solved_too(page: Page) -> None:
    body: dict[str, Any] = {
        "model": {"positions": [{"security_id": "VTI", "target": "1/3", "relative_drift": "0.1"}]},
        "prices": {"VTI": "10"},
        "portfolios": [{"portfolio_id": "U1", "cash": "1000", "holdings": {}}],
    }
    await page.goto("/console/upload")
    field = page.get_by_label("Drop files here, or choose them")
    await field.set_input_files([payload("request.json", json.dumps(body).encode())])
    await solve(page)
    await page.get_by_role("link", name="U1").click()

    assert (await cells_of(page, "VTI"))["Quantity"] == "33"


async def test_the_keyboard_alone_leads_from_files_to_a_plan(page: Page) -> None:
    await page.goto("/console")
    await page.keyboard.press("g")
    await page.keyboard.press("u")
    await choose(page, "accounts.xlsx")  # stands for the chooser of the system
    await page.get_by_label("Options as JSON").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("table", name="Outcomes")).to_be_visible()
    await page.get_by_role("button", name="Solve").blur()
    await page.get_by_label("Options as JSON").blur()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", name="Plan of Alice")).to_be_visible()


@pytest.mark.parametrize("shape", ["wide", "narrow"])
async def test_results_and_faults_break_no_rule_of_accessibility(page: Page, shape: str) -> None:
    await page.set_viewport_size(SHAPES[shape])  # pyright: ignore[reportArgumentType]
    await page.goto("/console/upload")
    await choose(page, "accounts.xlsx")
    await solve(page)
    await page.get_by_role("link", name="Alice").click()
    await expect(page.get_by_role("heading", name="Proof")).to_be_visible()
    assert await find_violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= SHAPES[shape]["width"]

    await choose(page, holdings=b"a,b\r\n1,2\r\n")
    await page.get_by_role("button", name="Solve").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await find_violations(page) == []
