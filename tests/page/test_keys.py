"""Keys that edit and go back: Esc closes one layer at a time, and asks before it discards."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.page.conftest import World
from tests.page.test_models import cell
from tests.page.test_portfolio import address_of, find_outcome


def panel(page: Page) -> Locator:
    """The panel with the trades of one portfolio, beside the list."""
    return page.get_by_role("heading", name=re.compile("^Trades of"))


@pytest.mark.parametrize(
    "path", ["/console/model/{model}?tab=followers", "/console/rebalance/{id}"]
)
async def test_e_leads_into_the_first_target_of_the_model_shown(
    page: Page, world: World, path: str
) -> None:
    outcome = find_outcome(world, "REBALANCED")
    await page.goto(path.format(model=outcome["model_id"], id=outcome["rebalance_id"]))
    await expect(page.locator("main")).to_contain_text("version")

    await page.keyboard.press("e")

    await expect(page).to_have_url(re.compile(f"/console/model/{outcome['model_id']}$"))
    await expect(cell(page, 0, 0)).to_be_focused()
    target = await cell(page, 0, 0).input_value()
    await page.keyboard.press("Escape")
    await page.keyboard.press("e")
    await expect(cell(page, 0, 0)).to_be_focused()
    await expect(cell(page, 0, 0)).to_have_value(target)


async def test_e_edits_the_model_of_the_row(page: Page, world: World) -> None:
    models = world.read("/api/v1/models?limit=2")
    await page.goto("/console/models")
    await expect(page.get_by_role("link", name=models[1]["name"])).to_be_visible()

    for key in ("j", "j", "e"):
        await page.keyboard.press(key)

    await expect(page).to_have_url(re.compile(f"/console/model/{models[1]['model_id']}$"))
    await expect(cell(page, 0, 0)).to_be_focused()


async def test_e_on_a_portfolio_without_a_plan_proposes_the_bands_that_admit_one(
    page: Page, world: World
) -> None:
    await page.goto(address_of(find_outcome(world, "INFEASIBLE")))
    await expect(page.get_by_role("link", name="Widen these bands")).to_be_visible()

    await page.keyboard.press("e")

    await expect(page.locator(".changes li").first).to_be_visible()


async def test_esc_leads_back_to_the_list_that_a_page_was_opened_from(
    page: Page, world: World
) -> None:
    rebalance_id = find_outcome(world, "REBALANCED")["rebalance_id"]
    run = f"/console/runs/{world.run['run_id']}"
    await page.goto(run)
    await page.locator(f"a[href$='/rebalance/{rebalance_id}']").first.click()
    await page.get_by_label("Outcome").select_option("REBALANCED")
    await expect(page).to_have_url(re.compile("status=REBALANCED$"))
    rows = page.get_by_role("table", name="Outcomes")
    await expect(rows.get_by_role("link").nth(1)).to_be_visible()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Next")).to_be_visible()
    first = page.url
    await page.keyboard.press("]")
    await expect(page).not_to_have_url(first)
    await expect(page.get_by_role("heading", name="Proof")).to_be_visible()

    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile(f"/rebalance/{rebalance_id}.status=REBALANCED$"))
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(run)
    await page.keyboard.press("Escape")
    await expect(page).to_have_url("/console/runs")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url("/console/runs")


async def test_esc_closes_one_thing_at_a_time_before_it_leaves_the_page(
    page: Page, world: World
) -> None:
    rebalance_id = find_outcome(world, "REBALANCED")["rebalance_id"]
    await page.goto(f"/console/rebalance/{rebalance_id}")
    await page.get_by_role("main").get_by_role("link", name="Review", exact=True).click()
    review = page.get_by_role("table", name="Portfolios that trade")
    await review.get_by_role("link").first.click()
    await expect(panel(page)).to_be_visible()
    menu = page.get_by_role("group", name="Columns shown")
    await page.get_by_label("Portfolio id").focus()
    await page.keyboard.press("Escape")
    await expect(page.get_by_label("Portfolio id")).not_to_be_focused()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("go back")

    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("button", name="Columns of").click()
    await expect(menu).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(menu).to_have_count(0)
    await expect(panel(page)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(panel(page)).to_have_count(0)
    await expect(review).to_be_visible()
    await page.keyboard.press("Escape")

    await expect(page).to_have_url(f"/console/rebalance/{rebalance_id}")


async def test_a_page_is_left_with_unsaved_targets_only_by_who_agrees(
    page: Page, world: World
) -> None:
    path = f"/console/model/{world.models[0]['model_id']}"
    await page.goto(path)
    was = await cell(page, 0, 0).input_value()
    await cell(page, 0, 0).press("+")
    await page.keyboard.press("Escape")
    await expect(page.locator(".changes li")).to_have_count(1)

    for way in ("Escape", "g m", "Followers"):
        if way == "Followers":
            await page.get_by_role("link", name=way).click()
        else:
            for key in way.split():
                await page.keyboard.press(key)
        question = page.get_by_role("dialog", name="Leave without saving?")
        await question.get_by_role("button", name="Keep it as it is").click()
        await expect(question).to_have_count(0)
        await expect(page).to_have_url(path)
        await expect(page.locator(".changes li")).to_have_count(1)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Leave the page").click()

    await expect(page).to_have_url("/console/models")
    await page.goto(path)
    await expect(cell(page, 0, 0)).to_have_value(was)


async def test_a_key_in_the_moment_in_which_a_question_closes_asks_again(
    page: Page, world: World
) -> None:
    await page.goto(f"/console/model/{world.models[0]['model_id']}")
    await cell(page, 0, 0).press("+")
    await page.keyboard.press("Escape")
    await expect(page.locator(".changes li")).to_have_count(1)
    question = page.get_by_role("dialog", name="Leave without saving?")
    await page.keyboard.press("Escape")
    await expect(question).to_be_visible()

    # The dialog says that it was closed in a task of its own, after this one.
    await page.evaluate("""() => {
      document.querySelector("dialog[open] button").click();
      const key = { key: "Escape", bubbles: true, cancelable: true };
      document.body.dispatchEvent(new KeyboardEvent("keydown", key));
    }""")
    await page.wait_for_timeout(100)

    await expect(question).to_be_visible()


async def test_a_question_that_is_asked_as_another_closes_is_shown(
    page: Page, world: World
) -> None:
    await page.goto(f"/console/model/{world.models[0]['model_id']}")
    begin = page.get_by_role("button", name="Rebalance", exact=True)
    await begin.click()
    await expect(page.get_by_role("dialog")).to_be_visible()

    await begin.evaluate("""button => {
      document.querySelector("dialog[open] button").click();
      button.click();
    }""")
    await page.wait_for_timeout(100)

    await expect(page.get_by_role("dialog")).to_be_visible()


async def test_esc_throws_a_typed_note_away_only_when_it_is_pressed_again(
    page: Page, world: World
) -> None:
    await page.goto(f"/console/review/{find_outcome(world, 'REBALANCED')['rebalance_id']}")
    await page.get_by_role("button", name="Propose").click()
    question = page.get_by_role("dialog")
    await question.get_by_label("Note").fill("quarter end")

    await page.keyboard.press("Escape")
    await expect(question).to_contain_text("throws away what you typed")
    await expect(question.get_by_label("Note")).to_have_value("quarter end")
    await page.keyboard.press("Escape")

    await expect(question).to_have_count(0)
