"""A rebalance of one portfolio: one document, read like those that were stored in two."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from optimization import PortfolioOutcome
from storage.errors import IdempotencyInProgressError
from storage.idempotency_store import IdempotencyClaim, IdempotencyStore
from storage.mongo.connection import Document
from storage.rebalances import outcomes as outcomes_module
from storage.rebalances import rebalance_store
from storage.rebalances.outcomes import SecurityEncoder, build_outcome_id
from storage.rebalances.rebalance import OUTCOME, Rebalance, new_rebalance_id
from storage.rebalances.rebalance_store import RebalanceStore
from tests.support.samples import make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo

Stored = tuple[Rebalance, PortfolioOutcome]


async def separate(database: AsyncDatabase[Document], rebalance: Rebalance) -> None:
    """Move the outcome to a document of its own, as earlier versions stored it."""
    document = await database["rebalances"].find_one_and_update({}, {"$unset": {OUTCOME: ""}})
    assert document is not None
    own = {"_id": build_outcome_id(rebalance.rebalance_id, 0), **document[OUTCOME]}
    await database["outcomes"].insert_one(own)


@pytest.fixture(params=["in one document", "as stored before"])
async def single(
    request: pytest.FixtureRequest, rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> Stored:
    rebalance = make_rebalance(1)
    (outcome,) = make_outcomes(rebalance)
    rebalance = await rebalances.store(rebalance, (outcome,))
    assert await database["outcomes"].count_documents({}) == 0
    if request.param == "as stored before":
        await separate(database, rebalance)
    return rebalance, outcome


async def test_every_read_finds_the_outcome(rebalances: RebalanceStore, single: Stored) -> None:
    run, outcome = single
    ids, other = (outcome.portfolio_id,), ("Z" * 24,)

    assert await rebalances.read(run.rebalance_id) == run
    assert await rebalances.read_page() == ((run,), 1)
    assert await rebalances.list_outcomes(run) == (outcome,)
    assert await rebalances.list_outcomes(run, 1) == ()
    assert await rebalances.list_portfolio_outcomes(run, ids) == (outcome,)
    assert await rebalances.read_outcome(run, ids[0]) == outcome
    assert await rebalances.list_outcomes_among(run, ids + other, 0, 9) == (outcome,)
    assert await rebalances.list_outcomes_among(run, other, 0, 9) == ()
    assert await rebalances.read_page_of_portfolios(ids, 0, 9) == (((run, 1),), 1)
    assert await rebalances.read_page_of_portfolios(other, 0, 9) == ((), 0)
    traded = sum(a != b for a, b in zip(outcome.before, outcome.after, strict=True))
    assert await rebalances.count_transactions(run.rebalance_id) == traded


async def test_a_page_for_an_export_has_the_outcome(
    rebalances: RebalanceStore, single: Stored
) -> None:
    run, outcome = single

    page = await rebalances.read_outcome_page(run, 0)

    assert (page.ordinals, page.blocks, page.objects) == (range(1), (), ((0, outcome),))


async def test_nothing_is_left_of_a_deleted_rebalance(
    rebalances: RebalanceStore, database: AsyncDatabase[Document], single: Stored
) -> None:
    run, outcome = single

    await rebalances.delete(run.rebalance_id, run.version)

    assert await rebalances.read_page_of_portfolios((outcome.portfolio_id,), 0, 9) == ((), 0)
    assert await database["outcomes"].count_documents({}) == 0


async def test_a_repeated_write_changes_nothing(rebalances: RebalanceStore, single: Stored) -> None:
    run, outcome = single

    assert await rebalances.store(run, (outcome,)) == run
    assert await rebalances.read_page() == ((run,), 1)


async def test_an_outcome_that_may_not_fit_has_a_document_of_its_own(
    rebalances: RebalanceStore,
    database: AsyncDatabase[Document],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rebalance = make_rebalance(1)
    (outcome,) = make_outcomes(rebalance)
    monkeypatch.setattr(rebalance_store, "MAX_POSITIONS_WITHIN", len(outcome.before) - 1)

    rebalance = await rebalances.store(rebalance, (outcome,))

    assert await database["outcomes"].count_documents({}) == 1
    assert await rebalances.list_outcomes(rebalance) == (outcome,)


async def test_the_claim_and_the_rebalance_are_stored_together_or_not_at_all(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    keys = IdempotencyStore(database)
    for number in range(20):
        run, key = make_rebalance(1), f"k{number}"
        await keys.claim(key, "hash", "me")
        storing = rebalances.store(run, make_outcomes(run), IdempotencyClaim(key, "me"))
        results: list[Any] = await asyncio.gather(
            storing, keys.release(key, "me"), return_exceptions=True
        )
        is_stored = not isinstance(results[0], IdempotencyInProgressError)
        assert (await keys.claim(key, "hash", "other") == run.rebalance_id) is is_stored
    stored = await database["rebalances"].count_documents({})
    assert stored == await database["idempotency"].count_documents({"state": "DONE"})


async def test_the_index_of_portfolios_answers_which_rebalances_hold_one(
    database: AsyncDatabase[Document], single: Stored
) -> None:
    _, outcome = single
    holding = {f"{OUTCOME}.portfolio_id": outcome.portfolio_id}
    found = database["rebalances"].find(holding, {"_id": 1})

    plan = await found.explain()

    assert "'COLLSCAN'" not in str(plan["queryPlanner"]["winningPlan"])
    assert "'FETCH'" not in str(plan["queryPlanner"]["winningPlan"])


async def test_equal_securities_of_two_rebalances_keep_their_own_digits(
    rebalances: RebalanceStore,
) -> None:
    prices = ("10.5", "10.50", "10.500")
    for price in prices:
        run = make_rebalance(1)
        securities = tuple(replace(security, price=Decimal(price)) for security in run.securities)
        run = replace(run, securities=securities)
        for _ in range(2):  # the second with what was remembered of the first
            run = replace(run, rebalance_id=new_rebalance_id())
            await rebalances.store(run, make_outcomes(run))
            found = await rebalances.read(run.rebalance_id)
            assert {str(security.price) for security in found.securities} == {price}


def test_only_so_many_securities_stay_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes_module, "MAX_ENCODED_SECURITIES", 2)
    encode_security, securities = SecurityEncoder(), make_rebalance(1).securities
    copies = [replace(securities[0]) for _ in range(3)]

    first, second, third = map(encode_security, copies)

    assert first == second == third
    assert encode_security(copies[2]) is third
    assert encode_security(copies[0]) is not first
