import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.errors import IdempotencyInProgressError, IdempotencyMismatchError
from storage.idempotency_store import IdempotencyStore
from storage.mongo.connection import Document

pytestmark = pytest.mark.mongo


@pytest.fixture
def keys(database: AsyncDatabase[Document]) -> IdempotencyStore:
    return IdempotencyStore(database)


async def test_completed_work_is_answered_by_its_reference(keys: IdempotencyStore) -> None:
    assert await keys.claim("k", "hash", "me") is None
    await keys.complete("k", "me", "made")
    assert [await keys.claim("k", "hash", "me") for _ in range(2)] == ["made", "made"]


async def test_the_first_completion_stands(keys: IdempotencyStore) -> None:
    await keys.claim("k", "hash", "me")
    await keys.complete("k", "me", "first")
    await keys.complete("k", "me", "second")
    await keys.release("k", "me")
    assert await keys.claim("k", "hash", "me") == "first"


async def test_of_8_simultaneous_claims_exactly_one_wins(keys: IdempotencyStore) -> None:
    claims = [keys.claim("k", "hash", f"owner {number}") for number in range(8)]
    answers = await asyncio.gather(*claims, return_exceptions=True)
    assert answers.count(None) == 1
    assert sum(isinstance(answer, IdempotencyInProgressError) for answer in answers) == 7


async def test_another_request_under_the_same_key_is_refused(keys: IdempotencyStore) -> None:
    await keys.claim("k", "hash", "me")
    with pytest.raises(IdempotencyMismatchError, match="'k'"):
        await keys.claim("k", "other", "me")
    await keys.complete("k", "me", "made")
    with pytest.raises(IdempotencyMismatchError):
        await keys.claim("k", "other", "me")


async def test_failed_work_gives_its_key_back(keys: IdempotencyStore) -> None:
    await keys.claim("k", "hash", "me")
    await keys.release("k", "me")
    assert await keys.claim("k", "other", "me") is None


async def test_an_abandoned_claim_is_taken_over_by_exactly_one(
    keys: IdempotencyStore, database: AsyncDatabase[Document]
) -> None:
    await keys.claim("k", "hash", "me")
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    await database["idempotency"].update_one({}, {"$set": {"lease.until": long_ago}})
    claims = [keys.claim("k", "hash", f"owner {number}") for number in range(8)]
    answers = await asyncio.gather(*claims, return_exceptions=True)
    assert answers.count(None) == 1


async def test_a_claim_within_its_lease_is_left_alone(database: AsyncDatabase[Document]) -> None:
    keys = IdempotencyStore(database, lease=timedelta(hours=1))
    await keys.claim("k", "hash", "me")
    with pytest.raises(IdempotencyInProgressError):
        await keys.claim("k", "hash", "another")


async def test_a_claim_whose_answer_was_lost_can_be_repeated_by_its_owner(
    keys: IdempotencyStore,
) -> None:
    assert await keys.claim("k", "hash", "me") is None
    assert await keys.claim("k", "hash", "me") is None


async def test_who_lost_its_claim_can_neither_complete_it_nor_give_it_back(
    database: AsyncDatabase[Document],
) -> None:
    keys = IdempotencyStore(database, lease=timedelta(0))
    await keys.claim("k", "hash", "slow")
    await asyncio.sleep(0.01)
    assert await keys.claim("k", "hash", "quick") is None
    await keys.complete("k", "slow", "made late")
    await keys.release("k", "slow")
    await keys.complete("k", "quick", "made")
    assert await keys.claim("k", "hash", "third") == "made"
