from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import WriteError

from storage.access.session_store import COLLECTION, Session, SessionStore

pytestmark = pytest.mark.mongo
NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
SESSION = Session(
    session_id="a" * 64,
    name="ada",
    display_name="Ada Lovelace",
    scopes=("models:read",),
    created_at=NOW,
    expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(hours=8),
)


async def test_a_session_is_read_as_it_was_stored_until_it_is_removed(database: Any) -> None:
    store = SessionStore(database)
    full = replace(
        SESSION,
        session_id="b" * 64,
        models=("6" * 24,),
        portfolios=(),
        approver_level=3,
        key_id="0" * 16,
    )
    for session in (SESSION, full, full):
        await store.put(session)

    assert [await store.find(session.session_id) for session in (SESSION, full)] == [SESSION, full]
    for _ in range(2):
        await store.remove(full.session_id)
    assert await store.find(full.session_id) is None
    assert await store.find(SESSION.session_id) == SESSION


async def test_an_expired_session_is_not_found_and_the_database_removes_it(database: Any) -> None:
    store = SessionStore(database)
    await store.put(replace(SESSION, expires_at=NOW))

    assert await store.find(SESSION.session_id) is None
    indexes = await database[COLLECTION].index_information()
    assert indexes["expired"]["expireAfterSeconds"] == 0


@pytest.mark.parametrize("change", [{"session_id": "secret"}, {"name": 7}])
async def test_the_database_refuses_what_is_no_session(
    database: Any, change: dict[str, Any]
) -> None:
    with pytest.raises(WriteError, match="validation"):
        await SessionStore(database).put(replace(SESSION, **change))
