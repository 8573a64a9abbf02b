"""The pages of runs: a list, and one run followed to its end."""

import asyncio

from playwright.async_api import Browser, Page, expect

from tests.page.conftest import World, open_context


async def test_a_run_shows_the_counts_that_the_service_has(page: Page, world: World) -> None:
    await page.goto(f"/console/runs/{world.run['run_id']}")

    legend = page.locator(".legend").first.locator("li")
    counts = {status: count for status, count in world.run["counts"].items() if count}
    await expect(legend).to_have_count(len(counts))
    legend_lines = [line.split() for line in await legend.all_inner_texts()]
    assert {status: int(count.replace(",", "")) for status, count in legend_lines} == counts


async def test_the_plans_of_a_run_are_counted_by_method_and_by_proof(
    page: Page, world: World
) -> None:
    run = world.run
    await page.goto(f"/console/runs/{run['run_id']}")

    for label, counts in (("Methods", run["methods"]), ("Proofs", run["proofs"])):
        words = ", ".join(f"{count:,} {word}" for word, count in counts.items())
        picture = page.get_by_role("img", name=f"{label}: {words}", exact=True)
        await expect(picture.locator("rect")).to_have_count(len(counts))
    assert sum(run["proofs"].values()) == sum(run["methods"].values()) > 0


async def test_a_run_is_followed_by_its_stream_to_its_end(page: Page, world: World) -> None:
    world.upstreams.pause_s = 0.6
    run_id = world.begin_run(world.models[0])
    try:
        await page.goto(f"/console/runs/{run_id}")
        await expect(page.locator(".mode")).to_have_text("live")
        await expect(page.locator(".head .status")).to_have_text("COMPLETED")
    finally:
        world.upstreams.pause_s = 0.0

    await expect(page.locator(".mode")).to_have_count(0)
    number = world.read(f"/api/v1/runs/{run_id}")["portfolios"]["done"]
    await expect(page.locator(".facts dd").first).to_have_text(f"{number} of {number}")


async def test_a_page_that_gets_no_stream_polls(browser: Browser, world: World) -> None:
    world.upstreams.pause_s = 0.8
    run_id = world.begin_run(world.models[1])
    try:
        async with open_context(browser, world.url) as context:
            modes = []
            for _ in range(4):  # one more than the service opens
                page = await context.new_page()
                await page.goto(f"/console/runs/{run_id}")
                mode = page.locator(".mode")
                await expect(mode).to_have_text("live" if len(modes) < 3 else "polling every 2 s")
                modes.append(await mode.inner_text())
            await expect(page.locator(".head .status")).to_have_text("COMPLETED")
    finally:
        world.upstreams.pause_s = 0.0


async def turn(page: Page, *, hidden: bool) -> None:
    """Hide or show a tab; a browser without a screen treats every tab as visible."""
    state = str(hidden).lower()
    await page.evaluate(
        f"""() => {{
          Object.defineProperty(document, "hidden", {{ value: {state}, configurable: true }});
          document.dispatchEvent(new Event("visibilitychange"));
        }}"""
    )


async def test_the_seventh_tab_of_a_run_opens_because_hidden_ones_hold_no_stream(
    page: Page, world: World
) -> None:
    world.upstreams.pause_s = 1.5
    run_id = world.begin_run(*world.models)
    try:
        for _ in range(6):  # as many connections as a browser opens to one host
            tab = await page.context.new_page()
            await tab.goto(f"/console/runs/{run_id}")
            await expect(tab.locator(".mode")).to_have_text("live")
            await turn(tab, hidden=True)
            await expect(tab.locator(".mode")).to_have_text("paused while the tab is hidden")
        await page.goto(f"/console/runs/{run_id}")
        await expect(page.locator(".mode")).to_have_text("live")
    finally:
        world.upstreams.pause_s = 0.0
    await expect(page.locator(".head .status")).to_have_text("COMPLETED")

    await turn(tab, hidden=False)

    await expect(tab.locator(".head .status")).to_have_text("COMPLETED")


async def test_a_run_is_cancelled_by_a_second_click_and_never_by_enter(
    page: Page, world: World
) -> None:
    world.upstreams.pause_s = 1.0
    run_id = world.begin_run(*world.models)
    try:
        await page.goto(f"/console/runs/{run_id}")
        await page.get_by_role("button", name="Cancel run").click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert world.read(f"/api/v1/runs/{run_id}")["status"] in {"QUEUED", "RUNNING"}

        await page.get_by_role("button", name="Cancel run").click()
        await page.get_by_role("button", name="Cancel the run").click()
        await expect(page.locator(".head .status")).to_have_text("CANCELLED")
    finally:
        world.upstreams.pause_s = 0.0
    await asyncio.to_thread(world.wait_for_run, run_id)


async def test_portfolios_without_a_plan_are_tried_again_in_a_new_run(
    page: Page, world: World
) -> None:
    await page.goto(f"/console/runs/{world.run['run_id']}")

    await page.get_by_role("button", name="Retry all of this kind").first.click()
    await page.get_by_role("button", name="Begin the run").click()

    await expect(page.get_by_role("link", name="an earlier run")).to_be_visible()
    run_id = page.url.rpartition("/")[2]
    assert run_id != world.run["run_id"]
    again = await asyncio.to_thread(world.wait_for_run, run_id)
    assert again["retry_of"] == world.run["run_id"]
    assert 0 < again["portfolios"]["done"] < world.run["portfolios"]["done"]


async def test_the_list_of_runs_is_walked_by_keys(page: Page, world: World) -> None:
    await page.goto("/console/runs")
    await expect(page.get_by_role("row").nth(1)).to_be_visible()

    await page.keyboard.press("j")
    await expect(page.locator(".row.current")).to_have_count(1)
    await page.keyboard.press("Enter")

    newest = world.read("/api/v1/runs?limit=1")[0]["run_id"]
    await expect(page).to_have_url(f"/console/runs/{newest}")
