import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.database import Document
from storage.errors import IdempotencyInProgressError, IdempotencyMismatchError
from storage.idempotency import Idempotency

pytestmark = pytest.mark.mongo


@pytest.fixture
def keys(database: AsyncDatabase[Document]) -> Idempotency:
    return Idempotency(database)


async def test_completed_work_is_answered_by_its_reference(keys: Idempotency) -> None:
    assert await keys.claim("k", "hash") is None
    await keys.complete("k", "made")
    assert [await keys.claim("k", "hash") for _ in range(2)] == ["made", "made"]


async def test_the_first_completion_stands(keys: Idempotency) -> None:
    await keys.claim("k", "hash")
    await keys.complete("k", "first")
    await keys.complete("k", "second")
    await keys.release("k")
    assert await keys.claim("k", "hash") == "first"


async def test_of_8_simultaneous_claims_exactly_one_wins(keys: Idempotency) -> None:
    claims = [keys.claim("k", "hash") for _ in range(8)]
    answers = await asyncio.gather(*claims, return_exceptions=True)
    assert answers.count(None) == 1
    assert sum(isinstance(answer, IdempotencyInProgressError) for answer in answers) == 7


async def test_another_request_under_the_same_key_is_refused(keys: Idempotency) -> None:
    await keys.claim("k", "hash")
    with pytest.raises(IdempotencyMismatchError, match="'k'"):
        await keys.claim("k", "other")
    await keys.complete("k", "made")
    with pytest.raises(IdempotencyMismatchError):
        await keys.claim("k", "other")


async def test_failed_work_gives_its_key_back(keys: Idempotency) -> None:
    await keys.claim("k", "hash")
    await keys.release("k")
    assert await keys.claim("k", "other") is None


async def test_an_abandoned_claim_is_taken_over_by_exactly_one(
    keys: Idempotency, database: AsyncDatabase[Document]
) -> None:
    await keys.claim("k", "hash")
    long_ago = datetime.now(UTC) - timedelta(minutes=11)
    await database["idempotency"].update_one({}, {"$set": {"claimed_at": long_ago}})
    claims = [keys.claim("k", "hash") for _ in range(8)]
    answers = await asyncio.gather(*claims, return_exceptions=True)
    assert answers.count(None) == 1


async def test_a_claim_within_its_lease_is_left_alone(database: AsyncDatabase[Document]) -> None:
    keys = Idempotency(database, lease=timedelta(hours=1))
    await keys.claim("k", "hash")
    with pytest.raises(IdempotencyInProgressError):
        await keys.claim("k", "hash")
