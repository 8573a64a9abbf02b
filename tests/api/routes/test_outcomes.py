"""Rebalances in brief, their outcomes by status and reason, and one outcome in full."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest

from optimization import NO_OVERRIDES, PortfolioOutcome, Refusal, Status
from storage.rebalances import outcome_causes
from storage.rebalances.rebalance import Rebalance, RebalanceStatus, new_rebalance_id
from storage.runs.run import HoldingsRef, Run, Selection
from tests.support.fakes import Stored
from tests.support.samples import NOON, make_id, make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo

COUNT = 30


@pytest.fixture
async def rebalance(stored: Stored) -> Rebalance:
    """Rebalance of 30 portfolios: every fifth FAILED, of the others every third INFEASIBLE."""
    rebalance = replace(make_rebalance(COUNT), status=RebalanceStatus.COMPLETED)
    return await stored.rebalances.store(rebalance, make_outcomes(rebalance))


def amount(text: str) -> Fraction:
    assert isinstance(text, str)
    return Fraction(text)


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> httpx.Response:
    answer = await client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_rebalance_in_brief_has_counts_and_options_but_no_portfolios(
    client: httpx.AsyncClient, rebalance: Rebalance
) -> None:
    (listed,) = (await get(client, "/rebalances/summary")).json()
    alone = (await get(client, f"/rebalance/{rebalance.rebalance_id}/summary")).json()

    assert listed == alone
    assert alone["model_version"] == 4
    assert alone["options"] == {"cash_floor": {"amount": "0.02"}, "lots": {make_id("S", 1): "100"}}
    assert alone["run_id"] is None
    assert "portfolios" not in alone


async def test_outcomes_are_filtered_by_status_and_reason_and_counted(
    client: httpx.AsyncClient, rebalance: Rebalance
) -> None:
    path = f"/rebalance/{rebalance.rebalance_id}/outcomes"

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
    client: httpx.AsyncClient, rebalance: Rebalance
) -> None:
    answer = await get(
        client,
        f"/rebalance/{rebalance.rebalance_id}/outcomes",
        sort_by="-market_value",
        limit=COUNT,
    )

    values = [each["market_value"] for each in answer.json()]
    known = [amount(each) for each in values if each is not None]
    assert known == sorted(known, reverse=True)
    assert values[len(known) :] == [None] * 6


async def test_a_summary_tells_the_drift_before_and_after(
    client: httpx.AsyncClient, rebalance: Rebalance
) -> None:
    path = f"/rebalance/{rebalance.rebalance_id}"
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
    client: httpx.AsyncClient, rebalance: Rebalance
) -> None:
    path = f"/rebalance/{rebalance.rebalance_id}/portfolio/{make_id('P', 0)}"

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
    client: httpx.AsyncClient, rebalance: Rebalance
) -> None:
    path = f"/rebalance/{rebalance.rebalance_id}/portfolio"

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
    client: httpx.AsyncClient, rebalance: Rebalance, query: dict[str, Any], pointer: str
) -> None:
    answer = await client.get(f"/api/v1/rebalance/{rebalance.rebalance_id}/outcomes", params=query)

    assert answer.status_code == 422
    assert pointer in answer.text


async def test_a_portfolio_that_the_rebalance_lacks_is_not_found(
    client: httpx.AsyncClient, rebalance: Rebalance
) -> None:
    answer = await client.get(
        f"/api/v1/rebalance/{rebalance.rebalance_id}/portfolio/{make_id('P', COUNT)}"
    )

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


BANDS = {f"P{at}": ("0.0144", "0.0144") if at < 9 else ("0.03", "0.01") for at in range(10)}


def make_refused(portfolio_id: str, number: int) -> PortfolioOutcome:
    low, high = BANDS[f"P{number}"]
    band = {"low_drift": low, "high_drift": high, "lots": "1"}
    security = {"security_id": make_id("S", 0), "smallest_band": band}
    limits = [{"option": "cash_floor", "short_by": "10.00"}] if number == 0 else []
    return PortfolioOutcome(
        portfolio_id,
        Status.INFEASIBLE,
        Decimal(1000),
        Decimal(0),
        Decimal(0),
        refusal=Refusal("infeasible", "none", {"securities": [security], "limits": limits}),
    )


async def test_causes_have_each_reason_once_with_the_bands_that_would_admit_its_portfolios(
    client: httpx.AsyncClient, stored: Stored
) -> None:
    rebalance = replace(make_rebalance(12), status=RebalanceStatus.COMPLETED)
    priceless = Refusal("prices-missing", "no price", {"securities": [make_id("S", 9)]})
    failed = PortfolioOutcome("P11", Status.FAILED, None, None, None, refusal=priceless)
    fine = replace(make_outcomes(rebalance, range(1))[0], portfolio_id="P10")
    refused = [make_refused(f"P{at}", at) for at in range(10)]
    await stored.rebalances.store(rebalance, [*refused, fine, failed])

    found = (await get(client, f"/rebalance/{rebalance.rebalance_id}/causes")).json()

    assert (found["examined"], found["is_whole"]) == (11, True)
    widest, *others = found["causes"]
    assert (widest["kind"], widest["subject"]) == ("security", make_id("S", 0))
    assert (widest["portfolios"], widest["examples"]) == (10, [f"P{at}" for at in range(10)])
    assert [(each["share"], each["low_drift"], each["high_drift"]) for each in widest["bands"]] == [
        ("0.5", "0.0144", "0.0144"),
        ("0.9", "0.0144", "0.0144"),
        ("1", "0.03", "0.0144"),
    ]
    assert {
        (each["type"], each["kind"], each["subject"], each["portfolios"]) for each in others
    } == {
        ("/problems/infeasible", "option", "cash_floor", 1),
        ("/problems/prices-missing", "security", make_id("S", 9), 1),
    }


async def test_causes_of_more_portfolios_than_are_read_say_so(
    client: httpx.AsyncClient, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome_causes, "MAX_EXAMINED", 4)
    rebalance = replace(make_rebalance(10), status=RebalanceStatus.COMPLETED)
    await stored.rebalances.store(rebalance, [make_refused(f"P{at}", at) for at in range(10)])

    found = (await get(client, f"/rebalance/{rebalance.rebalance_id}/causes")).json()

    assert (found["examined"], found["is_whole"]) == (4, False)


async def test_causes_of_a_rebalance_of_one_portfolio_are_found_with_it(
    client: httpx.AsyncClient, stored: Stored
) -> None:
    rebalance = replace(make_rebalance(1), status=RebalanceStatus.COMPLETED)
    await stored.rebalances.store(rebalance, [make_refused("P3", 3)])

    found = (await get(client, f"/rebalance/{rebalance.rebalance_id}/causes")).json()

    assert [each["examples"] for each in found["causes"]] == [["P3"]]


async def test_causes_of_a_run_are_those_of_its_rebalances_together(
    client: httpx.AsyncClient, stored: Stored
) -> None:
    run = Run(new_rebalance_id(), Selection(), NO_OVERRIDES, HoldingsRef("pages"), NOON)
    assert await stored.resources.runs.add(run, "nobody", 1)
    for first in (0, 5):
        part = await stored.rebalances.open(replace(make_rebalance(5), run_id=run.run_id))
        refused = [make_refused(f"P{at}", at) for at in range(first, first + 5)]
        await stored.rebalances.record(part.rebalance_id, range(5), refused)

    found = (await get(client, f"/runs/{run.run_id}/causes")).json()

    assert found["examined"] == 10
    assert found["causes"][0]["portfolios"] == 10
    assert (await client.get(f"/api/v1/runs/{'0' * 24}/causes")).status_code == 404
