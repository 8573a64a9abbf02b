"""Authentication by API keys: what a caller learns, and what the service calls on the way."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serve_app.auth.api_keys import KeyText, make_key, parse_key
from serve_app.auth.authentication import ApiKeyAuthenticator
from serve_app.auth.errors import AuthenticationError
from serve_app.auth.key_requests import KeyRequest
from serve_app.auth.permissions import ROLES, Role, Scope
from storage.access.api_key_store import ApiKey
from storage.errors import StorageUnavailableError

TEXT, KEY = KeyRequest("nightly", (Role.TRADER,), (Scope.SYSTEM_READ,)).make("test")
HOUR = timedelta(hours=1)


class Keys:
    """Stored keys that record the calls."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = {key.key_id: key for key in keys}
        self.calls: list[str] = []
        self.error: Exception | None = None

    async def find_api_key(self, key_id: str) -> ApiKey | None:
        self.calls.append("find")
        return self.keys.get(key_id)

    async def note_api_key_use(self, _key_id: str, _at: datetime) -> None:
        self.calls.append("note")
        if self.error is not None:
            raise self.error


def authenticator(keys: Any, clock: Callable[[], float] = lambda: 0.0) -> ApiKeyAuthenticator:
    return ApiKeyAuthenticator(keys, clock=clock)


async def refusal(keys: Keys, token: str) -> str:
    with pytest.raises(AuthenticationError) as found:
        await authenticator(keys).authenticate(token)
    return str(found.value)


async def test_a_key_gives_its_owner_the_scopes_of_its_roles_and_its_own():
    principal = await authenticator(Keys(KEY)).authenticate(str(TEXT))

    assert principal.name == "nightly"
    assert principal.scopes == ROLES[Role.TRADER] | {Scope.SYSTEM_READ}
    assert not principal.is_limited


async def test_an_unknown_id_and_a_wrong_secret_make_the_same_calls_and_get_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
):
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def record(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", record)
    found: list[tuple[str, list[str], list[tuple[int, int]]]] = []
    for token in (make_key(), KeyText(TEXT.key_id, "0" * 64)):
        keys = Keys(KEY)
        compared.clear()
        found.append((await refusal(keys, str(token)), keys.calls, [*compared]))

    unknown, wrong = found
    assert unknown == wrong == ("the credentials are not valid", ["find"], [(32, 32), (32, 32)])


NO_KEYS = {
    "empty": "",
    "its first word": "ordergen_",
    "shorter": str(TEXT)[:-1],
    "longer": f"{TEXT}0",
    "in capitals": str(TEXT).upper(),
    "after a space": f" {TEXT}",
    "before a line break": f"{TEXT}\n",
    "with another first word": str(TEXT).replace("ordergen", "order"),
    "with hyphens": str(TEXT).replace("_", "-"),
}


@pytest.mark.parametrize("token", NO_KEYS.values(), ids=NO_KEYS)
async def test_a_text_that_is_no_key_is_refused_without_a_look_into_the_database(token: str):
    keys = Keys(KEY)

    assert await refusal(keys, token) == "the credentials are not valid"
    assert keys.calls == []


async def test_both_secrets_are_valid_during_the_overlap_of_a_rotation_and_one_afterwards():
    fresh = make_key(KEY.key_id)
    during = replace(
        KEY,
        secret_hash=fresh.secret_hash,
        former_hash=TEXT.secret_hash,
        former_expires_at=datetime.now(UTC) + HOUR,
    )
    after = replace(during, former_expires_at=datetime.now(UTC) - HOUR)

    for token in (TEXT, fresh):
        assert (await authenticator(Keys(during)).authenticate(str(token))).name == "nightly"
    assert (await authenticator(Keys(after)).authenticate(str(fresh))).name == "nightly"
    assert await refusal(Keys(after), str(TEXT)) == "the credentials are not valid"


async def test_the_owner_of_the_secret_is_told_that_the_key_is_revoked_or_expired():
    past = datetime(2026, 11, 1, tzinfo=UTC)
    revoked, expired = replace(KEY, revoked_at=past), replace(KEY, expires_at=past)

    assert await refusal(Keys(revoked), str(TEXT)) == "the key is revoked"
    assert await refusal(Keys(expired), str(TEXT)) == "the key expired at 2026-11-01T00:00:00Z"
    for key in (revoked, expired):
        wrong = str(KeyText(key.key_id, "0" * 64))
        assert await refusal(Keys(key), wrong) == "the credentials are not valid"


async def test_a_key_is_read_once_for_simultaneous_and_later_requests():
    keys = Keys(KEY)
    subject = authenticator(keys)

    await asyncio.gather(*(subject.authenticate(str(TEXT)) for _ in range(20)))
    await subject.authenticate(str(TEXT))

    assert keys.calls.count("find") == 1


async def test_a_revoked_key_is_refused_once_the_cached_key_is_too_old():
    keys = Keys(KEY)
    subject = ApiKeyAuthenticator(keys, ttl_s=0.01)  # pyright: ignore[reportArgumentType]
    await subject.authenticate(str(TEXT))
    keys.keys[KEY.key_id] = replace(KEY, revoked_at=datetime.now(UTC))

    async with asyncio.timeout(10):
        while True:
            try:
                await subject.authenticate(str(TEXT))
            except AuthenticationError:
                break
            await asyncio.sleep(0.01)


async def test_the_use_of_a_key_is_stored_once_a_minute_and_a_failure_harms_nobody():
    keys, now = Keys(KEY), 0.0
    subject = authenticator(keys, lambda: now)
    keys.error = StorageUnavailableError("the database cannot be reached")

    for now in (0.0, 59.0, 61.0, 119.0):  # noqa: B007 - the clock reads it
        await subject.authenticate(str(TEXT))
        await asyncio.sleep(0)

    assert keys.calls.count("note") == 2


def test_a_key_has_256_random_bits_and_its_text_can_be_read_back():
    keys = [make_key() for _ in range(100)]

    assert len({key.secret for key in keys} | {key.key_id for key in keys}) == 200
    assert all(len(bytes.fromhex(key.secret)) * 8 == 256 for key in keys)
    assert [parse_key(str(key)) for key in keys] == keys


def test_a_secret_is_in_no_representation_of_a_stored_key():
    assert TEXT.secret not in repr(KEY)
