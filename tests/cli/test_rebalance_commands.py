"""Commands of a stored rebalance: outcomes, reasons, removal, and the rebalances of a portfolio."""

import json
from typing import Any

import pytest

from tests.support.command_server import Ordergen
from tests.support.fakes import A, FakeOptimizer, P, Q, make_refusal


@pytest.fixture
async def rebalance_id(ordergen: Ordergen, model: dict[str, Any], optimizer: FakeOptimizer) -> str:
    """A rebalance in which Q has no plan."""
    well = optimizer.outcome
    optimizer.outcome = lambda portfolio_id, priced: (
        make_refusal("infeasible", Q) if portfolio_id == Q else well(portfolio_id, priced)
    )
    done = await ordergen("rebalance", "--model", model["model_id"], "--json")
    return json.loads(done.stdout)[0]["rebalance_id"]


async def test_outcomes_are_selected_by_status_and_portfolio(
    ordergen: Ordergen, rebalance_id: str
) -> None:
    every = await ordergen("rebalances", "outcomes", rebalance_id)
    refused = await ordergen(
        "rebalances", "outcomes", rebalance_id, "--status", "INFEASIBLE", "--json"
    )
    one = await ordergen("rebalances", "outcomes", rebalance_id, "--portfolio", P, "--json")

    assert every.exit_code == 0, every.output
    assert all(text in every.stdout for text in (P, Q, "969.75", "Growth IRA"))
    assert [outcome["portfolio_id"] for outcome in json.loads(refused.stdout)] == [Q]
    assert [outcome["portfolio_id"] for outcome in json.loads(one.stdout)] == [P]


async def test_an_outcome_is_shown_with_its_positions_or_its_reason(
    ordergen: Ordergen, rebalance_id: str
) -> None:
    planned = await ordergen("rebalances", "outcome", rebalance_id, P)
    refused = await ordergen("rebalances", "outcome", rebalance_id, Q)
    data = await ordergen("rebalances", "outcome", rebalance_id, P, "--json")

    assert all(text in planned.stdout for text in (P, "969.75", A, "ALFA", "BUY"))
    assert f"{Q}: It is no use." in refused.stdout
    assert json.loads(data.stdout)["proof"] == "OPTIMAL"


async def test_amounts_are_added_up_over_the_portfolios_that_have_them(
    ordergen: Ordergen, rebalance_id: str
) -> None:
    shown = await ordergen("rebalances", "totals", rebalance_id)
    data = await ordergen("rebalances", "totals", rebalance_id, "--json")

    assert all(text in shown.stdout for text in (rebalance_id, "1,000.50", "980.00", "969.75"))
    assert json.loads(data.stdout)["portfolios"] == 1


async def test_a_reason_is_shown_once_with_the_number_of_its_portfolios(
    ordergen: Ordergen, rebalance_id: str
) -> None:
    shown = await ordergen("rebalances", "causes", rebalance_id)

    assert shown.exit_code == 0, shown.output
    assert "1 portfolios without a plan" in shown.stdout
    assert Q in shown.stdout


async def test_the_rebalances_of_a_portfolio_are_listed_until_they_are_deleted(
    ordergen: Ordergen, rebalance_id: str
) -> None:
    listed = await ordergen("show", "--portfolio", P, "--json")
    stale = await ordergen("rebalances", "delete", rebalance_id, "--version", "99")
    deleted = await ordergen("rebalances", "delete", rebalance_id)
    left = await ordergen("show", "--portfolio", P, "--json")

    assert [rebalance["rebalance_id"] for rebalance in json.loads(listed.stdout)] == [rebalance_id]
    assert (stale.exit_code, "precondition-failed" in stale.stderr) == (1, True)
    assert (deleted.exit_code, deleted.stderr) == (0, f"rebalance {rebalance_id} is deleted\n")
    assert json.loads(left.stdout) == []
