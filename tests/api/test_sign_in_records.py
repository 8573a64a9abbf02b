"""Records of who signs in and out with a browser, and of who is refused, in the audit log."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.auth.api_keys import make_key, parse_key
from serve_app.auth.permissions import Role
from serve_app.settings import Settings, read_settings
from tests.support.fakes import Stored
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo
OWN = {"Origin": "http://localhost"}


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_with(app) as browser:
        yield browser


async def sign_in(
    browser: httpx.AsyncClient, key: str, correlation_id: str = "morning"
) -> httpx.Response:
    headers = {**OWN, "X-Correlation-ID": correlation_id}
    return await browser.post("/session", json={"key": key}, headers=headers)


async def list_entries(app: FastAPI, stored: Stored) -> list[dict[str, Any]]:
    """List what was recorded of sessions, the oldest first."""
    key = await add_key(stored, Role.ADMIN, owner="auditor")
    async with client_with(app, key) as auditor:
        answer = await auditor.get("/api/v1/audit", params={"object_type": "session"})
    assert answer.status_code == 200, answer.text
    return answer.json()[::-1]


def key_id_of(key: str) -> str:
    parsed = parse_key(key)
    assert parsed is not None
    return parsed.key_id


async def test_signing_in_and_out_is_recorded_with_principal_key_and_correlation_id(
    app: FastAPI, stored: Stored, browser: httpx.AsyncClient
) -> None:
    key = await add_key(stored, Role.VIEWER, owner="ada")
    await sign_in(browser, key)
    secret = browser.cookies["ordergen-session"]
    for _ in range(2):  # the second of a browser that is out already
        await browser.delete("/session", headers={**OWN, "X-Correlation-ID": "evening"})

    begun, ended = entries = await list_entries(app, stored)

    assert [each["action"] for each in entries] == ["session.begin", "session.end"]
    assert [each["correlation_id"] for each in entries] == ["morning", "evening"]
    assert {each["principal"] for each in entries} == {"ada"}
    assert begun["object_id"] == ended["object_id"]
    assert begun["diff"] == {"signed_in_with": "key", "key_id": key_id_of(key)}
    assert key not in str(entries)
    assert secret not in str(entries)


async def test_an_attempt_with_a_wrong_key_is_recorded_without_the_key(
    app: FastAPI, stored: Stored, browser: httpx.AsyncClient
) -> None:
    wrong = str(make_key())
    assert (await sign_in(browser, wrong)).status_code == 400

    (entry,) = await list_entries(app, stored)

    assert (entry["action"], entry["outcome"]) == ("session.refuse", "REFUSED")
    assert (entry["principal"], entry["correlation_id"]) == (None, "morning")
    assert entry["diff"]["operation"] == "POST /session"
    assert "not valid" in entry["diff"]["reason"]
    assert wrong.rsplit("_", maxsplit=1)[-1] not in str(entry)


async def test_an_attempt_with_a_revoked_key_is_recorded_under_its_owner(
    app: FastAPI, stored: Stored, browser: httpx.AsyncClient
) -> None:
    key = await add_key(stored, Role.VIEWER, owner="ada")
    await stored.resources.api_keys.revoke(key_id_of(key))
    assert (await sign_in(browser, key)).status_code == 400

    (entry,) = await list_entries(app, stored)

    assert (entry["action"], entry["principal"]) == ("session.refuse", "ada")
    assert "revoked" in entry["diff"]["reason"]


async def test_more_wrong_keys_than_the_log_takes_leave_room_for_those_of_known_owners(
    app: FastAPI, stored: Stored, browser: httpx.AsyncClient
) -> None:
    key = await add_key(stored, Role.VIEWER, owner="ada")
    await stored.resources.api_keys.revoke(key_id_of(key))
    answers = [await sign_in(browser, str(make_key())) for _ in range(30)]
    await sign_in(browser, key)

    entries = await list_entries(app, stored)

    assert {answer.status_code for answer in answers} == {400}
    assert 10 <= len(entries) < 30
    assert entries[-1]["principal"] == "ada"
