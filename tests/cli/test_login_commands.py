"""`ordergen login` and `logout` at an independent OpenID provider."""

import asyncio
import json
import stat
import webbrowser
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.client.saved_login import find_path, load_login, save_login
from serve_app.settings import Settings, read_settings
from tests.support.command_server import Ordergen, connect_ordergen, serve
from tests.support.issuer import AUDIENCE
from tests.support.oidc_provider import OidcProvider, sign_in_at_provider

pytestmark = pytest.mark.mongo


@pytest.fixture
def settings(oidc_provider: OidcProvider) -> Settings:
    return read_settings(
        {
            "auth": "oidc",
            "oidc_issuer": oidc_provider.url,
            "oidc_audience": AUDIENCE,
            "oidc_resource": AUDIENCE,
            "oidc_cli_client_id": "ordergen",
        }
    )


@pytest.fixture
async def url(app: FastAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[str]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with serve(app) as url:
        yield url
    await app.state.identity.provider.close()


@pytest.fixture
def ordergen(url: str) -> Ordergen:
    return connect_ordergen(url)


@pytest.fixture
async def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Return the page that a command opens in the browser."""
    loop, pages = asyncio.get_running_loop(), asyncio.Queue[str]()

    def open_page(page: str) -> bool:
        loop.call_soon_threadsafe(pages.put_nowait, page)
        return True

    monkeypatch.setattr(webbrowser, "open", open_page)
    return pages.get


async def sign_in(ordergen: Ordergen, opened: Callable[[], Any], account: str) -> Any:
    command = asyncio.ensure_future(ordergen("login"))
    async with asyncio.timeout(60), httpx.AsyncClient() as browser:
        target = await sign_in_at_provider(browser, await opened(), account)
        stray = await browser.get(target.partition("?")[0], params={"code": "x", "state": "y"})
        back = await browser.get(target)
        done = await command
    assert (stray.status_code, back.status_code) == (404, 200)
    return done


async def test_a_person_signs_in_once_and_commands_use_the_token_until_it_signs_out(
    ordergen: Ordergen, opened: Callable[[], Any], url: str
) -> None:
    before = await ordergen("models", "show")
    done = await sign_in(ordergen, opened, "ben")
    shown = await ordergen("models", "show")
    file = find_path(url)
    mode, folder = stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)
    login = load_login(file)
    out = await ordergen("logout")
    after = await ordergen("models", "show")

    assert before.exit_code == 1
    assert (done.exit_code, done.stdout) == (0, f"signed in to {url} as ben\n"), done.output
    assert shown.exit_code == 0, shown.output
    assert (mode, folder) == (0o600, 0o700)
    assert login is not None
    assert login.refresh_token
    assert login.access_token not in done.output
    assert (out.exit_code, after.exit_code) == (0, 1)
    assert not file.exists()


async def test_a_token_that_expires_is_renewed_and_one_that_was_signed_out_is_not(
    ordergen: Ordergen, opened: Callable[[], Any], url: str
) -> None:
    await sign_in(ordergen, opened, "ben")
    first = load_login(find_path(url))
    assert first is not None
    old = json.loads(find_path(url).read_text())
    find_path(url).write_text(json.dumps({**old, "expires_at": 0.0, "access_token": "expired"}))

    shown = await ordergen("models", "show")
    renewed = load_login(find_path(url))
    await ordergen("logout")
    assert renewed is not None
    save_login(renewed)
    find_path(url).write_text(
        json.dumps({**json.loads(find_path(url).read_text()), "expires_at": 0.0})
    )
    revoked = await ordergen("models", "show")

    assert shown.exit_code == 0, shown.output
    assert renewed.access_token not in {"expired", first.access_token}
    assert renewed.expires_at > 0
    assert revoked.exit_code == 1
    assert "invalid_grant" in revoked.stderr


async def test_a_token_that_is_given_goes_over_the_login(
    ordergen: Ordergen, opened: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in(ordergen, opened, "ben")
    monkeypatch.setenv("ORDERGEN_TOKEN", "ordergen_wrong")

    assert (await ordergen("models", "show")).exit_code == 1


async def test_a_login_is_for_one_service_alone(
    ordergen: Ordergen, opened: Callable[[], Any], url: str
) -> None:
    await sign_in(ordergen, opened, "ben")

    refused = await ordergen("models", "show", "--url", url.replace("127.0.0.1", "localhost"))

    assert refused.exit_code == 1


async def test_who_cannot_sign_in_is_told_why(ordergen: Ordergen, tmp_path: Path) -> None:
    plain = await ordergen("login", "--url", "http://orders.example.com")
    nobody = await ordergen("logout")

    assert (plain.exit_code, "is not https" in plain.stderr) == (2, True)
    assert (nobody.exit_code, "nobody was signed in" in nobody.stdout) == (0, True)
