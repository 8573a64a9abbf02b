"""Tokens of an identity provider over HTTP: who gets in, what the others are told."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from fastapi import FastAPI

from serve_app.auth.api_keys import make_key
from serve_app.auth.permissions import Role
from serve_app.settings import Settings, read_settings
from tests.support.fakes import Stored, make_model_body
from tests.support.forged_tokens import FORGERS
from tests.support.issuer import AUDIENCE, JWKS, Issuer
from tests.support.keys import add_key, client_with
from tests.support.upstream_servers import opened

pytestmark = pytest.mark.mongo
MODELS = "/api/v1/models"
AUTH = {"auth": "oidc", "oidc_audience": AUDIENCE}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    issuer.serve()
    yield issuer
    await opened.aclose()


@pytest.fixture
def changes(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings that a test adds."""
    return getattr(request, "param", {})


@pytest.fixture
def settings(issuer: Issuer, changes: dict[str, Any]) -> Settings:
    return read_settings({**AUTH, "oidc_issuer": issuer.url, **changes})


@pytest.fixture(autouse=True)
async def _disconnected(  # pyright: ignore[reportUnusedFunction]
    app: FastAPI,
) -> AsyncIterator[None]:
    yield
    await app.state.identity.provider.close()


async def test_a_caller_with_a_token_may_do_what_its_roles_say(
    app: FastAPI, issuer: Issuer
) -> None:
    async with client_with(app, issuer.token(roles=["viewer"])) as client:
        read, written = await client.get(MODELS), await client.post(MODELS, json=make_model_body())

    assert read.status_code == 200
    assert (written.status_code, written.json()["type"]) == (403, "/problems/scope-missing")
    assert 'error="insufficient_scope", scope="models:write"' in written.headers["www-authenticate"]


@pytest.mark.parametrize("forger", FORGERS, ids=lambda forger: forger.__name__)
async def test_a_forged_token_is_a_401_that_does_not_say_what_is_wrong(
    app: FastAPI, issuer: Issuer, forger: Any
) -> None:
    token = forger(issuer, Random(7)).encode("ascii", "ignore").decode().strip()
    async with client_with(app, "".join(each for each in token if each.isprintable())) as client:
        answer = await client.get(MODELS)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].endswith('error="invalid_token"')
    assert answer.json()["type"] == "/problems/unauthenticated"
    assert answer.json()["detail"] in {"the credentials are not valid", "the token expired"}


async def test_without_the_keys_of_the_provider_nobody_is_let_in_and_told_why(
    app: FastAPI, issuer: Issuer
) -> None:
    issuer.is_down = True
    async with client_with(app, issuer.token(roles=["admin"])) as client:
        answer = await client.get(MODELS)
        live = await client.get("/health/live")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert answer.json()["type"] == "/problems/identity-provider-unavailable"
    assert live.status_code == 200


async def test_unknown_keys_do_not_make_the_service_call_the_provider_without_limit(
    app: FastAPI, issuer: Issuer
) -> None:
    good = issuer.token(roles=["viewer"])
    for number in range(50):
        forged = issuer.sign("{}", kid=f"kid-{number}")
        async with client_with(app, forged) as client:
            assert (await client.get(MODELS)).status_code == 401
    async with client_with(app, good) as client:
        assert (await client.get(MODELS)).status_code == 200

    assert issuer.calls.count(JWKS) == 1


async def test_a_service_that_takes_tokens_alone_has_no_keys(app: FastAPI, issuer: Issuer) -> None:
    async with client_with(app, str(make_key())) as client:
        assert (await client.get(MODELS)).status_code == 401
    async with client_with(app, issuer.token(roles=["admin"])) as client:
        assert (await client.get("/api/v1/keys")).status_code == 404


@pytest.mark.parametrize("changes", [{"auth": "keys+oidc"}], indirect=True)
async def test_keys_and_tokens_are_taken_side_by_side_also_while_the_provider_is_down(
    app: FastAPI, issuer: Issuer, stored: Stored
) -> None:
    key = await add_key(stored, Role.ADMIN, owner="nightly")
    statuses: list[int] = []
    for token in (key, issuer.token(roles=["admin"])):
        async with client_with(app, token) as client:
            statuses.append((await client.get("/api/v1/keys")).status_code)
    issuer.is_down = True
    async with client_with(app, key) as client:
        statuses.append((await client.get(MODELS)).status_code)

    assert statuses == [200, 200, 200]


async def test_changes_name_the_subject_of_the_token_in_the_audit_log_and_in_versions(
    app: FastAPI, issuer: Issuer
) -> None:
    token = issuer.token(roles=["model-manager", "operator"], name="Ada Lovelace")
    async with client_with(app, token) as client:
        model = (await client.post(MODELS, json=make_model_body())).json()
        (entry,) = (await client.get("/api/v1/audit")).json()
        (version,) = (await client.get(f"/api/v1/model/{model['model_id']}/versions")).json()

    assert (entry["principal"], version["principal"]) == ("248289761001", "248289761001")


@pytest.mark.parametrize("changes", [{"rate_limit_per_minute": 1}], indirect=True)
async def test_each_subject_has_a_rate_limit_of_its_own(app: FastAPI, issuer: Issuer) -> None:
    statuses: list[int] = []
    for subject in ("ada", "ada", "ben"):
        async with client_with(app, issuer.token(sub=subject, roles=["viewer"])) as client:
            statuses.append((await client.get(MODELS)).status_code)

    assert statuses == [200, 429, 200]


@pytest.mark.parametrize("changes", [{"oidc_models_claim": "models"}], indirect=True)
async def test_a_token_may_limit_its_caller_to_models(app: FastAPI, issuer: Issuer) -> None:
    async with client_with(app, issuer.token(roles=["admin"], models="*")) as client:
        mine = (await client.post(MODELS, json=make_model_body("Mine"))).json()["model_id"]
        other = (await client.post(MODELS, json=make_model_body("Other"))).json()["model_id"]
    async with client_with(app, issuer.token(roles=["admin"], models=[mine])) as client:
        listed = (await client.get(MODELS)).json()
        statuses = [
            (await client.get(f"/api/v1/model/{each}")).status_code for each in (mine, other)
        ]

    assert [each["name"] for each in listed] == ["Mine"]
    assert statuses == [200, 403]
