"""Deadlines inside a process: the time left, the time reserved, and shares of pieces of work."""

import asyncio
import math
import threading
from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.errors import NoSolutionInTimeError, SolverInterruptedError
from optimization.time_budget import TimeBudget
from serve_app.call_context import (
    MAX_MARGIN,
    TimeSplit,
    lift_deadline,
    remaining_s,
    reserve_time,
    sendable_s,
    set_deadline,
)
from serve_app.chunks import solve as rebalancing
from serve_app.chunks.fetch import ChunkInputs
from serve_app.chunks.solve import solve_chunk
from serve_app.upstream.holdings.source import Balance
from tests.support.fakes import PRICE, A, P

WITHIN_S = 30.0
BAND = DriftBand(Decimal("0.05"), Decimal("0.05"))
FETCHED = ChunkInputs((P,), (Balance(P, Decimal(1000), {}),), {A: PRICE})
GIVEN = (
    (PricedTarget(A, PRICE, Decimal("0.5"), BAND),),
    FETCHED,
    RebalanceOptions(),
    lambda *_: None,
)


def test_without_a_deadline_there_is_no_end():
    assert math.isinf(remaining_s())
    assert sendable_s() is None
    with set_deadline(None), reserve_time(100):
        assert math.isinf(remaining_s())
        assert TimeSplit(3, 2).next_s() is None


def test_a_deadline_comes_only_nearer():
    with set_deadline(60.0):
        with set_deadline(600.0):
            assert 59 < remaining_s() <= 60
        with set_deadline(5.0):
            assert 4 < remaining_s() <= 5
        assert 59 < remaining_s() <= 60


def test_a_deadline_that_has_passed_leaves_nothing():
    with set_deadline(-1.0):
        assert remaining_s() == sendable_s() == 0
        assert TimeSplit(3, 1).next_s() == 0


def test_what_outlives_its_request_has_no_deadline():
    with set_deadline(5.0):
        with lift_deadline():
            assert math.isinf(remaining_s())
        assert remaining_s() <= 5


@pytest.mark.parametrize("portfolios", [1, 200, 1_000_000])
def test_a_margin_is_never_more_than_its_part_of_what_is_left(portfolios: int):
    with set_deadline(2.0), reserve_time(portfolios):
        assert remaining_s() >= 2.0 * MAX_MARGIN * 0.5
    with set_deadline(60.0), reserve_time(portfolios):
        assert 30 * 0.99 < remaining_s() < 60


def test_pieces_that_go_on_beside_each_other_take_equal_rounds():
    with set_deadline(60.0):
        time_split = TimeSplit(5, 2)  # rounds of two, two and one
        budgets = [time_split.next_s() for _ in range(6)]
    assert [round(60 / (budget_s or 1)) for budget_s in budgets] == [3, 2, 2, 1, 1, 1]


async def test_a_solver_is_interrupted_when_nobody_waits_for_it_any_longer(
    monkeypatch: pytest.MonkeyPatch,
):
    start, end = threading.Event(), threading.Event()

    def endless(*arguments: Any) -> Any:
        budget: TimeBudget = arguments[-1]
        start.set()
        budget.interruption.wait(WITHIN_S)
        end.set()
        raise SolverInterruptedError

    monkeypatch.setattr(rebalancing, "rebalance_all", endless)
    solving = asyncio.create_task(solve_chunk(*GIVEN))
    assert await asyncio.to_thread(start.wait, WITHIN_S)
    solving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await solving
    assert await asyncio.to_thread(end.wait, WITHIN_S)


async def test_the_solver_gets_what_is_left_of_the_deadline(monkeypatch: pytest.MonkeyPatch):
    budgets: list[TimeBudget] = []

    def solve(*arguments: Any) -> list[Any]:
        budgets.append(arguments[-1])
        return [NoSolutionInTimeError(P, 1.0)]

    monkeypatch.setattr(rebalancing, "rebalance_all", solve)
    for deadline_s in (None, 5.0):
        with set_deadline(deadline_s):
            await solve_chunk(*GIVEN)
    without, with_one = budgets
    assert math.isinf(without.left_s)
    assert 4 < with_one.left_s <= 5
