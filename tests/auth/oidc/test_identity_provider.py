"""Documents of a provider: how often they are fetched, what is refused, what an outage does."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from serve_app.auth.errors import ProviderUnavailableError
from serve_app.auth.oidc import identity_provider
from serve_app.auth.oidc.identity_provider import (
    MAX_DOCUMENT_BYTES,
    MIN_PAUSE_S,
    REFRESH_EVERY_S,
    IdentityProvider,
)
from serve_app.upstream.http_transports import KeptConnections
from tests.support.issuer import DISCOVERY, JWKS, Issuer
from tests.support.upstream_servers import respond

OUTAGE_S = 3600.0


class Clock:
    """Clock that a test sets, in seconds."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider(issuer: Issuer, clock: Clock) -> AsyncIterator[IdentityProvider]:
    transport = KeptConnections(4, 1.0)
    provider = IdentityProvider(issuer.serve(), OUTAGE_S, transport, clock=clock)
    yield provider
    await provider.close()


async def is_known(provider: IdentityProvider, key_id: str = "ec") -> bool:
    return bool(await provider.find_keys(key_id, "ES256"))


async def wait_until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - a provider tells nobody that it was asked
            await asyncio.sleep(0.01)


async def test_the_documents_are_fetched_once_for_simultaneous_and_later_requests(
    provider: IdentityProvider, issuer: Issuer
) -> None:
    assert issuer.calls == []
    found = await asyncio.gather(*(is_known(provider) for _ in range(50)))
    await is_known(provider)

    assert all(found)
    assert issuer.calls == [DISCOVERY, JWKS]


async def test_a_new_key_is_found_after_one_refresh(
    provider: IdentityProvider, issuer: Issuer, clock: Clock
) -> None:
    await is_known(provider)
    issuer.keys["ec-2"] = issuer.keys["ec"]
    clock.now_s += MIN_PAUSE_S

    assert await is_known(provider, "ec-2")
    assert issuer.calls == [DISCOVERY, JWKS, JWKS]


async def test_unknown_keys_make_one_fetch_in_ten_seconds_however_many_there_are(
    provider: IdentityProvider, issuer: Issuer, clock: Clock
) -> None:
    await is_known(provider)
    for second in range(60):
        clock.now_s = 1000.0 + second
        found = await asyncio.gather(*(is_known(provider, f"kid-{each}") for each in range(20)))
        assert not any(found)

    assert issuer.calls.count(JWKS) == 60 / MIN_PAUSE_S


async def test_old_keys_are_renewed_in_the_background_and_a_withdrawn_key_goes(
    provider: IdentityProvider, issuer: Issuer, clock: Clock
) -> None:
    await is_known(provider)
    del issuer.keys["ec"]
    clock.now_s += REFRESH_EVERY_S + 1

    assert await is_known(provider)  # at once, by the keys that are there
    await wait_until(lambda: issuer.calls.count(JWKS) == 2)
    await asyncio.sleep(0.1)
    assert not await is_known(provider)


async def test_known_keys_outlast_an_outage_for_as_long_as_the_settings_say(
    provider: IdentityProvider, issuer: Issuer, clock: Clock
) -> None:
    await is_known(provider)
    issuer.is_down = True
    clock.now_s += OUTAGE_S - 1
    assert await is_known(provider)
    await wait_until(lambda: len(issuer.calls) == 3)
    await asyncio.sleep(0.1)

    clock.now_s += 2
    with pytest.raises(ProviderUnavailableError, match="cannot be checked now"):
        await is_known(provider)


async def test_in_an_outage_an_unknown_key_is_neither_let_in_nor_called_wrong(
    provider: IdentityProvider, issuer: Issuer, clock: Clock
) -> None:
    await is_known(provider)
    issuer.is_down = True
    clock.now_s += MIN_PAUSE_S
    for _ in range(20):
        with pytest.raises(ProviderUnavailableError):
            await is_known(provider, "new")
        assert await is_known(provider)

    assert issuer.calls.count(JWKS) == 2


async def test_a_provider_that_was_down_at_first_is_asked_again_ten_seconds_later(
    provider: IdentityProvider, issuer: Issuer, clock: Clock
) -> None:
    issuer.is_down = True
    for _ in range(20):
        with pytest.raises(ProviderUnavailableError):
            await is_known(provider)
    assert len(issuer.calls) == 1

    issuer.is_down = False
    clock.now_s += MIN_PAUSE_S
    assert await is_known(provider)


async def test_a_request_that_leaves_does_not_end_the_fetch_that_others_wait_for(
    provider: IdentityProvider,
) -> None:
    leaving, waiting = (asyncio.create_task(is_known(provider)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await waiting


def too_long() -> bytes:
    return respond(b'{"keys": [' + b" " * MAX_DOCUMENT_BYTES + b"]}")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"keys": []}),
        httpx.Response(200, json=[]),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text='{"keys": [], "keys": []}'),
        httpx.Response(404),
        httpx.Response(302, headers={"Location": "/elsewhere"}),
        respond(b'{"keys": []}', length=1000),
        respond(b"{}", "Content-Encoding: br"),
        respond(b"[" * 100_000),
        too_long(),
        b"no HTTP",
    ],
    ids=range(11),
)
@pytest.mark.parametrize("path", [DISCOVERY, JWKS])
async def test_an_answer_that_is_not_the_document_lets_nobody_in(
    provider: IdentityProvider, issuer: Issuer, path: str, answer: httpx.Response | bytes
) -> None:
    issuer.answers[path] = answer

    with pytest.raises(ProviderUnavailableError):
        await is_known(provider)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://another.example"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "http://id.example.com/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ["https://id.example.com/jwks"]},
        {"token_endpoint": "http://id.example.com/token"},
    ],
)
async def test_a_discovery_document_of_another_issuer_or_with_open_addresses_is_refused(
    provider: IdentityProvider, issuer: Issuer, change: dict[str, object]
) -> None:
    document = {**issuer.documents[DISCOVERY], **change}
    issuer.answers[DISCOVERY] = respond(json.dumps(document).encode())

    with pytest.raises(ProviderUnavailableError):
        await is_known(provider)


async def test_a_provider_that_does_not_answer_is_not_waited_for(
    provider: IdentityProvider, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_provider, "ANSWER_WITHIN_S", 0.05)
    issuer.answers[JWKS] = respond(b"{", length=100)

    with pytest.raises(ProviderUnavailableError):
        await is_known(provider)
