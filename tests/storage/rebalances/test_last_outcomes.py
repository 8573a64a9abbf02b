"""The newest outcome of each portfolio, wherever it is stored, read by indexes alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from optimization import Status
from storage.mongo.connection import Document
from storage.rebalances.last_outcomes import LastOutcome, list_last_outcomes
from storage.rebalances.rebalance import Rebalance, RebalanceStatus
from storage.rebalances.rebalance_store import RebalanceStore
from storage.schema import ensure_indexes
from tests.support.samples import make_answers, make_id, make_outcome, make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo

COUNT = 600  # more than a document of columns has
PORTFOLIOS = tuple(make_id("P", at) for at in (0, 1, 4, 599))


async def store_in_columns(rebalances: RebalanceStore, name: str) -> Rebalance:
    rebalance = replace(make_rebalance(COUNT, name=name), run_id=str(ObjectId()))
    rebalance = await rebalances.open(rebalance)
    apart = {at: make_outcome(rebalance, at) for at in (1, 4)}
    await rebalances.record_block(
        rebalance.rebalance_id, range(COUNT), make_answers(rebalance, range(COUNT), apart)
    )
    return rebalance


async def store_in_documents(rebalances: RebalanceStore, name: str) -> Rebalance:
    rebalance = await rebalances.open(make_rebalance(3, name=name))
    await rebalances.record(rebalance.rebalance_id, range(3), make_outcomes(rebalance))
    return rebalance


async def store_in_one_document(rebalances: RebalanceStore, name: str) -> Rebalance:
    rebalance = replace(make_rebalance(1, name=name), status=RebalanceStatus.COMPLETED)
    return await rebalances.store(rebalance, make_outcomes(rebalance))


STORES = (store_in_columns, store_in_documents, store_in_one_document)


async def newest_of(
    rebalances: RebalanceStore, runs: Sequence[Rebalance], portfolio_id: str
) -> LastOutcome:
    """Look through the rebalances themselves, from the newest on."""
    for run in reversed(runs):
        for outcome in await rebalances.list_outcomes_among(run, (portfolio_id,), 0, 1):
            return last(run, portfolio_id, outcome.status)
    raise AssertionError(portfolio_id)


def last(rebalance: Rebalance, portfolio_id: str, status: Status) -> LastOutcome:
    return LastOutcome(
        portfolio_id,
        status,
        rebalance.rebalance_id,
        rebalance.run_id,
        rebalance.model_id,
        rebalance.model_name,
        rebalance.model_version,
        rebalance.started_at,
    )


@pytest.mark.parametrize("newest", STORES)
async def test_the_outcome_of_the_newest_rebalance_that_has_the_portfolio_is_found(
    rebalances: RebalanceStore, newest: Any
) -> None:
    stores = [*(store for store in STORES if store is not newest), newest]
    runs = [await store(rebalances, store.__name__) for store in stores]

    expected = [await newest_of(rebalances, runs, portfolio_id) for portfolio_id in PORTFOLIOS]
    found = await rebalances.list_last_outcomes([*PORTFOLIOS, make_id("P", 5_000), PORTFOLIOS[0]])
    assert found == tuple(expected)
    assert found[0].model_name == newest.__name__


async def test_what_a_removed_rebalance_left_behind_is_no_outcome(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    run = await store_in_documents(rebalances, "removed")
    await database["rebalances"].delete_one({"_id": ObjectId(run.rebalance_id)})

    assert await rebalances.list_last_outcomes(PORTFOLIOS) == ()


async def test_a_long_history_is_not_read(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    """Each look-up reads one entry of an index for a portfolio, and no other document."""
    await ensure_indexes(database)
    for store in STORES:
        for _ in range(5):
            await store(rebalances, store.__name__)
    await database.command({"profile": 2})
    await list_last_outcomes(database, [make_id("P", 0)])
    await database.command({"profile": 0})

    (asked,) = await database["system.profile"].find({"command.aggregate": 1}).to_list()
    assert asked["docsExamined"] <= len(STORES)
    assert asked["keysExamined"] <= len(STORES) + 1
    assert not asked.get("hasSortStage", False)
