"""Trades under review: filters, order, pages, approvals, and the totals of what matches."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support.approvals import Desk, trade
from tests.support.fakes import A, B, P, Q

pytestmark = pytest.mark.mongo
Proposal = dict[str, Any]


async def read(reader: httpx.AsyncClient, rebalance_id: str, **query: Any) -> list[dict[str, Any]]:
    answer = await reader.get(f"/api/v1/rebalance/{rebalance_id}/trades", params=query)
    assert answer.status_code == 200, answer.text
    listed = answer.json()
    assert answer.headers["x-total-count"] == str(len(listed))
    return listed


async def read_totals(reader: httpx.AsyncClient, rebalance_id: str, **query: Any) -> Any:
    path = f"/api/v1/rebalance/{rebalance_id}/transactions/totals"
    return (await reader.get(path, params=query)).json()


def named(listed: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(trade["portfolio_id"], trade["security_id"]) for trade in listed]


async def test_each_trade_has_its_weights_and_what_keeps_it_from_being_sent(
    approvals: Desk,
) -> None:
    rebalance_id = await approvals.rebalance()
    reader = await approvals.people("anna")
    unproposed = await read(reader, rebalance_id)
    made = (await approvals.propose(rebalance_id)).json()
    await approvals.decide(made, "anna", "HOLD", portfolios=[Q], transactions=[trade()], note="tax")
    listed = await read(reader, rebalance_id)
    lines = (await reader.get(f"/api/v1/rebalance/{rebalance_id}/transactions")).json()

    assert {trade["approval"] for trade in unproposed} == {"NONE"}
    assert named(listed) == [(line["portfolio_id"], line["security_id"]) for line in lines]
    for listed_trade, line in zip(listed, lines, strict=True):
        assert listed_trade["transaction_type"] == line["transaction_type"]
        assert Decimal(listed_trade["trade_amount"]) == Decimal(str(line["amount"]))
        weights = {"original_weight", "target", "actual", "original_side", "side"}
        assert weights <= listed_trade.keys()
    held = {
        key: listed_trade["hold"] for key, listed_trade in zip(named(listed), listed, strict=True)
    }
    assert {key: hold and hold["security_id"] for key, hold in held.items()} == {
        (P, A): A,
        (P, B): None,
        (Q, A): None,
        (Q, B): None,
    }
    assert held[P, B] is None
    assert held[P, A]["note"] == held[Q, A]["note"] == "tax"
    assert [trade["approval"] for trade in listed] == ["HELD", "PROPOSED", "HELD", "HELD"]


async def test_filters_are_applied_together_and_totals_are_those_of_what_matches(
    approvals: Desk,
) -> None:
    made = await approvals.proposal()
    rebalance_id = made["rebalance_id"]
    await approvals.decide(made, "anna", "HOLD", portfolios=[Q])
    reader = await approvals.people("anna")
    every = await read(reader, rebalance_id)
    amounts = sorted(Decimal(trade["trade_amount"]) for trade in every)
    middle = str(amounts[1])
    queries: list[tuple[dict[str, Any], Any]] = [
        ({"side": "BUY"}, lambda trade: trade["transaction_type"] == "BUY"),
        ({"side": ["BUY", "SELL"]}, lambda _: True),
        ({"ticker": A.lower()}, lambda trade: trade["security_id"] == A),
        ({"ticker": "nothing"}, lambda _: False),
        ({"security_id": B, "ticker": A}, lambda _: False),
        ({"portfolio_id": P}, lambda trade: trade["portfolio_id"] == P),
        ({"min_amount": middle}, lambda trade: Decimal(trade["trade_amount"]) >= amounts[1]),
        ({"max_amount": middle}, lambda trade: Decimal(trade["trade_amount"]) <= amounts[1]),
        ({"approval": "HELD"}, lambda trade: trade["portfolio_id"] == Q),
        ({"approval": "PROPOSED"}, lambda trade: trade["portfolio_id"] == P),
        ({"approval": ["NONE", "APPROVED", "ORDERED"]}, lambda _: False),
        (
            {"approval": "HELD", "security_id": A},
            lambda trade: (trade["portfolio_id"], trade["security_id"]) == (Q, A),
        ),
    ]
    for query, matches in queries:
        expected = [trade for trade in every if matches(trade)]
        assert named(await read(reader, rebalance_id, **query)) == named(expected), query
        totals = await read_totals(reader, rebalance_id, **query)
        parts = [totals[name] for name in ("buys", "sells", "held")]
        assert sum(part["transactions"] for part in parts) == len(expected), query
        whole = sum(Decimal(trade["trade_amount"]) for trade in expected)
        assert sum(Decimal(part["amount"]) for part in parts) == whole, query


async def test_trades_are_sorted_by_amount_or_drift_and_come_in_pages(approvals: Desk) -> None:
    rebalance_id = await approvals.rebalance()
    reader = await approvals.people("anna")
    outcomes = (await reader.get(f"/api/v1/rebalance/{rebalance_id}/outcomes")).json()
    values = {outcome["portfolio_id"]: Decimal(outcome["market_value"]) for outcome in outcomes}

    def amount_of(one: dict[str, Any]) -> Decimal:
        return Decimal(one["trade_amount"])

    def drift_of(one: dict[str, Any]) -> Decimal:
        return abs(Decimal(one["original_deviation"])) / values[one["portfolio_id"]]

    every = await read(reader, rebalance_id)
    for sort_by, key in (("amount", amount_of), ("drift", drift_of)):
        listed = await read(reader, rebalance_id, sort_by=f"-{sort_by}")
        assert named(listed) == named(sorted(every, key=key, reverse=True))
        path = f"/api/v1/rebalance/{rebalance_id}/trades"
        page = await reader.get(path, params={"sort_by": f"-{sort_by}", "offset": 1, "limit": 2})
        assert page.json() == listed[1:3]
        assert page.headers["x-total-count"] == str(len(every))
    least = sorted(map(drift_of, every))[2] - Decimal("0.000001")
    found = await read(reader, rebalance_id, min_drift=f"{least:.10f}")
    assert named(found) == named([trade for trade in every if drift_of(trade) >= least])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("side", "HOLD"),
        ("approval", "MAYBE"),
        ("min_amount", "-1"),
        ("max_amount", "many"),
        ("min_drift", "1e3"),
        ("ticker", ""),
        ("sort_by", "price"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused_by_name(
    approvals: Desk, name: str, value: str
) -> None:
    rebalance_id = await approvals.rebalance()
    reader = await approvals.people("anna")

    answer = await reader.get(f"/api/v1/rebalance/{rebalance_id}/trades", params={name: value})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"].partition(".")[0] == name
