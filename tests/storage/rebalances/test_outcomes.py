"""Every outcome that a rebalance may have reads back equal."""

from dataclasses import replace
from decimal import Decimal
from operator import ne

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.asynchronous.database import AsyncDatabase

from optimization.domain.certificate import Certificate, Method, Proof
from optimization.domain.outcome import Edge, OutsideBand, PortfolioOutcome, Refusal, Status
from optimization.domain.portfolio import OUTSIDE, PricedTarget
from storage.mongo.connection import Document
from storage.rebalances.rebalance_store import RebalanceStore
from tests.support.samples import BAND, make_id, make_outcomes, make_rebalance, make_securities

pytestmark = pytest.mark.mongo


def amounts() -> st.SearchStrategy[Decimal]:
    return st.decimals(allow_nan=False, allow_infinity=False)


def shares() -> st.SearchStrategy[int | Decimal]:
    return st.one_of(
        st.integers(),
        st.integers(-(2**70), 2**70),
        st.decimals(-(10**30), 10**30, allow_nan=False),
        st.decimals(-(10**9), 10**9, places=6),
    )


def certificates() -> st.SearchStrategy[Certificate]:
    return st.builds(
        Certificate,
        st.sampled_from(Proof),
        st.sampled_from(Method),
        amounts(),
        amounts(),
        other_base=st.none() | amounts(),
        violation=amounts(),
        violation_lower_bound=amounts(),
    )


def left_outside() -> st.SearchStrategy[tuple[OutsideBand, ...]]:
    names = st.lists(st.sampled_from(["direction", "whole_lots", "cash_floor"]), max_size=2)
    one = st.builds(
        OutsideBand,
        st.just(make_id("X", 0)),
        st.sampled_from(Edge),
        amounts(),
        names.map(tuple),
    )
    return st.lists(one, max_size=2).map(tuple)


def refusals() -> st.SearchStrategy[Refusal]:
    keys = st.text("abcxyz_", min_size=1)
    plain = st.recursive(
        st.one_of(st.text("abc", max_size=4), st.integers(-(10**34) + 1, 10**34 - 1)),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(keys, inner)),
        max_leaves=6,
    )
    return st.builds(Refusal, st.just("infeasible"), st.text("ab "), st.dictionaries(keys, plain))


@st.composite
def any_outcome(draw: st.DrawFn) -> PortfolioOutcome:
    model = draw(st.sampled_from([make_securities(), ()]))
    outside = tuple(
        PricedTarget(make_id("X", at), abs(draw(amounts())) + 1, Decimal(0), BAND)
        for at in range(draw(st.integers(0, 2)))
    )
    rows = st.lists(shares(), min_size=len(model + outside), max_size=len(model + outside))
    amount = st.one_of(st.none(), amounts())
    return PortfolioOutcome(
        draw(st.uuids()).hex[:24],
        draw(st.sampled_from(Status)),
        *(draw(amount), draw(amount), draw(amount)),
        model,
        outside,
        tuple(draw(rows)),
        tuple(draw(rows)),
        draw(st.one_of(st.none(), certificates())),
        draw(st.one_of(st.none(), refusals())),
        outside_band=draw(left_outside()),
    )


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(any_outcome())
async def test_every_outcome_reads_back_equal(
    rebalances: RebalanceStore, expected: PortfolioOutcome
) -> None:
    rebalance = await rebalances.open(make_rebalance(1))
    await rebalances.record(rebalance.rebalance_id, range(1), [expected])
    assert await rebalances.list_outcomes(rebalance) == (expected,)


async def test_equal_securities_of_several_outcomes_keep_the_digits_of_their_own(
    rebalances: RebalanceStore,
) -> None:
    rebalance = await rebalances.open(make_rebalance(3))
    first, second = (
        PricedTarget("OLD", Decimal(price), Decimal(0), OUTSIDE) for price in ("5", "5.00")
    )
    made = [
        replace(outcome, others=(other,), before=(*outcome.before, 1), after=(*outcome.after, 0))
        for outcome, other in zip(make_outcomes(rebalance), (first, second, first), strict=True)
    ]

    await rebalances.record(rebalance.rebalance_id, range(3), made)

    read = await rebalances.list_outcomes(rebalance)
    assert list(map(repr, read)) == list(map(repr, made))
    assert [str(outcome.others[0].price) for outcome in read] == ["5", "5.00", "5"]


async def test_an_outcome_that_was_stored_before_bands_could_yield_is_still_read(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    rebalance = await rebalances.open(make_rebalance(1))
    await rebalances.record(rebalance.rebalance_id, range(1), make_outcomes(rebalance))

    (stored,) = await database["outcomes"].find({}).to_list()
    (read,) = await rebalances.list_outcomes(rebalance)

    assert not {"outside_band", "violation", "violation_lower_bound"} & stored.keys()
    assert read.outside_band == ()
    assert read.certificate is not None
    assert f"{read.certificate.violation}" == "0.00"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(any_outcome(), max_size=5))
async def test_the_transactions_of_a_rebalance_are_counted_where_they_are_stored(
    rebalances: RebalanceStore, database: AsyncDatabase[Document], expected: list[PortfolioOutcome]
) -> None:
    rebalance = await rebalances.open(make_rebalance(len(expected)))
    await rebalances.record(rebalance.rebalance_id, range(len(expected)), expected)
    traded = sum(sum(map(ne, outcome.before, outcome.after)) for outcome in expected)
    assert await rebalances.count_transactions(rebalance.rebalance_id) == traded
    await database["outcomes"].update_many({}, {"$unset": {"transactions": ""}})  # as once stored
    assert await rebalances.count_transactions(rebalance.rebalance_id) == traded
