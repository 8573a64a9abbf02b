"""Totals of outcomes: what adding up all of them would give, wherever they are stored."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from bson import ObjectId

from optimization import PortfolioOutcome, ScaledColumn
from storage.rebalances.outcome_totals import OutcomeTotals
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.rebalance_store import RebalanceStore
from tests.storage.rebalances.test_outcome_search import (
    store_in_columns,
    store_in_documents,
    store_in_one_document,
)
from tests.support.samples import make_answers, make_outcome, make_rebalance

pytestmark = pytest.mark.mongo


def total(outcomes: tuple[PortfolioOutcome, ...]) -> OutcomeTotals:
    with_amounts = [outcome for outcome in outcomes if outcome.market_value is not None]
    planned = [outcome.certificate for outcome in outcomes if outcome.certificate is not None]
    return OutcomeTotals(
        len(with_amounts),
        sum((outcome.market_value or Decimal(0) for outcome in outcomes), Decimal(0)),
        sum((outcome.cash_before or Decimal(0) for outcome in outcomes), Decimal(0)),
        sum((outcome.cash_after or Decimal(0) for outcome in outcomes), Decimal(0)),
        sum((certificate.objective for certificate in planned), Decimal(0)),
    )


@pytest.mark.parametrize("store", [store_in_columns, store_in_documents, store_in_one_document])
async def test_totals_are_the_sums_over_all_outcomes(
    rebalances: RebalanceStore, store: Callable[[RebalanceStore], Awaitable[Rebalance]]
) -> None:
    rebalance = await store(rebalances)
    outcomes = await rebalances.list_outcomes(rebalance)

    totals = await rebalances.total_outcomes(rebalance)

    assert totals == total(outcomes)
    assert totals.portfolios > 0
    assert totals.market_value > totals.cash_after > 0


async def test_amounts_beyond_64_bits_are_added_up_exactly(rebalances: RebalanceStore) -> None:
    rebalance = await rebalances.open(replace(make_rebalance(3), run_id=str(ObjectId())))
    made = make_answers(rebalance, range(3))
    large = ScaledColumn(np.array([2**62, 2**62, 2**62 + 1]), 4)
    made = replace(made, market_value=large, cash_after=large)
    await rebalances.record_block(rebalance.rebalance_id, range(3), made)

    totals = await rebalances.total_outcomes(rebalance)

    exact = Decimal(3 * 2**62 + 1).scaleb(-4)
    assert (totals.portfolios, totals.market_value, totals.cash_after) == (3, exact, exact)


async def test_a_portfolio_in_columns_and_in_a_document_counts_once(
    rebalances: RebalanceStore,
) -> None:
    run = await store_in_columns(rebalances)
    before = await rebalances.total_outcomes(run)
    await rebalances.record(run.rebalance_id, range(1), [make_outcome(run, 0)])

    assert await rebalances.total_outcomes(run) == before


async def test_a_rebalance_whose_outcomes_are_missing_has_totals_of_nothing(
    rebalances: RebalanceStore,
) -> None:
    run = await store_in_documents(rebalances)
    nowhere = replace(run, rebalance_id=str(ObjectId()))

    assert await rebalances.total_outcomes(nowhere) == OutcomeTotals()
