"""Claims on portfolios: one of several hand-overs gets them, and an ended lease blocks nobody."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.errors import HandOverInProgressError
from storage.mongo.connection import Document
from storage.orders.portfolio_claim_store import PortfolioClaimStore
from storage.orders.submission_store import OrderSubmissionStore
from storage.rebalances.rebalance import new_rebalance_id
from tests.support.samples import make_id

pytestmark = pytest.mark.mongo


@pytest.fixture
def leases(database: AsyncDatabase[Document]) -> OrderSubmissionStore:
    return OrderSubmissionStore(database)


@pytest.fixture
def claims(database: AsyncDatabase[Document], leases: OrderSubmissionStore) -> PortfolioClaimStore:
    return PortfolioClaimStore(database, leases)


def portfolios(*numbers: int) -> tuple[str, ...]:
    return tuple(make_id("P", number) for number in numbers)


async def begin_submission(leases: OrderSubmissionStore) -> str:
    """Begin a hand-over of a new rebalance, with the rebalance id as its owner."""
    rebalance_id = new_rebalance_id()
    await leases.begin(rebalance_id, rebalance_id)
    return rebalance_id


async def test_of_20_simultaneous_hand_overs_of_the_same_portfolios_one_gets_all_of_them(
    leases: OrderSubmissionStore, claims: PortfolioClaimStore, database: AsyncDatabase[Document]
) -> None:
    ids = portfolios(*range(300))
    rebalances = [await begin_submission(leases) for _ in range(20)]

    found = await asyncio.gather(
        *(claims.take(ids, rebalance_id, rebalance_id) for rebalance_id in rebalances),
        return_exceptions=True,
    )

    (winner,) = [
        rebalance_id for rebalance_id, error in zip(rebalances, found, strict=True) if error is None
    ]
    refused = [error for error in found if isinstance(error, HandOverInProgressError)]
    assert {error.rebalance_id for error in refused} == {winner}
    assert len(refused) == 19
    assert await database["portfolio_claims"].distinct("owner") == [winner]


async def test_hand_overs_that_overlap_in_a_ring_do_not_all_keep_each_other_out(
    leases: OrderSubmissionStore, claims: PortfolioClaimStore
) -> None:
    for _ in range(10):
        wanted: list[Sequence[str]] = [portfolios(1, 2), portfolios(2, 3), portfolios(1, 3)]
        rebalances = [await begin_submission(leases) for _ in wanted]
        pairs = zip(wanted, rebalances, strict=True)

        found = await asyncio.gather(
            *(claims.take(ids, rebalance_id, rebalance_id) for ids, rebalance_id in pairs),
            return_exceptions=True,
        )

        assert None in found
        for rebalance_id in rebalances:
            await leases.end(rebalance_id, rebalance_id)


async def test_a_claim_ends_with_the_lease_of_its_hand_over(
    leases: OrderSubmissionStore, claims: PortfolioClaimStore
) -> None:
    first, second = await begin_submission(leases), await begin_submission(leases)
    await claims.take(portfolios(1, 2), first, first)
    await claims.take(portfolios(1, 2, 3), first, first)

    with pytest.raises(HandOverInProgressError) as caught:
        await claims.take(portfolios(2), second, second)
    assert (caught.value.rebalance_id, 170 < caught.value.leased_for_s <= 180) == (first, True)
    await leases.end(first, first)
    await claims.take(portfolios(2), second, second)

    again = await begin_submission(leases)
    with pytest.raises(HandOverInProgressError):
        await claims.take(portfolios(1, 2), again, again)


async def test_a_hand_over_whose_process_died_loses_its_claims_with_its_lease(
    database: AsyncDatabase[Document], claims: PortfolioClaimStore, leases: OrderSubmissionStore
) -> None:
    dead, next_one = new_rebalance_id(), await begin_submission(leases)
    await OrderSubmissionStore(database, timedelta(0)).begin(dead, "dead")
    await claims.take(portfolios(1), dead, "dead")
    await asyncio.sleep(0.005)

    await claims.take(portfolios(1), next_one, next_one)


@pytest.mark.parametrize("change", ["keep", "mark_prepared", "next_batch"])
async def test_a_lapsed_hand_over_cannot_go_on_once_another_took_one_of_its_portfolios(
    database: AsyncDatabase[Document],
    claims: PortfolioClaimStore,
    leases: OrderSubmissionStore,
    change: str,
) -> None:
    paused, next_one = new_rebalance_id(), await begin_submission(leases)
    await OrderSubmissionStore(database, timedelta(0)).begin(paused, "paused")
    await claims.take(portfolios(1, 2), paused, "paused")
    await asyncio.sleep(0.005)
    await claims.take(portfolios(2), next_one, next_one)

    with pytest.raises(HandOverInProgressError):
        await getattr(leases, change)(paused, "paused")

    await leases.end(next_one, next_one)
    with pytest.raises(HandOverInProgressError):
        await getattr(leases, change)(paused, "paused")
    assert await leases.begin(paused, "again") is False


async def test_a_lapsed_hand_over_goes_on_while_nobody_took_anything_of_it(
    database: AsyncDatabase[Document], claims: PortfolioClaimStore, leases: OrderSubmissionStore
) -> None:
    paused, next_one = new_rebalance_id(), await begin_submission(leases)
    await OrderSubmissionStore(database, timedelta(0)).begin(paused, "paused")
    await claims.take(portfolios(1, 2), paused, "paused")
    await asyncio.sleep(0.005)
    await claims.take(portfolios(3), next_one, next_one)

    await leases.keep(paused, "paused")

    with pytest.raises(HandOverInProgressError):
        await claims.take(portfolios(2), next_one, next_one)
