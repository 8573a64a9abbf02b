"""Sign-in of a browser at an independent OpenID provider: the code flow, with PKCE."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from serve_app.auth.permissions import ROLES, Role
from serve_app.settings import Settings, read_settings
from tests.support.command_server import serve
from tests.support.fakes import make_model_body
from tests.support.issuer import AUDIENCE
from tests.support.oidc_provider import CLIENT_SECRET, OidcProvider, sign_in_at_provider

pytestmark = pytest.mark.mongo
MODELS = "/api/v1/models"
LOGIN = "/session/login"


@pytest.fixture
def settings(oidc_provider: OidcProvider) -> Settings:
    return read_settings(
        {
            "auth": "oidc",
            "oidc_issuer": oidc_provider.url,
            "oidc_audience": AUDIENCE,
            "oidc_client_id": "console",
            "oidc_client_secret": CLIENT_SECRET,
        }
    )


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    async with serve(app) as url:
        yield url
    await app.state.identity.provider.close()


@pytest.fixture
async def browser(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url) as browser:
        yield browser


async def go_to_provider(browser: httpx.AsyncClient, path: str = LOGIN) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def change_attempt(browser: httpx.AsyncClient, **changes: str) -> None:
    members = json.loads(urlsafe_b64decode(browser.cookies["ordergen-sign-in"]))
    text = urlsafe_b64encode(json.dumps({**members, **changes}).encode()).decode()
    browser.cookies.clear()
    browser.cookies.set("ordergen-sign-in", text)


async def test_a_person_signs_in_works_and_signs_out(browser: httpx.AsyncClient) -> None:
    before = (await browser.get("/session")).json()
    target = await sign_in_at_provider(
        browser, await go_to_provider(browser, f"{LOGIN}?return_to=/console/models"), "ada"
    )
    back = await browser.get(target)
    session = (await browser.get("/session")).json()
    own = {"Origin": str(browser.base_url).rstrip("/")}
    written = await browser.post(MODELS, json=make_model_body(), headers=own)
    entries = (await browser.get("/api/v1/audit")).json()
    out = await browser.delete("/session", headers=own)

    assert (before["caller"], before["sign_in"]["login"]) == (None, LOGIN)
    assert (back.status_code, back.headers["location"]) == (303, "/console/models")
    assert (session["caller"]["name"], session["caller"]["display_name"]) == (
        "ada",
        "ada of the desk",
    )
    assert session["caller"]["scopes"] == sorted(ROLES[Role.MODEL_MANAGER] | ROLES[Role.OPERATOR])
    assert written.status_code == 201, written.text
    assert [(each["action"], each["principal"]) for each in entries] == [
        ("model.create", "ada"),
        ("session.begin", "ada"),
    ]
    assert out.json()["sign_out_url"].endswith("/session/end?client_id=console")
    assert (await browser.get(MODELS)).status_code == 401


async def test_the_browser_takes_a_challenge_along_and_keeps_its_secrets(
    browser: httpx.AsyncClient,
) -> None:
    answer = await browser.get(LOGIN)

    query = parse_qs(urlsplit(answer.headers["location"]).query)
    attempt = json.loads(urlsafe_b64decode(browser.cookies["ordergen-sign-in"]))
    assert (query["response_type"], query["code_challenge_method"]) == (["code"], ["S256"])
    assert (query["state"], query["nonce"]) == ([attempt["state"]], [attempt["nonce"]])
    assert attempt["verifier"] not in answer.headers["location"]
    assert len({attempt["state"], attempt["nonce"], attempt["verifier"]}) == 3
    assert {"HttpOnly", "SameSite=lax", "Max-Age=600"} < {*answer.headers["set-cookie"].split("; ")}


async def test_the_session_has_the_rights_that_the_provider_names_and_no_others(
    browser: httpx.AsyncClient,
) -> None:
    await browser.get(await sign_in_at_provider(browser, await go_to_provider(browser), "eve"))

    session = (await browser.get("/session")).json()
    refused = await browser.get(MODELS)

    assert (session["caller"]["name"], session["caller"]["scopes"]) == ("eve", [])
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/scope-missing")


async def test_a_code_is_good_once(browser: httpx.AsyncClient) -> None:
    target = await sign_in_at_provider(browser, await go_to_provider(browser), "ada")
    attempt = browser.cookies["ordergen-sign-in"]
    assert (await browser.get(target)).status_code == 303
    browser.cookies.clear()
    browser.cookies.set("ordergen-sign-in", attempt)

    again = await browser.get(target)

    assert (again.status_code, again.json()["type"]) == (400, "/problems/sign-in-failed")
    assert "invalid_grant" in again.json()["detail"]
    assert "set-cookie" not in again.headers


async def test_a_browser_that_did_not_begin_cannot_end_with_the_code_of_another(
    browser: httpx.AsyncClient, url: str
) -> None:
    target = await sign_in_at_provider(browser, await go_to_provider(browser), "ada")
    async with httpx.AsyncClient(base_url=url) as victim:
        without = await victim.get(target)
        await victim.get(LOGIN)
        with_its_own = await victim.get(target)

    for answer in (without, with_its_own):
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/sign-in-failed")
        assert "did not begin it" in answer.json()["detail"]


async def test_a_stolen_code_is_worth_nothing_without_the_secret_of_its_attempt(
    browser: httpx.AsyncClient,
) -> None:
    target = await sign_in_at_provider(browser, await go_to_provider(browser), "ada")
    change_attempt(browser, verifier="v" * 64)

    answer = await browser.get(target)

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/sign-in-failed")
    assert "invalid_grant" in answer.json()["detail"]


async def test_an_id_token_for_another_attempt_is_refused(browser: httpx.AsyncClient) -> None:
    target = await sign_in_at_provider(browser, await go_to_provider(browser), "ada")
    change_attempt(browser, nonce="n" * 43)

    answer = await browser.get(target)

    assert answer.status_code == 400
    assert "another attempt" in answer.json()["detail"]


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "e30=", urlsafe_b64encode(b"[" * 3000).decode(), "====", '"'],
    ids=range(6),
)
async def test_a_cookie_that_is_no_attempt_is_refused(
    browser: httpx.AsyncClient, cookie: str
) -> None:
    browser.cookies.set("ordergen-sign-in", cookie)

    answer = await browser.get("/session/callback?code=x&state=")

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/sign-in-failed")


async def test_a_refusal_of_the_provider_is_told_in_its_code_alone(
    browser: httpx.AsyncClient,
) -> None:
    location = await go_to_provider(browser)
    state = parse_qs(urlsplit(location).query)["state"][0]

    cancelled = await browser.get(f"/session/callback?error=access_denied&state={state}")
    injected = await browser.get(f"/session/callback?error=<script>&state={state}")
    mixed_up = await browser.get(f"/session/callback?code=x&iss=https://b.example&state={state}")

    assert "access_denied" in cancelled.json()["detail"]
    assert "script" not in injected.text
    assert "another provider" in mixed_up.json()["detail"]


FOREIGN: list[str] = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\/evil.example", "evil.example",
    "javascript:alert(1)", "/\n/evil.example", "", " /console", "/" * 1001,
]  # fmt: skip


@pytest.mark.parametrize("target", FOREIGN)
async def test_after_signing_in_a_browser_is_led_to_this_service_alone(
    browser: httpx.AsyncClient, target: str
) -> None:
    answer = await browser.get(LOGIN, params={"return_to": target})

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert "location" not in answer.headers


async def test_a_cookie_cannot_lead_a_browser_elsewhere_either(browser: httpx.AsyncClient) -> None:
    target = await sign_in_at_provider(browser, await go_to_provider(browser), "ada")
    change_attempt(browser, return_to="//evil.example")

    answer = await browser.get(target)

    assert (answer.status_code, "location" in answer.headers) == (400, False)


async def test_while_the_provider_is_down_nobody_signs_in(
    app: FastAPI, url: str, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider: Any = app.state.identity.provider
    monkeypatch.setattr(provider, "issuer", "http://127.0.0.1:1")

    answer = await browser.get(LOGIN)

    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/identity-provider-unavailable"
