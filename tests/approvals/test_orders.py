"""Orders of proposals: what is sent, what is not, and when a proposal is STALE."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from serve_app.settings import Settings, SettingsError, read_settings
from tests.support import flaky_order_service
from tests.support.approvals import Desk, trade
from tests.support.fakes import PRICE, A, B, P, Q
from tests.support.flaky_order_service import OrderDesk
from tests.support.in_process import Upstreams
from tests.support.submissions import read_code, read_counts

pytestmark = pytest.mark.mongo
Proposal = dict[str, Any]


async def approve(approvals: Desk, proposal: Proposal) -> Proposal:
    """Let two approve a proposal, one of the highest level."""
    await approvals.decide(proposal, "anna", "APPROVE")
    answer = await approvals.decide(proposal, "carla", "APPROVE")
    assert answer.json()["status"] == "APPROVED", answer.text
    return answer.json()


async def test_orders_are_sent_once_two_have_approved_them(
    approvals: Desk, desk: OrderDesk
) -> None:
    rebalance_id = await approvals.rebalance()

    without = await approvals.send(rebalance_id)
    made = (await approvals.propose(rebalance_id)).json()
    too_early = await approvals.send(rebalance_id)
    await approve(approvals, made)
    sent = await approvals.send(rebalance_id)

    assert (without.status_code, read_code(without)) == (409, "not-approved")
    assert "has no proposal" in without.json()["detail"]
    assert (too_early.status_code, too_early.json()["proposal_status"]) == (409, "PROPOSED")
    assert (sent.status_code, read_counts(sent)) == (200, {"SENT": 4})
    assert (await approvals.read(made))["status"] == "ORDERED"
    assert len(desk.posted) == 1
    assert (await approvals.actions(made["proposal_id"]))[-1] == ("proposal.order", "trader")


async def test_totals_are_those_of_the_orders_that_a_hand_over_sends(
    approvals: Desk, desk: OrderDesk
) -> None:
    made = await approvals.proposal()
    path = f"/api/v1/rebalance/{made['rebalance_id']}/transactions/totals"
    reader = await approvals.people("anna")
    before = (await reader.get(path)).json()
    held = await approvals.decide(made, "anna", "HOLD", portfolios=[Q], transactions=[trade()])
    after = (await reader.get(path)).json()
    await approve(approvals, held.json())
    sent = await approvals.send(made["rebalance_id"])

    assert (before["held"]["transactions"], after["held"]["transactions"]) == (0, 3)
    assert after["proposal_id"] == made["proposal_id"]
    assert after["portfolios"] == 1
    counts = [after[side]["transactions"] for side in ("buys", "sells")]
    assert read_counts(sent)["SENT"] == sum(counts) == 1
    amounts = [
        [Decimal(totals[side]["amount"]) for side in ("buys", "sells", "held")]
        for totals in (before, after)
    ]
    assert sum(amounts[0]) == sum(amounts[1])


async def test_totals_leave_out_the_holds_of_a_proposal_that_ended(approvals: Desk) -> None:
    made = await approvals.proposal()
    path = f"/api/v1/rebalance/{made['rebalance_id']}/transactions/totals"
    held = await approvals.decide(made, "anna", "HOLD", portfolios=[Q])
    await approvals.withdraw(held.json())

    totals = (await (await approvals.people("anna")).get(path)).json()

    assert (totals["held"]["transactions"], totals["proposal_id"]) == (0, None)


async def test_what_is_held_is_not_sent_also_by_a_second_request(
    approvals: Desk, desk: OrderDesk
) -> None:
    made = await approvals.proposal()
    chosen: dict[str, Any] = {"portfolios": [Q], "transactions": [trade(A)]}
    held = (await approvals.decide(made, "ben", "HOLD", **chosen, note="client asked")).json()
    await approve(approvals, held)

    first = await approvals.send(made["rebalance_id"])
    second = await approvals.send(made["rebalance_id"])

    assert [answer.status_code for answer in (first, second)] == [207, 207]
    assert read_counts(second) == {"PENDING": 3, "SENT": 1}
    assert await desk.read_keys() == [(P, B)]
    messages = {order["message"] for order in second.json()["orders"] if order["message"]}
    assert messages == {"not sent: held by ben: client asked"}


async def test_an_ordered_proposal_changes_no_more_and_its_rest_is_sent(
    approvals: Desk, desk: OrderDesk, upstreams: Upstreams
) -> None:
    made = await approvals.proposal()
    approved = await approve(approvals, made)
    desk.faults = [flaky_order_service.refuse_first(2)]
    partly = await approvals.send(made["rebalance_id"])
    upstreams.prices[A] = PRICE * 2  # which the orders that were sent may have caused

    held = await approvals.decide(approved, "ben", "HOLD", portfolios=[P])
    rest = await approvals.send(made["rebalance_id"])

    assert read_counts(partly) == {"SENT": 2, "FAILED": 2}
    assert (held.status_code, held.json()["proposal_status"]) == (409, "ORDERED")
    assert read_counts(rest) == {"SENT": 4}


MOVES: dict[str, Any] = {
    "price": lambda world: world.prices.update({A: PRICE * Decimal("1.06")}),
    "cash": lambda world: world.set_balance(P, 1001, **{A: 2}),
    "shares": lambda world: world.set_balance(Q, 500, **{B: 4}),
    "another security": lambda world: world.set_balance(Q, 500, **{B: 3, A: 1}),
    "no holdings": lambda world: world.balances.pop(Q),
}


@pytest.mark.parametrize("move", MOVES)
async def test_what_moved_after_the_approval_is_stale_and_sends_nothing(
    approvals: Desk, desk: OrderDesk, upstreams: Upstreams, move: str
) -> None:
    made = await approvals.proposal()
    await approve(approvals, made)
    MOVES[move](upstreams)

    answer = await approvals.send(made["rebalance_id"])

    assert (answer.status_code, read_code(answer)) == (409, "not-approved")
    assert answer.json()["proposal_status"] == "STALE"
    assert desk.posted == []
    ended = await approvals.read(made)
    assert (ended["status"], ended["ending"]["principal"]) == ("STALE", "trader")
    assert (await approvals.actions(made["proposal_id"]))[-1] == ("proposal.stale", "trader")


async def test_a_move_of_exactly_the_limit_is_not_stale(
    approvals: Desk, upstreams: Upstreams
) -> None:
    made = await approvals.proposal()
    await approve(approvals, made)
    upstreams.prices[A] = PRICE * Decimal("1.05")
    upstreams.prices[B] = PRICE * Decimal("0.95")

    assert (await approvals.send(made["rebalance_id"])).status_code == 200


async def test_nobody_approves_what_has_moved(approvals: Desk, upstreams: Upstreams) -> None:
    made = await approvals.proposal()
    upstreams.prices[A] = PRICE * Decimal("1.06")

    answer = await approvals.decide(made, "anna", "APPROVE")

    assert (answer.status_code, read_code(answer)) == (409, "proposal-state")
    assert "by 6.00%, and PROPOSAL_PRICE_MOVE is 5.00%" in answer.json()["detail"]
    assert (await approvals.read(made))["status"] == "STALE"


async def test_a_change_of_the_model_makes_its_proposals_stale(approvals: Desk) -> None:
    made = await approvals.proposal()
    path = f"/api/v1/model/{made['model_id']}/portfolio"
    await (await approvals.people("admin")).post(path, json={"portfolios": ["R" * 24]})

    answer = await approvals.decide(made, "anna", "APPROVE")

    assert "the model was changed from version 1 to 2" in answer.json()["detail"]


async def test_a_proposal_beyond_its_time_is_stale(approvals: Desk, database: Any) -> None:
    made = await approvals.proposal()
    await approve(approvals, made)
    stored = await database["proposals"].find_one({})
    earlier = stored["proposed_at"] - timedelta(seconds=86_401)
    await database["proposals"].update_one({}, {"$set": {"proposed_at": earlier}})

    answer = await approvals.send(made["rebalance_id"])

    assert answer.json()["proposal_status"] == "STALE"
    assert "PROPOSAL_TTL is 86400 s" in answer.json()["detail"]


@pytest.mark.parametrize("upstream", ["pricing", "security", "accounting"])
async def test_an_upstream_that_fails_is_an_error_and_no_approval(
    approvals: Desk, desk: OrderDesk, upstreams: Upstreams, upstream: str
) -> None:
    made = await approvals.proposal()
    half = (await approvals.decide(made, "anna", "APPROVE")).json()
    upstreams.down = upstream

    refused = await approvals.decide(half, "carla", "APPROVE")

    assert (refused.status_code, read_code(refused)) == (503, "upstream-unavailable")
    assert await approvals.read(made) == half
    upstreams.down = ""
    await approvals.decide(half, "carla", "APPROVE")
    upstreams.down = upstream
    assert (await approvals.send(made["rebalance_id"])).status_code == 503
    assert (await approvals.read(made))["status"] == "APPROVED"
    assert desk.posted == []


def test_approvals_need_callers_with_names() -> None:
    with pytest.raises(SettingsError, match=r"REQUIRE_APPROVALS is 1: .* set AUTH"):
        read_settings({"require_approvals": 1})


class TestWithoutRequiredApprovals:
    @pytest.fixture
    def settings(self) -> Settings:
        return read_settings({"auth": "keys"})

    async def test_orders_need_no_proposal(self, approvals: Desk) -> None:
        assert (await approvals.send(await approvals.rebalance())).status_code == 200

    async def test_what_somebody_proposed_waits_for_one_approval(self, approvals: Desk) -> None:
        made = await approvals.proposal()

        early = await approvals.send(made["rebalance_id"])
        approved = await approvals.decide(made, "anna", "APPROVE")
        sent = await approvals.send(made["rebalance_id"])

        assert (early.status_code, read_code(early)) == (409, "not-approved")
        assert (approved.json()["status"], sent.status_code) == ("APPROVED", 200)

    async def test_a_withdrawn_proposal_is_as_none(self, approvals: Desk) -> None:
        made = await approvals.proposal()
        await approvals.withdraw(made)

        assert (await approvals.send(made["rebalance_id"])).status_code == 200
