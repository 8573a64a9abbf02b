"""Outcomes of runs in columns: written once whoever died when, and read with those beside."""

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from optimization import (
    BlockOutcome,
    NoSolutionInTimeError,
    PortfolioOutcome,
    Status,
)
from storage.errors import NotFoundError
from storage.mongo.connection import Document
from storage.rebalances.outcome_columns import encode_rows
from storage.rebalances.outcomes import build_outcome_id, encode_outcome
from storage.rebalances.rebalance import Rebalance, RebalanceStatus
from storage.rebalances.rebalance_store import RebalanceStore
from storage.schema import ensure_indexes
from tests.support.samples import (
    NOON,
    make_answers,
    make_id,
    make_outcome,
    make_outcomes,
    make_rebalance,
)

pytestmark = pytest.mark.mongo

COUNT = 1_100  # three documents of columns
GRID = range(0, COUNT, 512)
BESIDE = (4, 5, 600, 1_099)


def a_part(portfolios: int = COUNT) -> Rebalance:
    return replace(make_rebalance(portfolios), run_id=str(ObjectId()))


def make_block(rebalance: Rebalance, ordinals: range | None = None, shift: int = 0) -> BlockOutcome:
    ordinals = range(rebalance.number_of_portfolios) if ordinals is None else ordinals
    apart = {at: make_outcome(rebalance, at + shift * 100) for at in BESIDE if at in ordinals}
    apart = {at: replace(outcome, portfolio_id=make_id("P", at)) for at, outcome in apart.items()}
    return make_answers(rebalance, ordinals, apart, shift=shift)


def answers(one: BlockOutcome) -> tuple[PortfolioOutcome, ...]:
    found = one.outcomes()
    assert all(isinstance(outcome, PortfolioOutcome) for outcome in found)
    return tuple(outcome for outcome in found if isinstance(outcome, PortfolioOutcome))


async def write_chunks(
    rebalances: RebalanceStore,
) -> tuple[Rebalance, tuple[PortfolioOutcome, ...]]:
    rebalance = await rebalances.open(a_part())
    await rebalances.record_block(rebalance.rebalance_id, range(COUNT), make_block(rebalance))
    return rebalance, answers(make_block(rebalance))


async def insert_columns(database: AsyncDatabase[Document], rebalance: Rebalance) -> None:
    """Leave what a writer leaves that is killed after its documents of columns."""
    documents = [
        encode_rows(
            rebalance.rebalance_id, first, make_block(rebalance), slice(first, first + GRID.step)
        )
        for first in GRID
    ]
    await database["outcome_chunks"].insert_many(documents)


async def test_a_block_reads_back_with_every_digit_by_page_and_by_portfolio(
    rebalances: RebalanceStore,
) -> None:
    run, expected = await write_chunks(rebalances)
    assert repr(await rebalances.list_outcomes(run)) == repr(expected)
    for first, count in ((0, 1), (500, 100), (511, 2), (599, 3), (1_090, 100), (1_100, 5)):
        assert await rebalances.list_outcomes(run, first, count) == expected[first : first + count]
    for at in (0, 5, 511, 512, 600, 1_099):
        assert await rebalances.read_outcome(run, make_id("P", at)) == expected[at]
    some = [make_id("P", at) for at in (900, 5, 3)]
    assert await rebalances.list_portfolio_outcomes(run, some) == tuple(
        expected[at] for at in (3, 5, 900)
    )
    with pytest.raises(NotFoundError, match=make_id("P", 5_000)):
        await rebalances.list_portfolio_outcomes(run, [*some, make_id("P", 5_000)])


async def test_a_block_is_counted_where_it_is_stored(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    run, expected = await write_chunks(rebalances)
    assert await database["outcomes"].count_documents({}) == len(BESIDE)
    assert await database["outcome_chunks"].count_documents({}) == 3
    traded = sum(len(outcome.transactions) for outcome in expected)
    assert await rebalances.count_transactions(run.rebalance_id) == traded
    ended = await rebalances.finish(run.rebalance_id, RebalanceStatus.COMPLETED, NOON)
    assert ended.counts == Counter(outcome.status for outcome in expected)


async def test_the_counts_of_a_block_are_those_of_all_its_outcomes(
    rebalances: RebalanceStore,
) -> None:
    rebalance = await rebalances.open(a_part())
    counts = await rebalances.record_block(
        rebalance.rebalance_id, range(COUNT), make_block(rebalance)
    )
    assert counts == Counter(outcome.status for outcome in answers(make_block(rebalance)))


async def test_a_writer_killed_after_its_columns_is_completed_by_the_next(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part())
    await insert_columns(database, rebalance)

    counts = await rebalances.record_block(
        rebalance.rebalance_id, range(COUNT), make_block(rebalance)
    )

    assert await rebalances.list_outcomes(rebalance) == answers(make_block(rebalance))
    assert counts == Counter(outcome.status for outcome in answers(make_block(rebalance)))


async def test_a_writer_killed_between_documents_beside_is_completed_by_the_next(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part())
    await insert_columns(database, rebalance)
    expected = answers(make_block(rebalance))
    for at in BESIDE[:2]:
        document = encode_outcome(build_outcome_id(rebalance.rebalance_id, at), expected[at])
        await database["outcomes"].insert_one(document)

    counts = await rebalances.record_block(
        rebalance.rebalance_id, range(COUNT), make_block(rebalance, shift=1)
    )

    again = answers(make_block(rebalance, shift=1))
    late = [again[at] if at in BESIDE[2:] else expected[at] for at in range(COUNT)]
    assert await rebalances.list_outcomes(rebalance) == tuple(late)
    assert counts == Counter(outcome.status for outcome in late)


async def test_a_writer_killed_between_its_documents_of_columns_is_completed_by_the_next(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part())
    await insert_columns(database, rebalance)
    await database["outcome_chunks"].delete_one(
        {"_id": build_outcome_id(rebalance.rebalance_id, 512)}
    )

    await rebalances.record_block(
        rebalance.rebalance_id, range(COUNT), make_block(rebalance, shift=1)
    )

    first, second = answers(make_block(rebalance)), answers(make_block(rebalance, shift=1))
    stands = [at for at in range(COUNT) if not 512 <= at < 1_024 and at not in BESIDE]
    found = await rebalances.list_outcomes(rebalance)
    assert [found[at] for at in stands] == [first[at] for at in stands]
    assert found[512:1_024] == second[512:1_024]
    assert len(found) == COUNT


async def test_a_row_that_the_second_writer_answers_otherwise_keeps_its_place_and_its_answer(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part(8))
    first = make_answers(rebalance, range(8), {2: make_outcome(rebalance, 2)})
    document = encode_rows(rebalance.rebalance_id, 0, first, slice(0, 8))
    await database["outcome_chunks"].insert_one(document)
    second = make_answers(rebalance, range(8), {3: make_outcome(rebalance, 3)})

    counts = await rebalances.record_block(rebalance.rebalance_id, range(8), second)

    expected = [*first.outcomes()[:2], second.outcome(2), *first.outcomes()[3:]]
    assert await rebalances.list_outcomes(rebalance) == tuple(expected)
    assert sum(counts.values()) == 8
    (beside,) = await database["outcomes"].find({}, {"portfolio_id": 1}).to_list()
    assert beside["portfolio_id"] == make_id("P", 2)


async def test_half_a_chunk_after_a_whole_one_changes_nothing(rebalances: RebalanceStore) -> None:
    run, expected = await write_chunks(rebalances)
    for half in (range(550), range(550, COUNT), range(300, 700)):
        counts = await rebalances.record_block(
            run.rebalance_id, half, make_block(run, half, 1), GRID
        )
        assert counts == Counter(expected[at].status for at in half)
        late = [replace(expected[at], status=Status.FAILED) for at in half]
        assert await rebalances.record(run.rebalance_id, half, late, GRID) == counts
    assert await rebalances.list_outcomes(run) == expected


async def test_a_whole_chunk_after_a_part_of_it_fills_the_gaps(rebalances: RebalanceStore) -> None:
    rebalance = await rebalances.open(a_part())
    halves = range(100, 200), range(700, 900)
    for half in halves:
        await rebalances.record_block(
            rebalance.rebalance_id, half, make_block(rebalance, half, 1), GRID
        )

    await rebalances.record_block(rebalance.rebalance_id, range(COUNT), make_block(rebalance))

    found, early, late = (
        await rebalances.list_outcomes(rebalance),
        answers(make_block(rebalance, shift=1)),
        answers(make_block(rebalance)),
    )
    within = [any(at in half for half in halves) for at in range(COUNT)]
    assert found == tuple(early[at] if within[at] else late[at] for at in range(COUNT))


async def test_outcomes_as_objects_and_in_columns_of_one_chunk_are_stored_once(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part(40))
    some, grid = range(10, 12), range(0, 40, 20)
    await rebalances.record(rebalance.rebalance_id, some, make_outcomes(rebalance, some), grid)

    await rebalances.record_block(
        rebalance.rebalance_id, range(40), make_answers(rebalance, range(40)), grid
    )

    expected = list(make_answers(rebalance, range(40)).outcomes())
    expected[10:12] = make_outcomes(rebalance, some)
    assert await rebalances.list_outcomes(rebalance) == tuple(expected)
    assert await database["outcomes"].count_documents({}) == grid.step


@pytest.mark.parametrize("seed", range(6))
async def test_of_many_writers_at_once_each_portfolio_has_one_outcome(
    rebalances: RebalanceStore, seed: int
) -> None:
    cuts = random.Random(seed)
    rebalance = await rebalances.open(a_part())

    async def write(shift: int) -> Counter[Status]:
        at = cuts.randrange(1, COUNT)
        pieces = [range(COUNT)] if shift % 2 else [range(at), range(at, COUNT)]
        counts = Counter[Status]()
        for piece in pieces:
            if shift == 4:
                late = make_outcomes(rebalance, piece)
                counts.update(await rebalances.record(rebalance.rebalance_id, piece, late, GRID))
            else:
                one = make_block(rebalance, piece, shift)
                counts.update(
                    await rebalances.record_block(rebalance.rebalance_id, piece, one, GRID)
                )
        return counts

    counts = await asyncio.gather(*(write(shift) for shift in range(6)))

    found = await rebalances.list_outcomes(rebalance)
    assert [outcome.portfolio_id for outcome in found] == [make_id("P", at) for at in range(COUNT)]
    ended = await rebalances.finish(rebalance.rebalance_id, RebalanceStatus.COMPLETED, NOON)
    assert ended.counts == Counter(outcome.status for outcome in found)
    assert all(count == ended.counts for count in counts)
    traded = sum(len(outcome.transactions) for outcome in found)
    assert await rebalances.count_transactions(rebalance.rebalance_id) == traded


async def test_a_rebalance_that_an_earlier_release_began_is_finished_in_its_way(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part(6))
    for at in range(3):
        document = encode_outcome(
            build_outcome_id(rebalance.rebalance_id, at), make_outcome(rebalance, at)
        )
        await database["outcomes"].insert_one(document)

    counts = await rebalances.record_block(
        rebalance.rebalance_id, range(6), make_answers(rebalance, range(6))
    )
    await rebalances.record(rebalance.rebalance_id, range(6), make_outcomes(rebalance))

    expected = (
        *make_outcomes(rebalance, range(3)),
        *make_answers(rebalance, range(6)).outcomes()[3:],
    )
    assert await rebalances.list_outcomes(rebalance) == expected
    assert await database["outcome_chunks"].count_documents({}) == 0
    assert sum(counts.values()) == 6


async def test_the_rebalances_of_portfolios_are_found_in_columns_and_beside(
    rebalances: RebalanceStore,
) -> None:
    old, new = make_rebalance(12), replace(a_part(12), started_at=NOON.replace(hour=13))
    for run in (old, new):
        await rebalances.open(run)
    await rebalances.record(old.rebalance_id, range(12), make_outcomes(old))
    one = make_answers(new, range(12), {2: make_outcome(new, 2)})
    await rebalances.record_block(new.rebalance_id, range(12), one)
    wanted = [make_id("P", at) for at in (7, 2, 1)]

    page, total = await rebalances.read_page_of_portfolios(wanted, 0, 10)

    assert (total, [(run.rebalance_id, count) for run, count in page]) == (
        2,
        [(new.rebalance_id, 3), (old.rebalance_id, 3)],
    )
    expected = tuple(one.outcome(at) for at in (1, 2, 7))
    assert await rebalances.list_outcomes_among(new, wanted, 0, 10) == expected
    assert await rebalances.list_outcomes_among(new, wanted, 1, 1) == expected[1:2]
    assert await rebalances.list_outcomes_among(new, wanted, 2, 5) == expected[2:]
    assert await rebalances.list_outcomes_among(old, wanted, 0, 2) == make_outcomes(old)[1:3]
    assert await rebalances.read_page_of_portfolios([make_id("P", 99)], 0, 10) == ((), 0)


async def test_deleting_takes_columns_and_those_beside_and_no_others(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    kept, expected = await write_chunks(rebalances)
    gone, _ = await write_chunks(rebalances)

    await rebalances.delete(gone.rebalance_id, 1)

    assert await rebalances.list_outcomes(gone) == ()
    assert await rebalances.list_outcomes(kept) == expected
    assert kept.run_id is not None
    await rebalances.forget_parts(kept.run_id)
    for name in ("outcomes", "outcome_chunks", "rebalances"):
        assert await database[name].count_documents({}) == 0


async def test_an_error_beside_is_raised_because_its_outcome_is_not_known(
    rebalances: RebalanceStore,
) -> None:
    rebalance = await rebalances.open(a_part(4))
    one = make_answers(rebalance, range(4), {1: make_outcome(rebalance, 1)})
    error = NoSolutionInTimeError(make_id("P", 1), 1.0)
    with pytest.raises(NoSolutionInTimeError):
        await rebalances.record_block(
            rebalance.rebalance_id, range(4), replace(one, beside={1: error})
        )


async def test_as_many_ordinals_as_rows_are_needed(rebalances: RebalanceStore) -> None:
    rebalance = await rebalances.open(a_part(4))
    with pytest.raises(ValueError, match="4 outcomes, 3 ordinals"):
        await rebalances.record_block(
            rebalance.rebalance_id, range(3), make_answers(rebalance, range(4))
        )


async def test_a_part_stores_whole_documents_in_columns_and_the_rest_beside(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part())
    part = range(500, 1_050)
    await rebalances.record_block(rebalance.rebalance_id, part, make_block(rebalance, part), GRID)
    stored = {document["_id"]: document async for document in database["outcome_chunks"].find({})}
    assert [len(document["ids"]) for _, document in sorted(stored.items())] == [0, 512, 0]
    assert [document["end"] for _, document in sorted(stored.items())] == [512, 1_024, COUNT]
    assert await database["outcomes"].count_documents({}) == 12 + 26 + len({600})
    assert await rebalances.list_outcomes(rebalance) == answers(make_block(rebalance))[500:1_050]


async def test_a_chunk_that_an_earlier_release_divided_otherwise_is_completed(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part())
    await database["outcome_chunks"].drop_index("portfolio")
    unique = [("ids", 1), ("rebalance_id", 1)]
    await database["outcome_chunks"].create_index(unique, name="portfolio", unique=True)
    half = encode_rows(rebalance.rebalance_id, 300, make_block(rebalance), slice(300, 700))
    await database["outcome_chunks"].insert_one(half)
    await ensure_indexes(database)

    for _ in range(2):
        counts = await rebalances.record_block(
            rebalance.rebalance_id, range(COUNT), make_block(rebalance), GRID
        )
        assert counts == Counter(outcome.status for outcome in answers(make_block(rebalance)))

    assert await rebalances.list_outcomes(rebalance) == answers(make_block(rebalance))
    assert await database["outcomes"].count_documents({}) == 1_024 - 400 + len({600, 1_099})


async def test_any_other_failure_of_the_columns_is_raised(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(a_part(4))
    rule = {"nothing": {"$exists": True}}
    await database.command("collMod", "outcome_chunks", validator=rule)
    with pytest.raises(BulkWriteError, match="failed validation"):
        await rebalances.record_block(
            rebalance.rebalance_id, range(4), make_answers(rebalance, range(4))
        )
