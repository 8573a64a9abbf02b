"""Leases on both embedded servers, because the two differ in the meaning of $$NOW."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from optimization.domain.options import NO_OVERRIDES
from storage.embedded.engines import MONGOD, SECANTUS
from storage.embedded.server import start, stop
from storage.errors import HandOverInProgressError, IdempotencyInProgressError
from storage.idempotency_store import IdempotencyStore
from storage.mongo.connection import WRITER_TIMEOUT_S, Document, connect, disconnect
from storage.mongo.leases import FREE, Leases, is_holder
from storage.orders.submission_store import OrderSubmissionStore
from storage.rebalances.rebalance import new_rebalance_id
from storage.runs.run import HoldingsRef, Run, Selection
from storage.runs.run_store import RunStore

pytestmark = pytest.mark.mongo

LEASE_S = 30.0
LAPSED_S = -1.0
PAST = datetime(2026, 1, 1, tzinfo=UTC)
FAR = datetime(2099, 1, 1, tzinfo=UTC)
DEFAULTS = {"made_at": "$$NOW", "state": "NEW"}


@pytest.fixture(scope="module")
def secantus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("secantus")
    (directory / "engine").write_text(SECANTUS)  # as after an earlier start with SecantusDB
    yield start(Path(directory)).uri
    stop(directory)


@pytest.fixture(params=[MONGOD, SECANTUS])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[AsyncDatabase[Document]]:
    """A new database of each embedded server in turn."""
    fixture = "mongodb_uri" if request.param == MONGOD else "secantus_uri"
    fresh = connect(
        request.getfixturevalue(fixture), f"test-{uuid4().hex}", WRITER_TIMEOUT_S * 1_000
    )
    yield fresh
    await fresh.client.drop_database(fresh.name)
    await disconnect(fresh)


@pytest.fixture
def collection(either: AsyncDatabase[Document]) -> AsyncCollection[Document]:
    return either["leased"]


@pytest.fixture
def leases(collection: AsyncCollection[Document]) -> Leases:
    return Leases(collection)


async def test_a_missing_document_is_made_with_its_defaults_and_leased(leases: Leases) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    document = await leases.acquire("one", "$mine", LEASE_S, DEFAULTS)
    assert is_holder(document, "$mine")
    assert document["state"] == "NEW"
    assert before < document["made_at"] < datetime.now(UTC) + timedelta(seconds=5)
    assert document["lease"]["until"] - document["made_at"] == timedelta(seconds=LEASE_S)


async def test_a_held_document_stays_as_it_is(leases: Leases) -> None:
    first = await leases.acquire("one", "mine", LEASE_S, DEFAULTS)
    again = await leases.acquire("one", "other", LEASE_S, {"state": "LATER"})
    assert again == first
    assert not is_holder(again, "other")


async def test_of_many_that_acquire_at_once_one_is_the_holder(leases: Leases) -> None:
    for key in range(5):
        tokens = [f"token {number}" for number in range(20)]
        found = await asyncio.gather(
            *(leases.acquire(key, token, LEASE_S, DEFAULTS) for token in tokens)
        )
        winners = {token for token in tokens for document in found if is_holder(document, token)}
        assert len(winners) == 1


@pytest.mark.parametrize("lease_s", [LEASE_S, LAPSED_S])
async def test_the_holder_acquires_once_more_whether_its_lease_has_lapsed_or_not(
    leases: Leases, lease_s: float
) -> None:
    await leases.acquire("one", "mine", lease_s)
    document = await leases.acquire("one", "mine", 2 * LEASE_S, projection={"lease": 1})
    assert is_holder(document, "mine")
    assert (await leases.seconds_left(["one"]))["mine"] > LEASE_S


@pytest.mark.parametrize(
    "free",
    [
        {},
        {"lease": None},
        {"lease": {"token": "dead", "until": PAST}},
        {"owner": "of before", "leased_until": FAR, "claimed_at": FAR},
    ],
)
async def test_a_document_without_a_lease_or_with_one_that_has_lapsed_is_free(
    leases: Leases, collection: AsyncCollection[Document], free: Document
) -> None:
    await collection.insert_one({"_id": "one", "kept": 1, **free})
    assert await collection.count_documents(FREE) == 1
    document = await leases.acquire("one", "mine", LEASE_S)
    assert is_holder(document, "mine")
    assert document["kept"] == 1
    assert await collection.count_documents(FREE) == 0


async def test_a_free_document_is_not_leased_where_the_condition_is_false(leases: Leases) -> None:
    for given, token, expected in (("a", "mine", True), ("b", "other", False)):
        same: Any = {"$eq": ["$given", {"$literal": given}]}
        document = await leases.acquire(
            "one", token, LAPSED_S, {"given": {"$literal": given}}, only_if=same
        )
        assert document["given"] == "a"
        assert is_holder(document, token) is expected


async def test_the_first_free_document_is_leased_and_the_held_ones_are_passed_over(
    leases: Leases, collection: AsyncCollection[Document]
) -> None:
    for key, lease_s in (("a", LEASE_S), ("b", LAPSED_S), ("c", LAPSED_S), ("d", LEASE_S)):
        await leases.acquire(key, "other", lease_s)
    await collection.insert_one({"_id": "e", "excluded": True})
    wanted = {"excluded": None}
    found = [await leases.acquire_first(wanted, "mine", LEASE_S, {"_id": 1}) for _ in range(3)]
    assert found == [{"_id": "b"}, {"_id": "c"}, None]


async def test_the_holder_alone_renews_and_changes(
    leases: Leases, collection: AsyncCollection[Document]
) -> None:
    await leases.acquire("one", "mine", LAPSED_S, DEFAULTS)
    document = await leases.renew("one", "mine", LEASE_S, {"state": "LATER"})
    assert document is not None
    assert document["state"] == "LATER"
    assert await leases.renew("one", "other", LEASE_S, {"state": "WRONG"}) is None
    assert await collection.find_one({"_id": "one"}) == document


async def test_who_lost_a_lease_does_not_release_it(leases: Leases) -> None:
    await leases.acquire("one", "slow", LAPSED_S)
    await leases.acquire("one", "quick", LEASE_S)
    await leases.release("one", "slow")
    assert await leases.seconds_left(["one"]) == {"quick": 30}
    await leases.release("one", "quick")
    assert await leases.seconds_left(["one"]) == {}


async def test_a_lapsed_lease_that_was_taken_away_is_not_renewed(leases: Leases) -> None:
    await leases.acquire("one", "lapsed", LAPSED_S)
    await leases.acquire("two", "held", LEASE_S)
    await leases.acquire("three", "not asked for", LAPSED_S)
    await leases.release_lapsed(["one", "two"])
    assert await leases.renew("one", "lapsed", LEASE_S) is None
    assert await leases.seconds_left(["one", "two", "three"]) == {"held": 30, "not asked for": 1}


async def test_either_server_lets_a_run_be_taken_over_once_its_lease_has_lapsed(
    either: AsyncDatabase[Document],
) -> None:
    runs = RunStore(either)
    run = Run(new_rebalance_id(), Selection(), NO_OVERRIDES, HoldingsRef("summaries"), FAR)
    await runs.add(run, "dead", LAPSED_S)
    claimed = await runs.claim("mine", LEASE_S)
    assert claimed is not None
    assert claimed.run_id == run.run_id
    assert await runs.claim("other", LEASE_S) is None


async def test_either_server_keeps_others_from_a_hand_over_and_its_timestamps_apart(
    either: AsyncDatabase[Document],
) -> None:
    hand_overs, rebalance_id = OrderSubmissionStore(either), new_rebalance_id()
    assert await hand_overs.begin(rebalance_id, "mine") is False
    stamps = [await hand_overs.next_batch(rebalance_id, "mine") for _ in range(20)]
    assert len(set(stamps)) == 20
    with pytest.raises(HandOverInProgressError) as caught:
        await hand_overs.begin(rebalance_id, "other")
    assert 170 < caught.value.leased_for_s <= 180


async def test_either_server_gives_an_idempotency_key_to_one(
    either: AsyncDatabase[Document],
) -> None:
    keys = IdempotencyStore(either)
    assert await keys.claim("k", "hash", "mine") is None
    with pytest.raises(IdempotencyInProgressError):
        await keys.claim("k", "hash", "other")
    await either["idempotency"].update_one({}, {"$set": {"lease.until": PAST}})
    assert await keys.claim("k", "hash", "other") is None
