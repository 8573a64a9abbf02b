"""Models: the editor refuses what the service refuses, and loses nobody's change."""

from copy import deepcopy
from decimal import Decimal
from typing import Any, Final

import pytest
from playwright.async_api import Locator, Page, expect

from tests.page.conftest import World
from tests.page.test_portfolio import address_of, find_outcome, money
from tests.page.test_rules_of_pages import find_violations

A, B = "A" * 24, "B" * 24
# Values of a row beside one of 0.5 with bands of 0.01: target, low drift, high drift.
ROWS: Final = [
    *[(target, "0.01", "0.01") for target in ("0", "0.0", "0.005", "0.45", "0.450", "0.4550")],
    *[(target, "0.01", "0.01") for target in ("0.95", "0.955", "1", "0.003", "0.0051", "-0.005")],
    *[(target, "0.01", "0.01") for target in (".05", "5e-3", "0,05", "1/3", "", "x", "00.05")],
    *[
        ("0.1", low, "0.01")
        for low in ("0", "0.0", "0.01", "0.011", "1", "-0.01", "", ".01", "0.1")
    ],
    *[("0.1", "0.01", high) for high in ("0.01", "0.009", "1", "1.0", "1.1", "2", "x", "1/4", "")],
    *[("0.1", "0.00000000001", "1"), ("0.1", "0.0000000001", "1"), ("0.1", "0", "0")],
]


def make_body(*positions: tuple[str, str, str, str], name: str = "Edited") -> dict[str, Any]:
    fields = ("security_id", "target", "low_drift", "high_drift")
    rows = [dict(zip(fields, row, strict=True)) for row in positions]
    return {"name": name, "positions": rows, "portfolios": ["P" * 24]}


@pytest.fixture
def model(world: World) -> Any:
    """A model of its own for the test."""
    body = make_body((A, "0.5", "0.01", "0.01"), (B, "0.1", "0.01", "0.01"))
    answer = world.http.post("/api/v1/models", json=body)
    assert answer.status_code == 201, answer.text
    model_body = answer.json()
    yield model_body
    version = world.read(f"/api/v1/model/{model_body['model_id']}")["version"]
    world.http.delete(f"/api/v1/model/{model_body['model_id']}", params={"version": version})


def cell(page: Page, place: int, column: int) -> Locator:
    return page.locator(".sheet tbody tr").nth(place).locator("input").nth(column)


async def test_the_editor_refuses_what_the_service_refuses(
    page: Page, world: World, model: dict[str, Any]
) -> None:
    await page.goto(f"/console/model/{model['model_id']}")
    save = page.get_by_role("button", name="Save as version")
    await expect(save).to_be_visible()

    for number, row in enumerate(ROWS):
        await page.get_by_role("button", name="Discard").click(force=True)
        for column, text in enumerate(row):
            await cell(page, 1, column).fill(text)
        body = make_body((A, "0.5", "0.01", "0.01"), (B, *row), name=f"Asked {number}")
        answer = world.http.post("/api/v1/models", json=body)
        is_refused = await page.locator("[aria-invalid=true], .sum p.red").count() > 0
        assert is_refused == (answer.status_code != 201), (row, answer.text)
        if answer.status_code == 201:
            model_id = answer.json()["model_id"]
            world.http.delete(f"/api/v1/model/{model_id}", params={"version": 1})


async def test_a_change_is_shown_before_it_is_saved(
    page: Page, world: World, model: dict[str, Any]
) -> None:
    await page.goto(f"/console/model/{model['model_id']}")
    await expect(page.get_by_role("button", name="Save as version 2")).to_be_disabled()

    await cell(page, 1, 0).press("+")
    await expect(page.locator(".changes")).to_contain_text("target 0.1 to 0.105")
    await page.get_by_role("button", name="Save as version 2").click()

    await expect(page.get_by_role("button", name="Save as version 3")).to_be_disabled()
    stored = world.read(f"/api/v1/model/{model['model_id']}")
    assert [position["target"] for position in stored["positions"]] == ["0.5", "0.105"]
    assert stored["portfolios"] == model["portfolios"]


async def test_somebody_elses_change_is_shown_and_kept(
    page: Page, world: World, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    await page.goto(f"/console/model/{model['model_id']}")
    await cell(page, 1, 0).fill("0.2")
    theirs = deepcopy(model)
    theirs["positions"][0]["target"] = "0.4"
    body = {key: theirs[key] for key in ("name", "positions", "portfolios", "version")}
    world.http.put(path, json=body).raise_for_status()

    await page.get_by_role("button", name="Save as version 2").click()
    table = page.get_by_role("table", name="Three versions")
    await expect(table.get_by_role("row")).to_have_count(3)
    assert world.read(path)["version"] == 2
    await page.get_by_role("button", name="Make my changes on theirs").click()
    await page.get_by_role("button", name="Save as version 3").click()
    await expect(page.get_by_role("button", name="Save as version 4")).to_be_disabled()

    stored = world.read(path)
    assert [position["target"] for position in stored["positions"]] == ["0.4", "0.2"]


async def test_from_no_plan_to_a_wider_band_in_two_clicks(page: Page, world: World) -> None:
    outcome = find_outcome(world, "INFEASIBLE")
    culprits = [
        security for security in outcome["problem"]["securities"] if security["smallest_band"]
    ]
    await page.goto(address_of(outcome))

    await page.get_by_role("link", name="Widen these bands in the model").click()

    for culprit in culprits:
        ticker = world.upstreams.tickers[culprit["security_id"]]
        high = page.get_by_role("textbox", name=f"High drift of {ticker}", exact=True)
        await expect(high).to_have_value(culprit["smallest_band"]["high_drift"])
    await expect(page.get_by_role("button", name="Save as version")).to_be_enabled()
    before = world.read(f"/api/v1/model/{outcome['model_id']}")
    assert before["version"] == 1  # nothing is saved by following the link


async def test_versions_tell_what_each_changed(
    page: Page, world: World, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    body = {key: deepcopy(model[key]) for key in ("name", "positions", "portfolios", "version")}
    body["positions"][0]["target"] = "0.4"
    world.http.put(path, json=body).raise_for_status()

    await page.goto(f"/console/model/{model['model_id']}?tab=history")

    newest = page.locator(".versions > li").first
    await expect(newest).to_contain_text("Version 2")
    await expect(newest.locator("del")).to_contain_text("0.5")
    await expect(newest.locator("ins")).to_contain_text("0.4")


async def test_followers_have_the_drift_that_the_service_measures(page: Page, world: World) -> None:
    model_id = world.models[0]["model_id"]
    measured = world.read(f"/api/v1/model/{model_id}/drift?limit=5")

    await page.goto(f"/console/model/{model_id}?tab=followers")

    for place, portfolio in enumerate(measured):
        row = page.get_by_role("table", name="Followers").get_by_role("row").nth(place + 1)
        await expect(row.locator(".status")).to_have_text(portfolio["status"])


async def test_an_edit_is_tried_on_followers_beside_the_stored_model(
    page: Page, world: World
) -> None:
    stored = world.models[0]
    path = f"/api/v1/model/{stored['model_id']}"
    await page.goto(f"/console/model/{stored['model_id']}")
    for place in range(len(stored["positions"])):
        for column in (1, 2):
            await cell(page, place, column).fill("0.0001")  # narrower than one share
    positions = [
        {**position, "low_drift": "0.0001", "high_drift": "0.0001"}
        for position in stored["positions"]
    ]
    await page.get_by_role("button", name="Try").click()

    table = page.get_by_role("table", name="What if")
    await expect(table).to_be_visible()
    now, then = (world.post(f"{path}/what-if", body) for body in ({}, {"positions": positions}))
    assert then["counts"]["INFEASIBLE"] > now["counts"].get("INFEASIBLE", 0)
    for term, member in (
        ("out of band now", "out_of_band_before"),
        ("out of band after", "out_of_band_after"),
    ):
        assert await figures(table, term) == [str(now[member]), str(then[member])]
    for status in ("REBALANCED", "INFEASIBLE"):
        expected = [str(attempt["counts"].get(status, 0)) for attempt in (now, then)]
        assert await figures(table, status) == expected
    totals = [
        sum((Decimal(x["turnover"]) for x in attempt["outcomes"]), Decimal())
        for attempt in (now, then)
    ]
    assert await figures(table, "turnover") == [money(str(total)) for total in totals]
    lost = planless(then) - planless(now)
    await expect(page.get_by_text(f"{len(lost)} would lose their plan")).to_be_visible()
    assert world.read(path)["version"] == stored["version"]
    assert await find_violations(page) == []

    await page.get_by_role("button", name="Discard").click()
    await expect(table).to_have_count(0)


def planless(attempt: dict[str, Any]) -> set[str]:
    return {
        outcome["portfolio_id"]
        for outcome in attempt["outcomes"]
        if outcome["status"] in {"INFEASIBLE", "FAILED"}
    }


async def figures(table: Locator, term: str) -> list[str]:
    """Read the values of the stored and of the edited model in the row of a term."""
    row = table.get_by_role("row").filter(
        has=table.page.get_by_role("rowheader", name=term, exact=True)
    )
    return (await row.get_by_role("cell").all_inner_texts())[:2]
