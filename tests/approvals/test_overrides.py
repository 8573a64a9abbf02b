"""Proposals with plans that break rules: held, or overridden by somebody who does not approve."""

import pytest

from serve_app.settings import Settings, read_settings
from tests.support.approvals import Desk
from tests.support.fakes import A, B, P, Q
from tests.support.flaky_order_service import OrderDesk
from tests.support.submissions import read_code

pytestmark = pytest.mark.mongo


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys", "require_approvals": 1})


@pytest.fixture(autouse=True)
async def rule(approvals: Desk) -> None:
    """P has at most a tenth of A, which the plans of the tests exceed."""
    body = {
        "name": "a tenth of A",
        "kind": "WEIGHT_MOST",
        "severity": "BLOCK",
        "security_ids": [A],
        "part": "0.1",
        "portfolios": [P],
    }
    answer = await (await approvals.people("admin")).post("/api/v1/rules", json=body)
    assert answer.status_code == 201, answer.text


async def test_a_broken_rule_keeps_a_proposal_from_being_approved(approvals: Desk) -> None:
    made = await approvals.proposal()

    answer = await approvals.decide(made, "anna", "APPROVE")

    assert (answer.status_code, read_code(answer)) == (409, "rules-broken")
    assert answer.json()["portfolios"] == [{"portfolio_id": P, "rules": ["a tenth of A"]}]
    assert answer.json()["number_of_portfolios"] == 1
    assert await approvals.read(made) == made


async def test_it_is_approved_once_the_portfolio_is_held(approvals: Desk, desk: OrderDesk) -> None:
    made = await approvals.proposal()
    held = (await approvals.decide(made, "anna", "HOLD", portfolios=[P])).json()

    approved = await approvals.decide(held, "anna", "APPROVE")
    await approvals.send(made["rebalance_id"])

    assert approved.json()["status"] == "APPROVED"
    assert sorted(await desk.read_keys()) == [(Q, A), (Q, B)]


async def test_one_approver_overrides_the_rule_with_a_reason_and_another_approves(
    approvals: Desk, desk: OrderDesk
) -> None:
    made = await approvals.proposal()

    without = await approvals.decide(made, "carla", "OVERRIDE")
    overridden = await approvals.decide(made, "carla", "OVERRIDE", note="the client insists")
    same = await approvals.decide(overridden.json(), "carla", "APPROVE")
    approved = await approvals.decide(overridden.json(), "anna", "APPROVE")
    sent = await approvals.send(made["rebalance_id"])

    assert (without.status_code, without.json()["errors"][0]["pointer"]) == (422, "/note")
    override = overridden.json()["override"]
    assert (override["principal"], override["reason"]) == ("carla", "the client insists")
    assert (same.status_code, read_code(same)) == (403, "four-eyes")
    assert (approved.json()["status"], sent.status_code) == ("APPROVED", 200)
    assert len(await desk.read_keys()) == 4
    assert ("proposal.override", "carla") in await approvals.actions(made["proposal_id"])


async def test_the_proposer_cannot_override(approvals: Desk) -> None:
    made = (await approvals.propose(await approvals.rebalance(), by="admin")).json()

    answer = await approvals.decide(made, "admin", "OVERRIDE", note="it is fine")

    assert (answer.status_code, read_code(answer)) == (403, "four-eyes")
