import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from optimization.domain.options import NO_OVERRIDES
from optimization.domain.outcome import Status
from optimization.errors import RuleError
from storage.errors import IdempotencyInProgressError, NotFoundError, StaleVersionError
from storage.idempotency_store import IdempotencyClaim, IdempotencyStore
from storage.mongo.connection import Document
from storage.rebalances.outcomes import build_outcome_id
from storage.rebalances.rebalance import Rebalance, RebalanceStatus, new_rebalance_id
from storage.rebalances.rebalance_store import RebalanceStore
from tests.support.samples import (
    NOON,
    make_id,
    make_outcome,
    make_outcomes,
    make_rebalance,
    make_securities,
)

pytestmark = pytest.mark.mongo


async def stored_run(rebalances: RebalanceStore, portfolios: int = 12) -> Rebalance:
    rebalance = await rebalances.open(make_rebalance(portfolios))
    await rebalances.record(rebalance.rebalance_id, range(portfolios), make_outcomes(rebalance))
    return rebalance


async def test_a_run_reads_back_equal_and_opening_it_again_keeps_the_first_prices(
    rebalances: RebalanceStore,
) -> None:
    rebalance = await rebalances.open(make_rebalance())
    assert await rebalances.read(rebalance.rebalance_id) == rebalance
    repriced = Rebalance(
        rebalance.rebalance_id,
        rebalance.model_id,
        9,
        "Other",
        make_securities(1),
        NO_OVERRIDES,
        1,
        NOON + timedelta(days=1),
    )
    assert await rebalances.open(repriced) == rebalance


async def test_a_rebalance_with_an_option_of_a_later_version_is_listed(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(make_rebalance())
    await database["rebalances"].update_one({}, {"$set": {"options.whim": "LATER"}})

    (listed,), _ = await rebalances.read_page()
    assert listed.options.values == {**rebalance.options.values, "whim": "LATER"}


async def test_a_run_completes_the_claim_that_it_is_stored_with(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    keys, run = IdempotencyStore(database), make_rebalance(2)
    await keys.claim("k", "hash", "me")

    await rebalances.store(run, make_outcomes(run), IdempotencyClaim("k", "me"))
    await keys.release("k", "me")

    assert await keys.claim("k", "hash", "other") == run.rebalance_id


@pytest.mark.parametrize("owner", [None, "other"])
async def test_nothing_is_stored_of_a_run_whose_claim_was_lost(
    rebalances: RebalanceStore, database: AsyncDatabase[Document], owner: str | None
) -> None:
    keys, run = IdempotencyStore(database), make_rebalance(2)
    if owner:
        await keys.claim("k", "hash", owner)

    with pytest.raises(IdempotencyInProgressError):
        await rebalances.store(run, make_outcomes(run), IdempotencyClaim("k", "me"))

    assert await database["outcomes"].count_documents({}) == 0
    with pytest.raises(NotFoundError):
        await rebalances.read(run.rebalance_id)


async def test_of_a_claim_given_back_while_its_run_is_stored_one_of_the_two_counts(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    keys = IdempotencyStore(database)
    for number in range(20):
        run, key = make_rebalance(2), f"k{number}"
        await keys.claim(key, "hash", "me")
        storing = rebalances.store(run, make_outcomes(run), IdempotencyClaim(key, "me"))
        stored, _ = await asyncio.gather(storing, keys.release(key, "me"), return_exceptions=True)
        is_stored = not isinstance(stored, IdempotencyInProgressError)
        assert (await keys.claim(key, "hash", "other") == run.rebalance_id) is is_stored
        assert (
            await database["rebalances"].count_documents({"_id": ObjectId(run.rebalance_id)}) == 1
        ) is is_stored


async def test_recorded_outcomes_read_back_equal_in_order(rebalances: RebalanceStore) -> None:
    run = await stored_run(rebalances)
    assert await rebalances.list_outcomes(run) == make_outcomes(run)
    assert await rebalances.list_outcomes(run, 5, 4) == make_outcomes(run, range(5, 9))
    assert await rebalances.list_outcomes(run, 10, 10) == make_outcomes(run, range(10, 12))
    assert await rebalances.list_outcomes(run, 12, 10) == ()


async def test_recording_again_changes_nothing(rebalances: RebalanceStore) -> None:
    run = await stored_run(rebalances)
    other = make_rebalance(12)
    changed = [make_outcome(other, ordinal + 1) for ordinal in range(12)]
    await rebalances.record(run.rebalance_id, range(12), changed)
    assert await rebalances.list_outcomes(run) == make_outcomes(run)


async def test_a_writer_that_died_half_way_is_repeated_by_another(
    rebalances: RebalanceStore,
) -> None:
    rebalance = await rebalances.open(make_rebalance(2_500))
    await rebalances.record(
        rebalance.rebalance_id, range(1_300), make_outcomes(rebalance, range(1_300))
    )
    await rebalances.record(rebalance.rebalance_id, range(2_500), make_outcomes(rebalance))
    assert await rebalances.list_outcomes(rebalance) == make_outcomes(rebalance)


async def test_recording_counts_what_is_stored_not_what_came_too_late(
    rebalances: RebalanceStore,
) -> None:
    rebalance = await rebalances.open(make_rebalance(4))
    first = make_outcomes(rebalance, range(2))
    late = [replace(outcome, status=Status.FAILED) for outcome in make_outcomes(rebalance)]
    assert await rebalances.record(rebalance.rebalance_id, range(2), first) == Counter(
        outcome.status for outcome in first
    )
    expected = Counter(outcome.status for outcome in first) + Counter({Status.FAILED: 2})
    assert await rebalances.record(rebalance.rebalance_id, range(4), late) == expected


async def test_two_writers_of_the_same_outcomes_store_them_once(rebalances: RebalanceStore) -> None:
    rebalance = await rebalances.open(make_rebalance(1_500))
    await asyncio.gather(
        *(
            rebalances.record(rebalance.rebalance_id, range(1_500), make_outcomes(rebalance))
            for _ in range(4)
        )
    )
    assert await rebalances.list_outcomes(rebalance) == make_outcomes(rebalance)


async def test_any_other_failure_than_a_repetition_is_raised(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    run = await stored_run(rebalances, 3)
    await database.command("collMod", "outcomes", validator={"nothing": {"$exists": True}})
    with pytest.raises(BulkWriteError):
        await rebalances.record(run.rebalance_id, range(2, 5), make_outcomes(run, range(2, 5)))


async def test_storing_a_run_that_the_database_refuses_says_why(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = make_rebalance(3)
    await database.command("collMod", "outcomes", validator={"nothing": {"$exists": True}})
    with pytest.raises(BulkWriteError, match="failed validation"):
        await rebalances.store(rebalance, make_outcomes(rebalance))


def test_an_ordinal_beyond_seven_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="10000000"):
        build_outcome_id(new_rebalance_id(), 10_000_000)


async def test_as_many_outcomes_as_ordinals_are_needed(rebalances: RebalanceStore) -> None:
    rebalance = await rebalances.open(make_rebalance(3))
    with pytest.raises(ValueError, match="3 outcomes, 2 ordinals"):
        await rebalances.record(rebalance.rebalance_id, range(2), make_outcomes(rebalance))


async def test_a_finished_run_counts_its_stored_outcomes_and_stays_finished(
    rebalances: RebalanceStore,
) -> None:
    run = await stored_run(rebalances)
    stopped = await rebalances.finish(run.rebalance_id, RebalanceStatus.STOPPED, NOON)
    assert stopped.counts == {Status.REBALANCED: 6, Status.INFEASIBLE: 4, Status.FAILED: 2}
    completed = await rebalances.finish(run.rebalance_id, RebalanceStatus.COMPLETED, NOON)
    assert (completed.status, completed.finished_at) == (RebalanceStatus.COMPLETED, NOON)
    later = NOON + timedelta(hours=1)
    assert await rebalances.finish(run.rebalance_id, RebalanceStatus.STOPPED, later) == completed
    assert await rebalances.read(run.rebalance_id) == completed


async def test_finishing_an_absent_run_is_not_found(rebalances: RebalanceStore) -> None:
    with pytest.raises(NotFoundError, match="rebalance"):
        await rebalances.finish(new_rebalance_id(), RebalanceStatus.COMPLETED, NOON)


async def test_one_portfolio_has_its_outcome_and_an_error_says_which_of_the_two_is_missing(
    rebalances: RebalanceStore,
) -> None:
    await stored_run(rebalances)
    run = await stored_run(rebalances)
    assert await rebalances.read_outcome(run, make_id("P", 3)) == make_outcome(run, 3)
    with pytest.raises(NotFoundError, match="portfolio") as missing:
        await rebalances.read_outcome(run, make_id("P", 99))
    assert missing.value.entity_id == make_id("P", 99)
    with pytest.raises(NotFoundError, match="rebalance"):
        await rebalances.read(new_rebalance_id())


async def test_runs_are_paged_newest_first_or_as_asked(rebalances: RebalanceStore) -> None:
    runs = [
        await rebalances.open(
            make_rebalance(count, name=name, started_at=NOON + timedelta(minutes=minute))
        )
        for minute, (name, count) in enumerate([("B", 2), ("A", 3), ("C", 1)])
    ]
    assert await rebalances.read_page() == (tuple(reversed(runs)), 3)
    assert await rebalances.read_page(1, 1) == ((runs[1],), 3)
    for sort, expected in (
        ((("model_name", 1),), "ABC"),
        ((("number_of_portfolios", -1),), "ABC"),
        ((("rebalance_date", 1),), "BAC"),
        ((("rebalance_id", -1),), "CAB"),
    ):
        page, _ = await rebalances.read_page(sort=sort)
        assert "".join(run.model_name for run in page) == expected
    with pytest.raises(RuleError, match="sort_by"):
        await rebalances.read_page(sort=(("counts", 1),))


async def test_the_runs_of_portfolios_are_cut_down_to_them(rebalances: RebalanceStore) -> None:
    first, second, third = [
        await rebalances.open(make_rebalance(3, started_at=NOON + timedelta(minutes=at)))
        for at in range(3)
    ]
    await rebalances.record(first.rebalance_id, range(3), make_outcomes(first))
    await rebalances.record(second.rebalance_id, range(2, 3), [make_outcome(second, 2)])
    await rebalances.record(third.rebalance_id, range(1), [make_outcome(third, 0)])
    wanted = [make_id("P", 1), make_id("P", 2)]
    page, total = await rebalances.read_page_of_portfolios(wanted, 0, 10)
    assert total == 2
    assert page == ((second, 1), (first, 2))
    assert await rebalances.list_outcomes_among(second, wanted, 0, 10) == (make_outcome(second, 2),)
    assert await rebalances.list_outcomes_among(first, wanted, 0, 1) == (make_outcome(first, 1),)
    assert await rebalances.list_outcomes_among(first, wanted, 1, 10) == (make_outcome(first, 2),)
    assert await rebalances.read_page_of_portfolios(wanted, 1, 1) == (page[1:], 2)
    assert await rebalances.read_page_of_portfolios([make_id("P", 8)], 0, 10) == ((), 0)


async def test_deleting_a_run_takes_its_outcomes_and_no_others(rebalances: RebalanceStore) -> None:
    kept, gone = await stored_run(rebalances), await stored_run(rebalances)
    with pytest.raises(StaleVersionError):
        await rebalances.delete(gone.rebalance_id, 2)
    assert await rebalances.list_outcomes(gone) == make_outcomes(gone)
    await rebalances.delete(gone.rebalance_id, 1)
    assert await rebalances.list_outcomes(gone) == ()
    assert await rebalances.list_outcomes(kept) == make_outcomes(kept)
    with pytest.raises(NotFoundError):
        await rebalances.delete(gone.rebalance_id, 1)


async def test_a_deletion_that_died_after_the_outcomes_is_done_by_the_next(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    run = await stored_run(rebalances)
    await database["outcomes"].delete_many({})
    await rebalances.delete(run.rebalance_id, 1)
    assert await rebalances.read_page() == ((), 0)


async def test_outcomes_written_after_their_run_was_deleted_are_not_shown(
    rebalances: RebalanceStore,
) -> None:
    run = await stored_run(rebalances, 3)
    await rebalances.delete(run.rebalance_id, 1)
    await rebalances.record(run.rebalance_id, range(1, 2), [make_outcome(run, 1)])
    assert await rebalances.read_page_of_portfolios([make_id("P", 1)], 0, 10) == ((), 0)


async def test_a_run_that_is_over_is_stored_with_its_outcomes_in_one_step(
    database: AsyncDatabase[Document],
) -> None:
    rebalances = RebalanceStore(database)
    rebalance = replace(make_rebalance(3), status=RebalanceStatus.COMPLETED)

    stored = await rebalances.store(rebalance, make_outcomes(rebalance))

    assert await rebalances.read(rebalance.rebalance_id) == stored
    assert await rebalances.list_outcomes(stored) == make_outcomes(rebalance)


async def test_storing_a_run_twice_changes_nothing(database: AsyncDatabase[Document]) -> None:
    rebalances = RebalanceStore(database)
    rebalance = replace(make_rebalance(3), status=RebalanceStatus.COMPLETED)
    stored = await rebalances.store(rebalance, make_outcomes(rebalance))

    again = await rebalances.store(
        replace(rebalance, model_name="another"), make_outcomes(rebalance)
    )

    assert again == stored


async def test_the_outcomes_of_some_portfolios_come_in_their_order(
    database: AsyncDatabase[Document],
) -> None:
    rebalances = RebalanceStore(database)
    rebalance = await rebalances.open(make_rebalance(4))
    await rebalances.record(rebalance.rebalance_id, range(4), make_outcomes(rebalance))

    found = await rebalances.list_portfolio_outcomes(rebalance, [make_id("P", 3), make_id("P", 1)])

    assert found == (make_outcomes(rebalance)[1], make_outcomes(rebalance)[3])
    with pytest.raises(NotFoundError, match=make_id("P", 4)):
        await rebalances.list_portfolio_outcomes(rebalance, [make_id("P", 1), make_id("P", 4)])
