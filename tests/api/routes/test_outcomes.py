"""Rebalances in brief, their outcomes by status and reason, and one outcome in full."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import httpx
import pytest

from storage.rebalance import Rebalance, RebalanceStatus
from tests.support.fakes import Stored
from tests.support.samples import make_id, make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo

COUNT = 30


@pytest.fixture
async def run(stored: Stored) -> Rebalance:
    """Rebalance of 30 portfolios: every fifth FAILED, of the others every third INFEASIBLE."""
    run = replace(make_rebalance(COUNT), status=RebalanceStatus.COMPLETED)
    return await stored.rebalances.store(run, make_outcomes(run))


def amount(text: str) -> Fraction:
    assert isinstance(text, str)
    return Fraction(text)


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> httpx.Response:
    answer = await client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_rebalance_in_brief_has_counts_and_options_but_no_portfolios(
    client: httpx.AsyncClient, run: Rebalance
) -> None:
    (listed,) = (await get(client, "/rebalances/summary")).json()
    alone = (await get(client, f"/rebalance/{run.rebalance_id}/summary")).json()

    assert listed == alone
    assert alone["model_version"] == 4
    assert alone["options"] == {"cash_floor": {"amount": "0.02"}, "lots": {make_id("S", 1): "100"}}
    assert alone["run_id"] is None
    assert "portfolios" not in alone


async def test_outcomes_are_filtered_by_status_and_reason_and_counted(
    client: httpx.AsyncClient, run: Rebalance
) -> None:
    path = f"/rebalance/{run.rebalance_id}/outcomes"

    failed = await get(client, path, status=["FAILED", "INFEASIBLE"], limit=5)
    priceless = await get(client, path, code="prices-missing")

    assert failed.headers["x-total-count"] == "14"
    assert 'rel="next"' in failed.headers["link"]
    assert [each["portfolio_id"] for each in failed.json()] == [
        make_id("P", at) for at in (2, 4, 5, 8, 9)
    ]
    assert {each["error"]["type"] for each in priceless.json()} == {"/problems/prices-missing"}
    assert priceless.headers["x-total-count"] == "6"


async def test_outcomes_are_sorted_by_an_amount_with_those_without_it_last(
    client: httpx.AsyncClient, run: Rebalance
) -> None:
    answer = await get(
        client, f"/rebalance/{run.rebalance_id}/outcomes", sort_by="-market_value", limit=COUNT
    )

    values = [each["market_value"] for each in answer.json()]
    known = [amount(each) for each in values if each is not None]
    assert known == sorted(known, reverse=True)
    assert values[len(known) :] == [None] * 6


async def test_a_summary_tells_the_drift_before_and_after(
    client: httpx.AsyncClient, run: Rebalance
) -> None:
    path = f"/rebalance/{run.rebalance_id}"
    (line,) = (await get(client, f"{path}/outcomes", portfolio_id=make_id("P", 0))).json()
    detail = (await get(client, f"{path}/portfolio/{make_id('P', 0)}")).json()

    for name, deviation, side in (
        ("before", "original_deviation", "original_side"),
        ("after", "deviation", "side"),
    ):
        distances = [abs(amount(each[deviation])) for each in detail["positions"]]
        assert amount(line[name]["total_drift"]) == sum(distances)
        outside = [each for each in detail["positions"] if each[side]]
        assert line[name]["out_of_band"] == len(outside)
    assert {name: detail[name] for name in line} == line


async def test_an_outcome_in_full_has_every_digit_of_its_numbers(
    client: httpx.AsyncClient, run: Rebalance
) -> None:
    path = f"/rebalance/{run.rebalance_id}/portfolio/{make_id('P', 0)}"

    detail = (await get(client, path)).json()

    assert detail["market_value"] == "1000000.123456789012345678"
    first, second, third = detail["positions"]
    assert (first["original_quantity"], first["adjusted_quantity"]) == ("10.5", "11")
    assert (first["transaction_type"], first["trade_quantity"]) == ("BUY", "0.5")
    assert amount(first["trade_amount"]) == Fraction("0.5") * amount(first["price"])
    assert amount(second["original_position_market_value"]) == -3 * amount(second["price"])
    assert (third["transaction_type"], third["trade_quantity"]) == (None, None)
    assert (detail["proof"], detail["method"]) == ("OPTIMAL", "COVER")


async def test_an_outcome_without_a_plan_has_the_whole_reason(
    client: httpx.AsyncClient, run: Rebalance
) -> None:
    path = f"/rebalance/{run.rebalance_id}/portfolio"

    infeasible = (await get(client, f"{path}/{make_id('P', 2)}")).json()
    failed = (await get(client, f"{path}/{make_id('P', 4)}")).json()

    assert infeasible["problem"]["smallest_band"] == {"low": "0.02"}
    assert infeasible["before"] is not None
    assert (failed["before"], failed["positions"]) == (None, [])
    assert failed["problem"]["securities"] == [make_id("S", 9)]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"status": "GONE"}, "status"),
        ({"sort_by": "turnover"}, "sort_by"),
        ({"code": "Prices Missing"}, "code"),
        ({"limit": 1001}, "limit"),
    ],
)
async def test_what_no_outcome_has_is_refused_by_name(
    client: httpx.AsyncClient, run: Rebalance, query: dict[str, Any], pointer: str
) -> None:
    answer = await client.get(f"/api/v1/rebalance/{run.rebalance_id}/outcomes", params=query)

    assert answer.status_code == 422
    assert pointer in answer.text


async def test_a_portfolio_that_the_rebalance_lacks_is_not_found(
    client: httpx.AsyncClient, run: Rebalance
) -> None:
    answer = await client.get(
        f"/api/v1/rebalance/{run.rebalance_id}/portfolio/{make_id('P', COUNT)}"
    )

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
