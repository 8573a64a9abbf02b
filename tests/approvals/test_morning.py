"""A morning at a desk: from the drift report to orders that three people answer for."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.auth.permissions import Role
from serve_app.settings import Settings, read_settings
from storage.audit.chain import ChainVerifier, Link
from tests.support.approvals import Desk
from tests.support.command_server import serve
from tests.support.fakes import PRICE, A, B, P, Q, Stored, make_model_body, make_position
from tests.support.flaky_order_service import OrderDesk
from tests.support.in_process import Upstreams
from tests.support.keys import add_key
from tests.support.submissions import read_code, read_counts

pytestmark = pytest.mark.mongo

API = "/api/v1"


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys", "require_approvals": 1})


async def test_a_morning_leads_from_drift_to_orders_and_is_audited(
    approvals: Desk,
    app: FastAPI,
    stored: Stored,
    upstreams: Upstreams,
    desk: OrderDesk,
    database: Any,
) -> None:
    assert approvals  # which connects the upstreams
    keys = {
        "nightly": await add_key(stored, Role.TRADER, owner="nightly"),  # a service account
        # Anna trades and approves, so that four eyes and not her rights stop her.
        "anna": await add_key(stored, Role.TRADER, Role.APPROVER, owner="anna"),
        "ben": await add_key(stored, Role.APPROVER, owner="ben"),
        "admin": await add_key(stored, Role.ADMIN, owner="admin"),
    }
    async with serve(app) as url, httpx.AsyncClient(base_url=url + API, timeout=60) as http:

        async def call(by: str, method: str, path: str, **given: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {keys[by]}"}
            return await http.request(method, path, headers=headers, **given)

        positions = [make_position(A, "0.45"), make_position(B, "0.45")]
        body = make_model_body(positions=positions)
        model = (await call("admin", "POST", "/models", json=body)).json()
        model_path = f"/model/{model['model_id']}"

        # The service account looks who drifted, and tries the rebalance without storing it.
        drifts = (await call("nightly", "GET", f"{model_path}/drift")).json()
        assert {drift["status"] for drift in drifts} == {"OUT_OF_BAND"}
        trial = await call("nightly", "POST", f"{model_path}/rebalance", params={"dry_run": True})
        assert trial.status_code == 200
        assert await database["rebalances"].count_documents({}) == 0

        # Anna rebalances and proposes; she cannot approve what she proposed.
        async def rebalance_and_propose() -> tuple[str, dict[str, Any]]:
            made = (await call("anna", "POST", f"{model_path}/rebalance")).json()
            rebalance = f"/rebalance/{made[0]['rebalance_id']}"
            proposal = await call("anna", "POST", f"{rebalance}/proposal", json={"note": "drift"})
            assert proposal.status_code == 201
            return rebalance, proposal.json()

        rebalance, proposal = await rebalance_and_propose()
        approval = {"decision": "APPROVE", "all": True, "version": 1}
        decisions = f"/proposal/{proposal['proposal_id']}/decisions"
        own = await call("anna", "POST", decisions, json=approval)
        assert (own.status_code, read_code(own)) == (403, "four-eyes")
        unapproved = await call("nightly", "POST", f"{rebalance}/orders")
        assert (unapproved.status_code, read_code(unapproved)) == (409, "not-approved")

        # Ben approves, and then the market moves.
        approved = await call("ben", "POST", decisions, json=approval)
        assert approved.json()["status"] == "APPROVED"
        upstreams.prices[A] = PRICE * Decimal("1.06")
        late = await call("nightly", "POST", f"{rebalance}/orders")
        assert (late.status_code, late.json()["proposal_status"]) == (409, "STALE")
        assert desk.posted == []

        # Again, at the prices of now.
        rebalance, fresh = await rebalance_and_propose()
        decisions = f"/proposal/{fresh['proposal_id']}/decisions"
        assert (await call("ben", "POST", decisions, json=approval)).status_code == 200
        sent = await call("nightly", "POST", f"{rebalance}/orders")
        assert (sent.status_code, read_counts(sent)) == (200, {"SENT": 4})
        assert {portfolio for portfolio, _ in await desk.read_keys()} == {P, Q}

        # The audit log tells the story, and its chain is whole.
        entries = (await call("admin", "GET", "/audit", params={"sort_by": "seq"})).json()
        told = [(entry["action"], entry["principal"]) for entry in entries]
        assert told == [
            *[("key.create", None)] * len(keys),
            ("model.create", "admin"),
            ("rebalance.store", "anna"),
            ("proposal.create", "anna"),
            ("right.refuse", "anna"),
            ("proposal.approve", "ben"),
            ("proposal.stale", "nightly"),
            ("rebalance.store", "anna"),
            ("proposal.create", "anna"),
            ("proposal.approve", "ben"),
            ("proposal.order", "nightly"),
            ("orders.send", "nightly"),
        ]
        assert "the price of" in entries[9]["diff"]["reason"]
        head = (await call("admin", "GET", "/audit/head")).json()
        assert find_faults(entries, head) == []

        # Somebody with the database makes Ben's approval that of Anna.
        await database["audit"].update_one({"_id": 9}, {"$set": {"principal": "anna"}})
        entries = (await call("admin", "GET", "/audit", params={"sort_by": "seq"})).json()
        assert find_faults(entries, head) == [9]


def find_faults(entries: list[dict[str, Any]], head: dict[str, Any]) -> list[int]:
    """Verify the entries as a caller of the API does; return the places of those that differ."""
    last = Link(head["seq"], head["hash"])
    verifier = ChainVerifier()
    faults = [fault for entry in entries for fault in verifier.add(entry, (last,))]
    return [fault.seq for fault in (*faults, *verifier.end(last))]
