"""Sign-in: a key typed once, its scopes, a session that ends, a provider's button."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from serve_app.settings import read_settings
from tests.page.conftest import SHAPES, Desk, World, open_context
from tests.page.test_rules_of_pages import find_violations
from tests.support.threaded_server import serve_in_thread


async def test_a_key_typed_once_opens_the_page_that_was_asked_for(
    browser: Browser, desk: Desk
) -> None:
    async with open_context(browser, desk.url) as context:
        page = await context.new_page()
        await page.goto("/console/models")
        await expect(page.get_by_role("link", name="Models")).to_have_count(0)
        await page.get_by_label("API key").fill(desk.keys["vera"])
        await page.get_by_label("API key").press("Enter")

        await expect(page.get_by_role("link", name=desk.model["name"])).to_be_visible()
        await expect(page.locator(".who")).to_contain_text("vera")
        storage = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        cookies = await page.evaluate("document.cookie")
        assert desk.keys["vera"].split("_")[-1] not in storage + cookies
        await page.reload()
        await expect(page.get_by_role("link", name=desk.model["name"])).to_be_visible()


async def test_a_wrong_key_is_refused_in_the_words_of_the_service(
    browser: Browser, desk: Desk
) -> None:
    async with open_context(browser, desk.url) as context:
        page = await context.new_page()
        await page.goto("/console")
        await page.get_by_label("API key").fill("a word")
        await page.get_by_role("button", name="Sign in").click()

        refusal = desk.http.post("/session", json={"key": "a word"}, headers={"Origin": desk.url})
        await expect(page.get_by_role("alert")).to_contain_text(refusal.json()["detail"])
        await expect(page.get_by_label("API key")).to_have_value("")


async def test_what_the_scopes_do_not_allow_is_not_offered(browser: Browser, desk: Desk) -> None:
    async with open_context(browser, desk.url) as context:
        page = await desk.sign_in(context, "vera")
        await expect(page.get_by_role("link", name="Orders", exact=True)).to_be_visible()
        await expect(page.get_by_role("link", name="History")).to_have_count(0)

        await page.goto(f"/console/model/{desk.model['model_id']}")

        rebalance = page.get_by_role("button", name="Rebalance")
        await expect(rebalance).to_be_disabled()
        await expect(rebalance).to_have_attribute("title", re.compile("rebalances:start"))
        await page.locator(".sheet tbody input").first.press("+")
        await expect(page.get_by_role("button", name="Save as version 2")).to_be_disabled()
        await expect(page.get_by_text("needs the permission models:write")).to_be_visible()


async def test_signing_out_and_a_session_that_ends_elsewhere_lead_to_the_sign_in(
    browser: Browser, desk: Desk
) -> None:
    async with open_context(browser, desk.url) as context:
        page = await desk.sign_in(context, "vera")
        other = await context.new_page()
        await other.goto("/console/runs")
        await expect(other.get_by_role("heading", name="Runs")).to_be_visible()

        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("API key")).to_be_visible()
        await expect(page.get_by_role("link", name="Runs")).to_have_count(0)

        await other.get_by_role("link", name="Models").click()
        await expect(other.get_by_label("API key")).to_be_visible()


async def test_a_run_is_followed_by_its_stream_under_a_session(
    browser: Browser, desk: Desk
) -> None:
    async with open_context(browser, desk.url) as context:
        page = await desk.sign_in(context, "tom")
        await page.goto(f"/console/model/{desk.model['model_id']}")
        await page.get_by_role("button", name="Rebalance").click()
        desk.upstreams.pause_s = 0.5
        async with page.expect_response(
            lambda response: response.url.endswith("/events")
        ) as waiting:
            await page.get_by_role("button", name="Begin the run").click()

        assert (await waiting.value).status == 200
        desk.upstreams.pause_s = 0.0
        await expect(page.locator("h1 ~ .status")).to_have_text("COMPLETED")


async def test_the_button_of_a_provider_leads_back_to_the_page_that_was_asked_for(
    browser: Browser, mongodb_uri: str
) -> None:
    settings = read_settings(
        {
            "auth": "oidc",
            "oidc_issuer": "https://id.example.com/desk",
            "oidc_audience": "https://orders.example.com",
            "oidc_client_id": "orders",
        }
    )
    with serve_in_thread(mongodb_uri, "provider", settings) as url:
        async with open_context(browser, url) as context:
            page = await context.new_page()
            await page.goto("/console/runs?status=COMPLETED")

            link = page.get_by_role("link", name="Sign in at id.example.com")
            path = "/session/login?return_to=%2Fconsole%2Fruns%3Fstatus%3DCOMPLETED"
            await expect(link).to_have_attribute("href", path)
            await expect(page.get_by_label("API key")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shape", ["wide", "narrow"])
async def test_the_sign_in_breaks_no_rule_of_accessibility(
    browser: Browser, desk: Desk, scheme: str, shape: str
) -> None:
    async with open_context(browser, desk.url, shape, color_scheme=scheme) as context:
        page = await context.new_page()
        await page.goto("/console")
        await expect(page.get_by_label("API key")).to_be_visible()

        assert await find_violations(page) == []
        widest = SHAPES[shape]["width"]
        assert await page.evaluate("document.documentElement.scrollWidth") <= widest


async def test_a_service_that_asks_nobody_shows_no_sign_in(page: Page, world: World) -> None:
    assert world.read("/session")["authenticates"] is False
    await page.goto("/console")

    await expect(page.get_by_role("link", name="History")).to_be_visible()
    await expect(page.locator(".who")).to_have_count(0)
