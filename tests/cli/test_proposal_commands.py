"""Commands of proposals: a trader proposes, others hold and approve, and the orders go."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from fastapi import FastAPI

from serve_app.client import AsyncClient
from serve_app.settings import Settings, read_settings
from tests.support.approvals import PEOPLE, Desk, People, connect_upstreams
from tests.support.command_server import Ordergen
from tests.support.fakes import A, P, Q, Stored
from tests.support.in_process import Upstreams, make_two_owners
from tests.support.keys import add_key

pytestmark = pytest.mark.mongo


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys", "require_approvals": 2})


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


@pytest.fixture
async def rebalance_id(app: FastAPI, stored: Stored, upstreams: Upstreams) -> AsyncIterator[str]:
    connect_upstreams(stored, upstreams)
    people = People(app, stored)
    yield await Desk(people).rebalance()
    await people.close()


@pytest.fixture
async def keys(stored: Stored) -> Mapping[str, str]:
    return {
        name: await add_key(stored, role, owner=name, approver_level=level)
        for name, (role, level) in PEOPLE.items()
    }


async def test_a_proposal_goes_from_the_trader_by_two_approvers_to_its_orders(
    ordergen: Ordergen, rebalance_id: str, keys: Mapping[str, str]
) -> None:
    async def run(by: str, *arguments: str) -> Any:
        done = await ordergen("proposals", *arguments, "--json", "--token", keys[by])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    (made,) = await run("trader", "propose", rebalance_id, "--note", "quarter end")
    of = made["proposal_id"]
    trade = f"{P}/{A}"
    await run("anna", "hold", of, "--portfolio", Q, "--trade", trade, "--note", "client asked")
    shown = await ordergen("proposals", "show", of, "--token", keys["anna"])
    own = await ordergen("proposals", "approve", of, "--token", keys["trader"])
    await run("anna", "approve", of, "--version", "2")
    (approved,) = await run("carla", "approve", of, "--version", "2")
    listed = await run("anna", "list", "--status", "approved", "--rebalance", rebalance_id)
    sent = await ordergen("hand-over", rebalance_id, "--yes", "--token", keys["trader"])

    assert all(text in shown.stdout for text in (P, Q, A, "client asked", "Growth IRA", "0 of 2"))
    assert own.exit_code == 1
    assert "approvals:decide" in own.stderr
    assert (approved["status"], approved["number_of_holds"]) == ("APPROVED", 2)
    assert [proposal["proposal_id"] for proposal in listed] == [of]
    assert "not sent: held by anna: client asked" in sent.stdout


async def test_a_rejection_needs_a_reason_and_a_withdrawal_its_proposer(
    ordergen: Ordergen, rebalance_id: str, keys: Mapping[str, str]
) -> None:
    made = await ordergen("proposals", "propose", rebalance_id, "--json", "--token", keys["trader"])
    (proposal,) = json.loads(made.stdout)
    of = proposal["proposal_id"]

    without = await ordergen("proposals", "reject", of, "--token", keys["anna"])
    foreign = await ordergen("proposals", "withdraw", of, "--token", keys["admin"])
    own = await ordergen("proposals", "withdraw", of, "--json", "--token", keys["trader"])
    late = await ordergen("proposals", "reject", of, "--note", "late", "--token", keys["anna"])

    assert without.exit_code == 2
    assert (foreign.exit_code, "not-proposer" in foreign.stderr) == (1, True)
    assert json.loads(own.stdout)[0]["status"] == "WITHDRAWN"
    assert (late.exit_code, "is WITHDRAWN" in late.stderr) == (1, True)


@pytest.mark.parametrize(
    "wrong", [["hold", "0" * 24], ["hold", "0" * 24, "--trade", "P"], ["list", "--status", "old"]]
)
async def test_a_command_without_its_arguments_ends_with_2(
    ordergen: Ordergen, wrong: list[str]
) -> None:
    assert (await ordergen("proposals", *wrong)).exit_code == 2


async def test_the_client_decides_as_the_command_does(
    url: str, rebalance_id: str, keys: Mapping[str, str]
) -> None:
    async with (
        AsyncClient(url, token=keys["trader"]) as trader,
        AsyncClient(url, token=keys["anna"]) as anna,
    ):
        made = await trader.propose_orders(rebalance_id, note="quarter end")
        held = await anna.decide_proposal(
            made.proposal_id, "HOLD", version=1, portfolios=[Q], transactions=[(P, A)]
        )
        approved = await anna.decide_proposal(made.proposal_id, "APPROVE", version=held.version)
        holds = [hold async for hold in anna.list_holds(made.proposal_id)]
        listed = [proposal async for proposal in anna.list_proposals(status=["PROPOSED"])]
        withdrawn = await trader.withdraw_proposal(
            made.proposal_id, version=approved.version, note="prices were delayed"
        )

        assert [(hold.portfolio_id, hold.security_id) for hold in holds] == [(P, A), (Q, None)]
        assert listed == [approved]
        assert approved.approvals[0].principal == "anna"
        assert withdrawn.ending is not None
        assert withdrawn.ending.reason == "prices were delayed"
        assert await anna.read_proposal(made.proposal_id) == withdrawn


async def test_trades_are_listed_with_their_holds_and_the_totals_of_what_matches(
    ordergen: Ordergen, rebalance_id: str, keys: Mapping[str, str]
) -> None:
    token = ("--token", keys["anna"])
    trader = ("--token", keys["trader"])
    done = await ordergen("proposals", "propose", rebalance_id, "--json", *trader)
    of = json.loads(done.stdout)[0]["proposal_id"]
    await ordergen("proposals", "hold", of, "--trade", f"{P}/{A}", "--note", "client asked", *token)

    held = await ordergen("trades", rebalance_id, "--approval", "held", "--json", *token)
    shown = await ordergen("trades", rebalance_id, "--portfolio", P, "--sort-by", "-amount", *token)
    wrong = await ordergen("trades", rebalance_id, "--min-amount", "many", *token)

    (trade,) = json.loads(held.stdout)
    assert (trade["portfolio_id"], trade["security_id"]) == (P, A)
    assert (trade["approval"], trade["hold"]["note"]) == ("HELD", "client asked")
    assert "held by anna: client asked" in shown.output
    assert "1 held of" in shown.output
    assert Q not in shown.output
    assert (wrong.exit_code, "--min-amount is a number" in wrong.output) == (2, True)
