"""Stored runs: leases, remaining work, progress."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from optimization.domain.options import NO_OVERRIDES, Direction, OptionOverrides, Percent
from optimization.domain.outcome import Refusal, Status
from storage.errors import IdempotencyInProgressError, LeaseLostError, NotFoundError
from storage.idempotency_store import IdempotencyClaim, IdempotencyStore
from storage.mongo.connection import Document, build_client_options
from storage.rebalances.rebalance import new_rebalance_id
from storage.rebalances.rebalance_store import RebalanceStore
from storage.runs.run import HoldingsRef, Run, RunPlan, RunStatus, Selection, Snapshot, Totals
from storage.runs.run_store import RunStore
from tests.support.samples import make_rebalance as a_part

pytestmark = pytest.mark.mongo

LEASE_S = 30.0
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
PORTFOLIOS = tuple(f"{number:024}" for number in range(25))
SNAPSHOT = Snapshot("one", NOW, {"BRK.B": Decimal("481.25"), "$ODD": Decimal("0.000001")})


@pytest.fixture
def runs(database: AsyncDatabase[Document]) -> RunStore:
    return RunStore(database)


def a_run(**fields: object) -> Run:
    run = Run(new_rebalance_id(), Selection(), NO_OVERRIDES, HoldingsRef("summaries"), NOW)
    return replace(run, **fields)  # pyright: ignore[reportArgumentType]


def a_plan(portfolios: int = 25, chunks: int = 3) -> RunPlan:
    return RunPlan(SNAPSHOT, HoldingsRef("file", "a.parquet", "7-9"), 1, portfolios, chunks, NOW)


async def test_a_run_reads_back_with_its_selection_and_options(runs: RunStore) -> None:
    run = a_run(
        selection=Selection((new_rebalance_id(),), PORTFOLIOS),
        overrides=OptionOverrides(
            {
                "cash_floor": Percent(Decimal("2.5")),
                "direction": Direction.BUY_ONLY,
                "frozen": frozenset({"A" * 24}),
                "maximum_trades": None,
                "time_limit_s": 2.5,
            }
        ),
        stops_on_outage=True,
        correlation_id="nightly",
    )
    assert await runs.add(run, "mine", LEASE_S)
    assert await runs.read_whole(run.run_id) == run


class Replies(CommandListener):
    """Listener that keeps every reply of the database as text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self.texts.append(str(event.reply))

    def failed(self, event: CommandFailedEvent) -> None:
        pass


async def test_polls_and_leases_of_a_run_read_neither_its_portfolios_nor_their_options(
    database: AsyncDatabase[Document], mongodb_uri: str
) -> None:
    own = {PORTFOLIOS[0]: OptionOverrides({"cash_floor": Percent(Decimal(2))})}
    run = a_run(selection=Selection((), PORTFOLIOS), overrides_by_portfolio=own)
    part = replace(a_part(), run_id=run.run_id, overrides_by_portfolio=own)
    await RebalanceStore(database).open(part)
    replies = Replies()
    async with AsyncMongoClient[Document](
        mongodb_uri, event_listeners=[replies], **build_client_options(20_000, 5)
    ) as client:
        runs, rebalances = RunStore(client[database.name]), RebalanceStore(client[database.name])
        await runs.add(run, "mine", LEASE_S)

        await runs.read(run.run_id)
        await runs.renew(run.run_id, "mine", LEASE_S)
        await runs.store_plan(run.run_id, "mine", a_plan())
        await runs.begin_chunk(run.run_id)
        await runs.read_page(0, 10)
        (seen,) = await rebalances.list_parts(run.run_id)
        assert await rebalances.list_part_ids(run.run_id, 10) == (seen.rebalance_id,)
        await rebalances.list_older_than(NOW + timedelta(days=999), 10)
        await runs.cancel(run.run_id)

    assert len(replies.texts) >= 10
    assert [text for text in replies.texts if PORTFOLIOS[0] in text] == []
    assert await RebalanceStore(database).list_parts(run.run_id, with_own_options=True) == (part,)
    assert (await RunStore(database).read_whole(run.run_id)).overrides_by_portfolio == own


async def test_a_run_is_stored_once(runs: RunStore) -> None:
    run = a_run()
    assert await runs.add(run, "mine", LEASE_S)
    assert not await runs.add(run, "other", LEASE_S)
    await runs.renew(run.run_id, "mine", LEASE_S)


async def test_a_run_whose_lease_is_held_is_nobody_elses(runs: RunStore) -> None:
    await runs.add(a_run(), "mine", LEASE_S)
    assert await runs.claim("other", LEASE_S) is None


async def test_of_many_claimants_one_gets_a_run_whose_lease_ended(runs: RunStore) -> None:
    run = a_run()
    await runs.add(run, "dead", -1.0)
    claims = await asyncio.gather(*(runs.claim(f"claimant {n}", LEASE_S) for n in range(8)))
    (claimed,) = [run for run in claims if run is not None]
    assert claimed.run_id == run.run_id


async def test_the_oldest_run_is_taken_over_first(runs: RunStore) -> None:
    older, newer = a_run(), a_run()
    for run in (newer, older):
        await runs.add(run, "dead", -1.0)
    claimed = [await runs.claim("mine", LEASE_S) for _ in range(3)]
    assert [run and run.run_id for run in claimed] == [older.run_id, newer.run_id, None]


async def test_takeovers_are_counted_until_the_run_comes_further(runs: RunStore) -> None:
    run = a_run()
    await runs.add(run, "dead", -1.0)
    for _ in range(3):
        await runs.claim("mine", -1.0)
    assert (await runs.read(run.run_id)).takeovers == 3
    await runs.store_progress(run.run_id, "mine", Totals(1), NOW)
    assert (await runs.read(run.run_id)).takeovers == 0


async def test_a_holder_that_lost_the_lease_changes_nothing(runs: RunStore) -> None:
    run = a_run()
    await runs.add(run, "slow", -1.0)
    await runs.claim("quick", LEASE_S)
    before = await runs.read(run.run_id)
    for write in (
        runs.store_plan(run.run_id, "slow", a_plan()),
        runs.store_progress(run.run_id, "slow", Totals(1), NOW),
        runs.end(run.run_id, "slow", RunStatus.COMPLETED, Totals(), NOW),
        runs.renew(run.run_id, "slow", LEASE_S),
    ):
        with pytest.raises(LeaseLostError):
            await write
    assert await runs.read(run.run_id) == before


async def test_a_planned_run_has_its_numbers_and_its_prices(runs: RunStore) -> None:
    run = a_run()
    await runs.add(run, "mine", LEASE_S)
    assert await runs.read_snapshot(run.run_id) is None
    await runs.store_plan(run.run_id, "mine", a_plan())
    stored = await runs.read(run.run_id)
    assert stored.status is RunStatus.RUNNING
    assert (stored.number_of_portfolios, stored.number_of_chunks) == (25, 3)
    assert stored.holdings == HoldingsRef("file", "a.parquet", "7-9")
    assert await runs.read_snapshot(run.run_id) == SNAPSHOT


async def test_cancelling_is_told_to_the_holder_and_survives_the_plan(runs: RunStore) -> None:
    run = a_run()
    await runs.add(run, "mine", LEASE_S)
    assert (await runs.cancel(run.run_id)).status is RunStatus.CANCELLING
    await runs.store_plan(run.run_id, "mine", a_plan())
    assert await runs.renew(run.run_id, "mine", LEASE_S) is RunStatus.CANCELLING


async def test_no_chunk_begins_before_the_plan_is_stored_or_after_the_run_is_cancelled(
    runs: RunStore,
) -> None:
    run = a_run()
    await runs.add(run, "mine", LEASE_S)
    assert not await runs.begin_chunk(run.run_id)
    await runs.store_plan(run.run_id, "mine", a_plan())
    assert await runs.begin_chunk(run.run_id)
    await runs.cancel(run.run_id)
    assert not await runs.begin_chunk(run.run_id)


async def test_of_simultaneous_beginnings_none_comes_after_the_cancelling(
    runs: RunStore, database: AsyncDatabase[Document]
) -> None:
    run = a_run()
    await runs.add(run, "mine", LEASE_S)
    await runs.store_plan(run.run_id, "mine", a_plan())

    async def begin_for_as_long_as_it_goes() -> int:
        count = 0
        while await runs.begin_chunk(run.run_id):
            count += 1
        return count

    beginning = [asyncio.create_task(begin_for_as_long_as_it_goes()) for _ in range(8)]
    await asyncio.sleep(0.1)
    await runs.cancel(run.run_id)

    assert sum(await asyncio.gather(*beginning)) > 0
    stored = await database["runs"].find_one()
    assert stored is not None
    assert stored["chunk_begun_at"] <= stored["cancelled_at"]


async def test_a_cancellation_that_waited_for_the_begin_of_a_chunk_is_not_older_than_it(
    runs: RunStore, database: AsyncDatabase[Document]
) -> None:
    run = a_run()
    await runs.add(run, "mine", LEASE_S)
    later = datetime(2100, 1, 1, tzinfo=UTC)
    await database["runs"].update_one({}, {"$set": {"chunk_begun_at": later}})

    await runs.cancel(run.run_id)

    stored = await database["runs"].find_one()
    assert stored is not None
    assert stored["cancelled_at"] == later


@pytest.mark.parametrize("first", ["cancel", "discard"])
async def test_a_run_is_discarded_though_another_cancels_it(runs: RunStore, first: str) -> None:
    run = a_run()
    await runs.add(run, "mine", LEASE_S)
    for step in (first, "discard", "cancel"):
        stored = await getattr(runs, step)(run.run_id)
    assert stored.status is RunStatus.DISCARDING
    assert not stored.status.is_over


@pytest.fixture
def keys(database: AsyncDatabase[Document]) -> IdempotencyStore:
    return IdempotencyStore(database)


CLAIM = IdempotencyClaim("k", "me")


async def test_a_run_holds_the_key_of_its_request_until_it_ends(
    runs: RunStore, database: AsyncDatabase[Document]
) -> None:
    keys = IdempotencyStore(database, timedelta(0))
    run = a_run(claim=CLAIM)
    await keys.claim("k", "hash", "me")
    assert await runs.add(run, "mine", LEASE_S)
    assert (await runs.read(run.run_id)).claim == CLAIM

    await keys.release("k", "me")
    with pytest.raises(IdempotencyInProgressError):
        await keys.claim("k", "hash", "other")


@pytest.mark.parametrize("status", [status for status in RunStatus if status.is_over])
async def test_the_key_of_a_run_that_ended_answers_what_was_completed_or_is_free(
    runs: RunStore, keys: IdempotencyStore, status: RunStatus
) -> None:
    run = a_run(claim=CLAIM)
    await keys.claim("k", "hash", "me")
    await runs.add(run, "mine", LEASE_S)

    await runs.end(run.run_id, "mine", status, Totals(), NOW, None, CLAIM)

    expected = run.run_id if status is RunStatus.COMPLETED else None
    assert await keys.claim("k", "hash", "other") == expected


async def test_who_lost_the_lease_settles_no_key(runs: RunStore, keys: IdempotencyStore) -> None:
    run = a_run(claim=CLAIM)
    await keys.claim("k", "hash", "me")
    await runs.add(run, "quick", LEASE_S)
    with pytest.raises(LeaseLostError):
        await runs.end(run.run_id, "slow", RunStatus.COMPLETED, Totals(), NOW, None, CLAIM)
    with pytest.raises(IdempotencyInProgressError):
        await keys.claim("k", "hash", "other")


@pytest.mark.parametrize("how", ["holds", "completes"])
async def test_a_run_whose_key_was_lost_is_not_stored(
    runs: RunStore, keys: IdempotencyStore, how: str
) -> None:
    await keys.claim("k", "hash", "me")
    await keys.release("k", "me")
    run = a_run(claim=CLAIM if how == "holds" else None)
    with pytest.raises(IdempotencyInProgressError):
        await runs.add(run, "mine", LEASE_S, CLAIM if how == "completes" else None)
    with pytest.raises(NotFoundError):
        await runs.read(run.run_id)


async def test_a_run_that_is_not_waited_for_is_what_its_key_answers_at_once(
    runs: RunStore, keys: IdempotencyStore
) -> None:
    await keys.claim("k", "hash", "me")
    run = a_run()
    await runs.add(run, "mine", LEASE_S, CLAIM)
    assert await keys.claim("k", "hash", "other") == run.run_id


@pytest.mark.parametrize("status", [status for status in RunStatus if status.is_over])
async def test_what_is_over_stays_over(runs: RunStore, status: RunStatus) -> None:
    run = a_run()
    await runs.add(run, "mine", LEASE_S)
    problem = Refusal("upstream-unavailable", "It is down.", {"upstream": "pricing"})
    totals = Totals(2, Counter({Status.IN_BAND: 5}), {"SEPARABLE": 5}, {"solve": 0.5})
    await runs.end(run.run_id, "mine", status, totals, NOW, problem)
    ended = await runs.cancel(run.run_id)
    assert (ended.status, ended.totals, ended.problem) == (status, totals, problem)
    assert await runs.claim("other", LEASE_S) is None


async def test_an_unknown_run_is_not_found(runs: RunStore) -> None:
    for attempt in (runs.read(new_rebalance_id()), runs.cancel(new_rebalance_id())):
        with pytest.raises(NotFoundError, match="there is no run"):
            await attempt


async def test_a_page_has_the_newest_runs_first(runs: RunStore) -> None:
    made = [a_run() for _ in range(5)]
    for run in made:
        await runs.add(run, "mine", LEASE_S)
    page, total = await runs.read_page(1, 2)
    assert ([run.run_id for run in page], total) == ([made[3].run_id, made[2].run_id], 5)


async def test_only_what_ended_before_a_moment_is_to_be_forgotten(runs: RunStore) -> None:
    old, recent, unfinished = a_run(), a_run(), a_run()
    for run in (old, recent, unfinished):
        await runs.add(run, "mine", LEASE_S)
    week_ago = NOW - timedelta(days=7)
    await runs.end(old.run_id, "mine", RunStatus.COMPLETED, Totals(), week_ago)
    await runs.end(recent.run_id, "mine", RunStatus.COMPLETED, Totals(), NOW)
    assert await runs.list_over_before(NOW - timedelta(days=1)) == (old.run_id,)
    for run in (old, unfinished):
        await runs.forget(run.run_id)
    with pytest.raises(NotFoundError):
        await runs.read(old.run_id)
    await runs.read(unfinished.run_id)
