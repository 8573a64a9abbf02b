from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serve_app.auth.key_requests import KeyRequest
from serve_app.auth.permissions import Role
from storage.access.api_key_store import COLLECTION, ApiKey, ApiKeyStore
from storage.audit.author import Author
from storage.audit_log import AuditLog
from storage.errors import NotFoundError
from tests.support.audit import seal_and_list

pytestmark = pytest.mark.mongo
NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)


def a_key(**changes: Any) -> ApiKey:
    key = KeyRequest("desk-7", (Role.TRADER,)).make("admin")[1]
    return replace(key, created_at=NOW, expires_at=NOW + timedelta(days=9), **changes)


async def test_a_key_is_read_as_it_was_stored(database: Any) -> None:
    store = ApiKeyStore(database)
    plain = a_key()
    full = a_key(
        models=("6" * 24,),
        portfolios=("P" * 24,),
        former_hash=b"1" * 32,
        former_expires_at=NOW,
        last_used_at=NOW,
        revoked_at=NOW,
    )
    for key in (plain, full):
        await store.add(key)

    assert [await store.find(key.key_id) for key in (plain, full)] == [plain, full]
    assert await store.find("0" * 16) is None


async def test_the_newest_keys_are_listed_first(database: Any) -> None:
    store = ApiKeyStore(database)
    keys = [replace(a_key(), created_at=NOW + timedelta(hours=hour)) for hour in range(5)]
    for key in keys:
        await store.add(key)

    page, total = await store.read_page(1, 2)

    assert (page, total) == ((keys[3], keys[2]), 5)


async def test_a_rotation_keeps_the_present_secret_as_the_former(database: Any) -> None:
    store, key = ApiKeyStore(database), a_key()
    await store.add(key)

    rotated = await store.rotate(key.key_id, b"2" * 32, NOW)
    again = await store.rotate(key.key_id, b"3" * 32, NOW + timedelta(hours=1))

    assert (rotated.secret_hash, rotated.former_hash) == (b"2" * 32, key.secret_hash)
    assert (again.secret_hash, again.former_hash) == (b"3" * 32, b"2" * 32)
    assert again.former_expires_at == NOW + timedelta(hours=1)
    assert await store.find(key.key_id) == again


async def test_a_revoked_key_stays_and_can_be_neither_rotated_nor_revoked_again(
    database: Any,
) -> None:
    store, key = ApiKeyStore(database), a_key()
    await store.add(key)

    revoked = await store.revoke(key.key_id)

    assert revoked.revoked_at is not None
    assert await store.find(key.key_id) == revoked
    with pytest.raises(NotFoundError, match=key.key_id):
        await store.rotate(key.key_id, b"2" * 32, NOW)
    for key_id in (key.key_id, "0" * 16):
        with pytest.raises(NotFoundError, match=key_id):
            await store.revoke(key_id)


async def test_a_use_is_stored_at_most_once_a_minute(database: Any) -> None:
    store, key = ApiKeyStore(database), a_key()
    await store.add(key)
    uses = [NOW + timedelta(seconds=second) for second in (0, 59, 61, 30)]

    stored: list[datetime | None] = []
    for use in uses:
        await store.note_use(key.key_id, use)
        found = await store.find(key.key_id)
        assert found is not None
        stored.append(found.last_used_at)

    assert stored == [uses[0], uses[0], uses[2], uses[2]]


async def test_no_document_has_a_secret(database: Any) -> None:
    text, key = KeyRequest("desk-7", (Role.TRADER,)).make("admin")
    await ApiKeyStore(database).add(key)

    (document,) = await database[COLLECTION].find().to_list()

    assert text.secret not in str(document)
    assert document["secret_hash"] == text.secret_hash


async def test_every_change_of_a_key_is_in_the_audit_log_without_its_secrets(database: Any) -> None:
    store = ApiKeyStore(database, lambda: Author(principal="ada"))
    key = a_key(models=("6" * 24,))
    await store.add(key)
    await store.rotate(key.key_id, b"2" * 32, NOW + timedelta(days=1))
    await store.revoke(key.key_id)
    with pytest.raises(NotFoundError):
        await store.revoke(key.key_id)

    entries = await seal_and_list(AuditLog(database))

    told = [(entry["action"], entry["object_id"], entry["principal"]) for entry in entries]
    actions = ("key.create", "key.rotate", "key.revoke")
    assert told == [(action, key.key_id, "ada") for action in actions]
    assert entries[0]["diff"] == {
        "owner": "desk-7",
        "roles": ["trader"],
        "scopes": [],
        "models": 1,
        "portfolios": None,
        "approver_level": 1,
        "expires_at": "2026-12-05T09:30:00.000Z",
    }
    assert "hash" not in str([entry["diff"] for entry in entries])
