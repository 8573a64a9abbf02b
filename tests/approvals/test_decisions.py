"""Who may propose, approve, reject, hold and withdraw, and what becomes of a proposal."""

import asyncio
from typing import Any

import httpx
import pytest

from serve_app.settings import Settings, read_settings
from tests.support.approvals import Desk, trade
from tests.support.fakes import A, B, P, Q
from tests.support.submissions import read_code

pytestmark = pytest.mark.mongo


async def test_a_proposal_says_what_is_proposed_by_whom_and_how_many_have_to_approve(
    approvals: Desk,
) -> None:
    rebalance_id = await approvals.rebalance()

    answer = await approvals.propose(rebalance_id, note="quarter end")

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/proposal/{made['proposal_id']}"
    assert answer.headers["etag"] == '"1"'
    assert made["rebalance_id"] == rebalance_id
    assert (made["status"], made["number_of_portfolios"], made["version"]) == ("PROPOSED", 2, 1)
    assert (made["proposed_by"], made["begun_by"], made["note"]) == (
        "trader",
        "trader",
        "quarter end",
    )
    assert (made["required_approvals"], made["approvals"], made["ending"]) == (2, [], None)
    assert await approvals.read(made) == made


async def test_two_distinct_approvers_one_of_the_highest_level_approve_it(approvals: Desk) -> None:
    made = await approvals.proposal()

    first = await approvals.decide(made, "anna", "APPROVE", note="checked the turnover")
    second = await approvals.decide(first.json(), "carla", "APPROVE")

    assert (first.status_code, first.json()["status"]) == (200, "PROPOSED")
    assert second.json()["status"] == "APPROVED"
    shown = [(approval["principal"], approval["level"]) for approval in second.json()["approvals"]]
    assert shown == [("anna", 1), ("carla", 3)]
    assert await approvals.actions(made["proposal_id"]) == [
        ("proposal.create", "trader"),
        ("proposal.approve", "anna"),
        ("proposal.approve", "carla"),
    ]


async def test_two_approvers_below_the_highest_level_are_not_enough(approvals: Desk) -> None:
    made = await approvals.proposal()

    await approvals.decide(made, "anna", "APPROVE")
    second = await approvals.decide(made, "ben", "APPROVE")
    third = await approvals.decide(made, "carla", "APPROVE")

    assert [answer.json()["status"] for answer in (second, third)] == ["PROPOSED", "APPROVED"]


@pytest.mark.parametrize(("proposer", "did"), [("admin", "proposed"), ("trader", "began")])
async def test_who_proposed_or_began_it_cannot_approve_it(
    approvals: Desk, proposer: str, did: str
) -> None:
    begun_by = "admin" if did == "began" else "trader"
    rebalance_id = await approvals.rebalance(by=begun_by)
    made = (await approvals.propose(rebalance_id, by=proposer)).json()

    answer = await approvals.decide(made, "admin", "APPROVE")

    assert (answer.status_code, read_code(answer)) == (403, "four-eyes")
    assert f"admin {did}" in answer.json()["detail"]
    assert await approvals.read(made) == made


async def test_the_same_approver_counts_once(approvals: Desk) -> None:
    made = await approvals.proposal()
    first = await approvals.decide(made, "carla", "APPROVE")

    again = await approvals.decide(first.json(), "carla", "APPROVE")

    assert (again.status_code, read_code(again)) == (409, "approved-already")
    assert await approvals.read(made) == first.json()


async def test_two_approvals_at_once_both_count_once(approvals: Desk) -> None:
    made = await approvals.proposal()
    approvers = ("anna", "carla", "anna", "carla")
    await asyncio.gather(*map(approvals.people, ("anna", "carla")))

    answers = await asyncio.gather(
        *(approvals.decide(made, approver, "APPROVE") for approver in approvers)
    )

    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409]
    found = await approvals.read(made)
    assert sorted(approval["principal"] for approval in found["approvals"]) == ["anna", "carla"]
    assert (found["status"], found["version"]) == ("APPROVED", 3)


async def test_a_rejection_is_final_and_gives_its_reason(approvals: Desk) -> None:
    made = await approvals.proposal()

    without = await approvals.decide(made, "anna", "REJECT")
    rejected = await approvals.decide(made, "anna", "REJECT", note="too much turnover")
    late = await approvals.decide(rejected.json(), "carla", "APPROVE")

    assert (without.status_code, without.json()["errors"][0]["pointer"]) == (422, "/note")
    ending = rejected.json()["ending"]
    assert rejected.json()["status"] == "REJECTED"
    assert (ending["principal"], ending["reason"]) == ("anna", "too much turnover")
    assert (late.status_code, read_code(late)) == (409, "proposal-state")
    assert late.json()["proposal_status"] == "REJECTED"


async def test_only_the_proposer_withdraws_and_may_then_propose_again(approvals: Desk) -> None:
    made = await approvals.proposal()

    second = await approvals.propose(made["rebalance_id"])
    refused = await approvals.withdraw(made, by="admin")
    withdrawn = await approvals.withdraw(made)
    again = await approvals.propose(made["rebalance_id"])

    assert (second.status_code, read_code(second)) == (409, "proposed-already")
    assert second.json()["proposal_id"] == made["proposal_id"]
    assert (refused.status_code, read_code(refused)) == (403, "not-proposer")
    assert (withdrawn.status_code, withdrawn.json()["status"]) == (200, "WITHDRAWN")
    assert again.status_code == 201


async def test_a_release_has_to_be_approved_again(approvals: Desk) -> None:
    made = await approvals.proposal()
    held = (await approvals.decide(made, "anna", "HOLD", transactions=[trade(A)])).json()
    await approvals.decide(held, "anna", "APPROVE")
    approved = (await approvals.decide(held, "carla", "APPROVE")).json()

    released = (await approvals.decide(approved, "ben", "RELEASE")).json()
    old_view = await approvals.decide(approved, "carla", "APPROVE")
    again = await approvals.decide(released, "carla", "APPROVE")

    assert approved["status"] == "APPROVED"
    assert (released["status"], released["approvals"]) == ("PROPOSED", [])
    assert released["number_of_holds"] == 0
    assert (old_view.status_code, read_code(old_view)) == (409, "stale-version")
    assert [approval["principal"] for approval in again.json()["approvals"]] == ["carla"]


async def test_holds_are_listed_with_their_notes_and_a_portfolio_releases_its_trades(
    approvals: Desk,
) -> None:
    made = await approvals.proposal()
    chosen: dict[str, Any] = {"portfolios": [Q], "transactions": [trade(A), trade(B)]}
    held = (await approvals.decide(made, "anna", "HOLD", **chosen, note="client asked")).json()

    path = f"/api/v1/proposal/{made['proposal_id']}/holds"
    listed = await (await approvals.people("trader")).get(path, params={"limit": 2})
    released = (await approvals.decide(held, "anna", "RELEASE", portfolios=[P])).json()
    left = await (await approvals.people("trader")).get(path)

    assert (held["number_of_holds"], released["number_of_holds"]) == (3, 1)
    shown = [(hold["portfolio_id"], hold["security_id"]) for hold in listed.json()]
    assert shown == [(P, A), (P, B)]
    assert listed.headers["x-total-count"] == "3"
    assert listed.json()[0]["note"] == "client asked"
    assert [(hold["portfolio_id"], hold["security_id"]) for hold in left.json()] == [(Q, None)]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"decision": "APPROVE", "portfolios": [P]}, "/all"),
        ({"decision": "REJECT", "transactions": [trade()], "note": "no"}, "/all"),
        ({"decision": "HOLD"}, "/portfolios"),
        ({"decision": "HOLD", "portfolios": ["Z" * 24]}, "/portfolios"),
        ({"decision": "HOLD", "transactions": [trade("Z" * 24)]}, "/transactions/0"),
        ({"decision": "HOLD", "portfolios": [P], "all": True}, "/all"),
        ({"decision": "HOLD", "portfolios": [P], "note": "a\nb"}, "/note"),
        ({"decision": "HOLD", "portfolios": [P], "version": 0}, "/version"),
    ],
)
async def test_a_decision_that_does_not_add_up_is_refused_by_name(
    approvals: Desk, body: dict[str, Any], pointer: str
) -> None:
    made = await approvals.proposal()

    answer = await approvals.decide(made, "anna", **body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert await approvals.read(made) == made


async def test_a_change_of_another_version_is_refused(approvals: Desk) -> None:
    made = await approvals.proposal()
    await approvals.decide(made, "anna", "HOLD", portfolios=[P])

    stale = await approvals.decide(made, "ben", "HOLD", portfolios=[Q])
    path = f"/api/v1/proposal/{made['proposal_id']}/withdraw"
    headers = {"If-Match": '"1"'}
    unmatched = await (await approvals.people("trader")).post(
        path, json={"version": 2}, headers=headers
    )

    assert (stale.status_code, read_code(stale)) == (409, "stale-version")
    assert (unmatched.status_code, read_code(unmatched)) == (412, "precondition-failed")


async def test_proposals_are_listed_by_state_and_rebalance(approvals: Desk) -> None:
    first = await approvals.proposal()
    await approvals.withdraw(first)
    second = (await approvals.propose(await approvals.rebalance("Income"))).json()
    client = await approvals.people("anna")

    async def listed(**query: Any) -> list[str]:
        answer = await client.get("/api/v1/proposals", params=query)
        return [proposal["proposal_id"] for proposal in answer.json()]

    ids = [second["proposal_id"], first["proposal_id"]]
    assert await listed() == ids
    assert await listed(status="WITHDRAWN") == ids[1:]
    assert await listed(status=["PROPOSED", "WITHDRAWN"], limit=1) == ids[:1]
    assert await listed(rebalance_id=second["rebalance_id"].upper()) == ids[:1]


async def test_a_proposal_in_hand_is_not_sent_again(approvals: Desk) -> None:
    made = await approvals.proposal()
    client = await approvals.people("anna")

    answer = await client.get(
        f"/api/v1/proposal/{made['proposal_id']}", headers={"If-None-Match": '"1"'}
    )

    assert (answer.status_code, answer.content) == (304, b"")


async def test_a_repeated_request_of_one_key_makes_one_proposal(approvals: Desk) -> None:
    path = f"/api/v1/rebalance/{await approvals.rebalance()}/proposal"
    trader, key = await approvals.people("trader"), {"Idempotency-Key": "propose-1"}

    answers = [await trader.post(path, headers=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


async def test_deleting_a_rebalance_removes_its_proposals_and_keeps_their_entries(
    approvals: Desk, database: Any
) -> None:
    made = await approvals.proposal()
    await approvals.decide(made, "anna", "HOLD", portfolios=[P])
    path = f"/api/v1/rebalance/{made['rebalance_id']}"

    answer = await (await approvals.people("admin")).delete(path, params={"version": 1})

    assert answer.status_code == 200
    for collection in ("proposals", "proposal_holds"):
        assert await database[collection].count_documents({}) == 0
    actions = [action for action, _ in await approvals.actions(made["proposal_id"])]
    assert actions == ["proposal.create", "proposal.hold"]


class TestWithoutAuthentication:
    @pytest.fixture
    def settings(self) -> Settings:
        return read_settings()

    async def test_nobody_without_a_name_proposes_or_decides(
        self, client: httpx.AsyncClient
    ) -> None:
        for path, body in (
            (f"/api/v1/rebalance/{'0' * 24}/proposal", {}),
            (
                f"/api/v1/proposal/{'0' * 24}/decisions",
                {"decision": "APPROVE", "all": True, "version": 1},
            ),
            (f"/api/v1/proposal/{'0' * 24}/withdraw", {"version": 1}),
        ):
            answer = await client.post(path, json=body)

            assert (answer.status_code, read_code(answer)) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")
