"""Sessions of browsers: signed in with a key, sent as a cookie, safe from pages of other sites."""

import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.openapi import samples
from serve_app.api.openapi.answer_examples import OF_SHAPES
from serve_app.api.schemas.sessions import SignedOutAnswer
from serve_app.auth.api_keys import make_key, parse_key
from serve_app.auth.permissions import ROLES, Role
from serve_app.settings import Settings, read_settings
from tests.support.certificates import Authority
from tests.support.command_server import serve
from tests.support.fakes import FakeOptimizer, Stored, make_model_body, render_no_metrics
from tests.support.keys import add_key

pytestmark = pytest.mark.mongo
MODELS = "/api/v1/models"
OWN = {"Origin": "http://localhost"}
Build = Callable[..., FastAPI]


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


@pytest.fixture
def app_of(stored: Stored, optimizer: FakeOptimizer) -> Build:
    def build(**changes: Any) -> FastAPI:
        settings = read_settings({"auth": "keys", **changes})
        return api_app(settings, Ports(stored.port, optimizer, {}, render_no_metrics))

    return build


def browser_of(app: FastAPI, url: str = "http://localhost") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url)


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(app) as browser:
        yield browser


async def sign_in(browser: httpx.AsyncClient, key: str, **headers: str) -> httpx.Response:
    return await browser.post("/session", json={"key": key}, headers={**OWN, **headers})


async def test_a_key_typed_once_signs_a_browser_in(
    browser: httpx.AsyncClient, stored: Stored
) -> None:
    before = (await browser.get("/session")).json()
    key = await add_key(stored, Role.MODEL_MANAGER, owner="ada")
    begun = await sign_in(browser, key)
    after = (await browser.get("/session")).json()
    written = await browser.post(MODELS, json=make_model_body(), headers=OWN)

    assert (before["authenticates"], before["caller"]) == (True, None)
    assert before["sign_in"]["accepts_keys"]
    assert begun.json() == after
    assert after["caller"] == {
        "name": "ada",
        "display_name": "ada",
        "scopes": sorted(ROLES[Role.MODEL_MANAGER]),
        "models": None,
        "portfolios": None,
    }
    assert datetime.fromisoformat(after["expires_at"]) > datetime.now(UTC)
    assert written.status_code == 201, written.text


async def test_the_answers_have_the_members_of_their_examples_in_their_order(
    browser: httpx.AsyncClient, stored: Stored
) -> None:
    begun = (await sign_in(browser, await add_key(stored, Role.VIEWER))).json()
    ended = (await browser.delete("/session", headers=OWN)).json()

    assert [*begun] == [*samples.SESSION]
    for name in ("caller", "sign_in"):
        assert [*begun[name]] == [*(samples.SESSION[name] or {})]
    assert [*ended] == [*OF_SHAPES[SignedOutAnswer]]


async def test_the_cookie_is_hidden_from_scripts_and_other_sites_and_has_nothing_of_the_key(
    browser: httpx.AsyncClient, stored: Stored
) -> None:
    key = await add_key(stored, Role.VIEWER)
    answer = await sign_in(browser, key)

    (cookie,) = answer.headers.get_list("set-cookie")
    parts = cookie.split("; ")
    assert parts[0].startswith("ordergen-session=")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=28800"} == {*parts[1:]}
    assert answer.headers["cache-control"] == "no-store"
    assert all(part not in cookie for part in key.split("_")[1:])
    stored_sessions = [each async for each in stored.resources.database["sessions"].find()]
    secret = parts[0].partition("=")[2]
    assert secret not in str(stored_sessions)


async def test_behind_tls_the_cookie_is_bound_to_the_host_and_to_tls(
    app_of: Build, stored: Stored
) -> None:
    url = "https://orders.example.com"
    app = app_of(public_url=url, allowed_hosts="orders.example.com")
    async with browser_of(app, url) as browser:
        answer = await sign_in(browser, await add_key(stored, Role.VIEWER), Origin=url)
        caller = (await browser.get("/session")).json()["caller"]

    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-ordergen-session=")
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} < {*cookie.split("; ")}
    assert "Domain" not in cookie
    assert caller["name"] == "tester"


async def test_a_service_that_speaks_tls_itself_binds_the_cookie_without_being_told_its_address(
    app_of: Build, stored: Stored, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    files = authority.issue()
    trusted = ssl.create_default_context(cafile=authority.file)
    app = app_of(tls_certificate=str(files.certificate), tls_key=str(files.key))
    async with serve(app, files) as url, httpx.AsyncClient(base_url=url, verify=trusted) as browser:
        answer = await sign_in(browser, await add_key(stored, Role.VIEWER), Origin=url)
        models = await browser.get(MODELS)

    (cookie,) = answer.headers.get_list("set-cookie")
    assert url.startswith("https://127.0.0.1:")
    assert cookie.startswith("__Host-ordergen-session=")
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} < {*cookie.split("; ")}
    assert (answer.status_code, models.status_code) == (200, 200)


async def test_no_session_begins_where_its_cookie_would_travel_in_the_clear(
    app_of: Build, stored: Stored
) -> None:
    url = "http://orders.example.com"
    async with browser_of(app_of(allowed_hosts="orders.example.com"), url) as browser:
        answer = await sign_in(browser, await add_key(stored, Role.VIEWER), Origin=url)

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/session-insecure")
    assert "set-cookie" not in answer.headers


UNKNOWN_KEY = pytest.param(str(make_key()), id="a key that is not stored")


@pytest.mark.parametrize("key", [UNKNOWN_KEY, "ordergen_", "x", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_wrong_key_signs_nobody_in(browser: httpx.AsyncClient, key: str) -> None:
    answer = await sign_in(browser, key)

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/sign-in-failed")
    assert key not in answer.text or len(key) == 1
    assert "set-cookie" not in answer.headers


async def test_other_replicas_know_the_session_and_that_it_has_ended(
    app_of: Build, stored: Stored
) -> None:
    first, second, third = (app_of() for _ in range(3))
    async with browser_of(first) as browser:
        await sign_in(browser, await add_key(stored, Role.VIEWER))
        cookies = dict(browser.cookies)
        async with browser_of(second) as elsewhere:
            elsewhere.cookies.update(cookies)
            known = await elsewhere.get(MODELS)
            ended = await elsewhere.delete("/session", headers=OWN)
            assert (await elsewhere.get(MODELS)).status_code == 401
    async with browser_of(third) as thief:
        thief.cookies.update(cookies)
        after = await thief.get(MODELS)
        page = await thief.get("/session")

    assert known.status_code == 200
    assert ended.json() == {"sign_out_url": None}
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert after.status_code == 401
    assert (page.status_code, page.json()["caller"]) == (200, None)


async def test_a_session_ends_with_its_key_and_has_the_present_rights_of_the_key(
    app_of: Build, stored: Stored
) -> None:
    key = await add_key(stored, Role.VIEWER)
    async with browser_of(app_of()) as browser:
        await sign_in(browser, key)
        cookies = dict(browser.cookies)
    found = parse_key(key)
    assert found is not None
    await stored.resources.api_keys.revoke(found.key_id)
    async with browser_of(app_of()) as browser:
        browser.cookies.update(cookies)
        answer = await browser.get(MODELS)

    assert answer.status_code == 401


async def test_a_session_that_has_expired_is_refused_before_the_database_removes_it(
    app_of: Build, stored: Stored
) -> None:
    async with browser_of(app_of()) as browser:
        await sign_in(browser, await add_key(stored, Role.VIEWER))
        cookies = dict(browser.cookies)
    past = datetime(2026, 11, 1, tzinfo=UTC)
    await stored.resources.database["sessions"].update_many({}, {"$set": {"expires_at": past}})
    async with browser_of(app_of()) as browser:
        browser.cookies.update(cookies)
        assert (await browser.get(MODELS)).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost"}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, 403),
        ({}, 401),
        ({"Sec-Fetch-Site": "none"}, 401),
    ],
)
async def test_only_a_page_of_the_service_can_make_a_browser_use_its_session_for_a_change(
    browser: httpx.AsyncClient, stored: Stored, headers: dict[str, str], status: int
) -> None:
    await sign_in(browser, await add_key(stored, Role.ADMIN))

    answer = await browser.post(MODELS, json=make_model_body(), headers=headers)

    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
async def test_another_site_reads_nothing_with_the_session(
    browser: httpx.AsyncClient, stored: Stored, headers: dict[str, str]
) -> None:
    await sign_in(browser, await add_key(stored, Role.ADMIN))

    assert (await browser.get(MODELS, headers=headers)).status_code == 401
    assert (await browser.get(MODELS)).status_code == 200


async def test_an_origin_that_may_call_without_credentials_cannot_use_the_session(
    app_of: Build, stored: Stored
) -> None:
    friend = {"Origin": "https://portal.example.com"}
    async with browser_of(app_of(cors_origins="https://portal.example.com")) as browser:
        await sign_in(browser, await add_key(stored, Role.ADMIN))
        read = await browser.get(MODELS, headers=friend)
        written = await browser.post(MODELS, json=make_model_body(), headers=friend)

    assert (read.status_code, written.status_code) == (401, 401)
    assert "access-control-allow-credentials" not in read.headers


async def test_another_site_can_neither_sign_a_browser_in_nor_out(
    browser: httpx.AsyncClient, stored: Stored
) -> None:
    key = await add_key(stored, Role.VIEWER)
    foreign = await sign_in(browser, key, Origin="https://evil.example")
    await sign_in(browser, key)
    out = await browser.delete("/session", headers={"Origin": "https://evil.example"})

    assert (foreign.status_code, out.status_code) == (403, 403)
    assert (await browser.get(MODELS)).status_code == 200


async def test_a_key_in_the_request_goes_over_the_session(
    browser: httpx.AsyncClient, stored: Stored
) -> None:
    await sign_in(browser, await add_key(stored, Role.VIEWER, owner="ada"))
    bearer = {"Authorization": f"Bearer {await add_key(stored, Role.VIEWER, owner='nightly')}"}

    assert (await browser.get("/session", headers=bearer)).json()["caller"]["name"] == "nightly"
    wrong = {"Authorization": f"Bearer {make_key()}"}
    assert (await browser.get(MODELS, headers=wrong)).status_code == 401


async def test_a_service_that_authenticates_nobody_says_so(app_of: Build) -> None:
    async with browser_of(app_of(auth="none")) as browser:
        found = (await browser.get("/session")).json()
        refused = await sign_in(browser, str(make_key()))
        out = await browser.delete("/session", headers=OWN)

    assert found["authenticates"] is False
    assert found["caller"]["scopes"] == sorted(ROLES[Role.ADMIN])
    assert (refused.status_code, out.status_code) == (400, 200)


@pytest.mark.parametrize(
    "url", ["http://orders.example.com", "https://orders.example.com/base", "orders", "https://a@b"]
)
def test_the_public_url_is_one_that_keeps_cookies_private(url: str) -> None:
    with pytest.raises(ValueError, match="PUBLIC_URL"):
        read_settings({"public_url": url})
