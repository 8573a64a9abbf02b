"""Search of outcomes: what a filter over all of them would give, wherever they are stored."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest
from bson import ObjectId

from optimization import PortfolioOutcome, Status
from storage.mongo.sorting import ASCENDING, DESCENDING, Sort
from storage.rebalances.outcome_search import SORT_FIELDS, OutcomeFilter
from storage.rebalances.rebalance import Rebalance, RebalanceStatus
from storage.rebalances.rebalance_store import RebalanceStore
from tests.support.samples import make_answers, make_id, make_outcome, make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo

COUNT = 1_100
BESIDE = (2, 4, 5, 600, 1_099)
FILTERS = (
    OutcomeFilter(),
    OutcomeFilter(frozenset({Status.IN_BAND})),
    OutcomeFilter(frozenset({Status.INFEASIBLE, Status.FAILED})),
    OutcomeFilter(codes=frozenset({"prices-missing"})),
    OutcomeFilter(frozenset({Status.REBALANCED}), frozenset({"prices-missing"})),
    OutcomeFilter(portfolio_ids=tuple(make_id("P", at) for at in (600, 3, 1_099, 5_000))),
    OutcomeFilter(frozenset({Status.FAILED}), portfolio_ids=(make_id("P", 4), make_id("P", 3))),
)


def amount_of(outcome: PortfolioOutcome, name: str) -> float | None:
    value = getattr(outcome.certificate if name == "objective" else outcome, name, None)
    return None if value is None else float(value)


def sift(outcomes: Sequence[PortfolioOutcome], wanted: OutcomeFilter, sort: Sort) -> list[str]:
    matching = [outcome for outcome in outcomes if wanted.admits(outcome)]
    if sort:
        ((name, direction),) = sort
        without = [outcome for outcome in matching if amount_of(outcome, name) is None]
        matching = sorted(
            [outcome for outcome in matching if amount_of(outcome, name) is not None],
            key=lambda outcome: direction * (amount_of(outcome, name) or 0),
        )
        matching += without
    return [outcome.portfolio_id for outcome in matching]


async def store_in_columns(rebalances: RebalanceStore) -> Rebalance:
    rebalance = await rebalances.open(replace(make_rebalance(COUNT), run_id=str(ObjectId())))
    apart = {at: make_outcome(rebalance, at) for at in BESIDE}
    made = make_answers(rebalance, range(COUNT), apart)
    await rebalances.record_block(rebalance.rebalance_id, range(COUNT), made)
    return rebalance


async def store_in_documents(rebalances: RebalanceStore) -> Rebalance:
    rebalance = await rebalances.open(make_rebalance(60))
    await rebalances.record(rebalance.rebalance_id, range(60), make_outcomes(rebalance))
    return rebalance


async def store_in_one_document(rebalances: RebalanceStore) -> Rebalance:
    rebalance = replace(make_rebalance(1), status=RebalanceStatus.COMPLETED)
    return await rebalances.store(rebalance, make_outcomes(rebalance))


@pytest.mark.parametrize("store", [store_in_columns, store_in_documents, store_in_one_document])
@pytest.mark.parametrize("is_over", [True, False], ids=["over", "under way"])
async def test_a_page_has_what_a_filter_over_all_outcomes_would_leave(
    rebalances: RebalanceStore, store: object, is_over: bool
) -> None:
    assert callable(store)
    rebalance: Rebalance = await store(rebalances)
    if is_over:
        at = datetime.now(UTC)
        rebalance = await rebalances.finish(rebalance.rebalance_id, RebalanceStatus.COMPLETED, at)
    everything = await rebalances.list_outcomes(rebalance)
    orders: list[Sort] = [
        (),
        *[((name, way),) for name, way in product(SORT_FIELDS, (ASCENDING, DESCENDING))],
    ]

    for wanted, sort in product(FILTERS, orders):
        expected = sift(everything, wanted, sort)
        for offset, limit in ((0, 50), (40, 7), (len(expected), 5)):
            found, total = await rebalances.search_outcomes(rebalance, wanted, sort, offset, limit)
            named = [outcome.portfolio_id for outcome in found]
            assert (named, total) == (expected[offset : offset + limit], len(expected))


async def test_outcomes_that_agree_in_an_amount_stay_in_the_order_of_the_model(
    rebalances: RebalanceStore,
) -> None:
    run = await store_in_documents(rebalances)

    found, _ = await rebalances.search_outcomes(
        run, OutcomeFilter(frozenset({Status.REBALANCED})), (("cash_after", DESCENDING),), 0, 50
    )

    assert {outcome.cash_after for outcome in found} == {found[0].cash_after}
    assert [outcome.portfolio_id for outcome in found] == sorted(
        outcome.portfolio_id for outcome in found
    )


async def test_an_outcome_found_far_from_others_is_the_stored_one(
    rebalances: RebalanceStore,
) -> None:
    run = await store_in_columns(rebalances)
    stored = {outcome.portfolio_id: outcome for outcome in await rebalances.list_outcomes(run)}

    found, _ = await rebalances.search_outcomes(
        run, OutcomeFilter(), (("market_value", DESCENDING),), 0, COUNT
    )

    assert len(found) == COUNT
    assert all(repr(outcome) == repr(stored[outcome.portfolio_id]) for outcome in found)
