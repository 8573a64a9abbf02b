"""Access tokens of an independent OpenID provider, also while its keys change."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from serve_app.auth.oidc import identity_provider
from serve_app.settings import Settings, read_settings
from tests.support.fakes import make_model_body
from tests.support.issuer import AUDIENCE
from tests.support.keys import client_with
from tests.support.oidc_provider import OidcProvider, fetch_access_token

pytestmark = pytest.mark.mongo
MODELS = "/api/v1/models"


@pytest.fixture
def settings(oidc_provider: OidcProvider) -> Settings:
    return read_settings(
        {"auth": "oidc", "oidc_issuer": oidc_provider.url, "oidc_audience": AUDIENCE}
    )


@pytest.fixture
async def fetches(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """Addresses that the service reads at the provider, without a pause between them."""
    monkeypatch.setattr(identity_provider, "MIN_PAUSE_S", 0.0)
    provider: Any = app.state.identity.provider
    fetch, fetched = provider.fetch_json, list[str]()

    async def note(request: Any, *arguments: Any) -> Any:
        fetched.append(request.url)
        return await fetch(request, *arguments)

    monkeypatch.setattr(provider, "fetch_json", note)
    yield fetched
    await provider.close()


async def statuses(app: FastAPI, *tokens: str) -> list[int]:
    found: list[int] = []
    for token in tokens:
        async with client_with(app, token) as client:
            found.append((await client.get(MODELS)).status_code)
    return found


async def test_a_token_of_the_provider_has_the_rights_of_its_account(
    app: FastAPI, oidc_provider: OidcProvider, fetches: list[str]
) -> None:
    written: list[int] = []
    for account in ("ada", "ben", "eve"):
        async with client_with(app, await fetch_access_token(oidc_provider, account)) as client:
            answer = await client.post(MODELS, json=make_model_body(f"Growth of {account}"))
            written.append(answer.status_code)

    assert written == [201, 403, 403]
    assert len(fetches) == 2


async def test_when_the_provider_signs_with_a_new_key_old_and_new_tokens_are_valid_after_one_fetch(
    app: FastAPI, oidc_provider: OidcProvider, fetches: list[str]
) -> None:
    old = await fetch_access_token(oidc_provider, "ben")
    before = await statuses(app, old)
    known = len(fetches)
    oidc_provider.command("rotate")
    new = await fetch_access_token(oidc_provider, "ben")

    after = await statuses(app, new, old, new, old)

    assert (before, after) == ([200], [200] * 4)
    assert len(fetches) == known + 1


async def test_a_token_is_refused_once_the_provider_has_withdrawn_its_key(
    app: FastAPI, oidc_provider: OidcProvider, fetches: list[str]
) -> None:
    old = await fetch_access_token(oidc_provider, "ben")
    before = await statuses(app, old)
    oidc_provider.command("rotate")
    oidc_provider.command("withdraw")
    new = await fetch_access_token(oidc_provider, "ben")

    after = await statuses(app, new, old)

    assert (before, after) == ([200], [200, 401])
