"""A desk for tests of approvals: people with keys, and rebalances that they propose."""

from dataclasses import replace
from typing import Any, Final

import httpx
from fastapi import FastAPI

from serve_app.auth.permissions import Role
from tests.support.fakes import A, B, P, Q, Stored, make_model_body, make_position
from tests.support.in_process import Upstreams
from tests.support.keys import add_key, client_with

PEOPLE: Final[dict[str, tuple[Role, int]]] = {
    "trader": (Role.TRADER, 1),
    "anna": (Role.APPROVER, 1),
    "ben": (Role.APPROVER, 1),
    "carla": (Role.APPROVER, 3),
    "admin": (Role.ADMIN, 1),
}
"""Role and approver level of everybody who has a key."""


def connect_upstreams(stored: Stored, upstreams: Upstreams) -> None:
    """Let the store ask these upstreams for prices, tickers and holdings."""
    fake: Any = upstreams
    of_store = {"prices": fake, "securities": fake, "holdings": fake}
    stored.resources = replace(stored.resources, **of_store, sources={"summaries": fake})


class People:
    """Clients of an application, one for each person of PEOPLE."""

    def __init__(self, app: FastAPI, stored: Stored) -> None:
        self._app = app
        self._stored = stored
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def __call__(self, name: str) -> httpx.AsyncClient:
        """Return the client of a person, who gets a key when first asked for."""
        if name not in self._clients:
            role, level = PEOPLE[name]
            key = await add_key(self._stored, role, owner=name, approver_level=level)
            self._clients[name] = client_with(self._app, key)
        return self._clients[name]

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()


class Desk:
    """Short calls of the proposal routes, each by a person."""

    def __init__(self, people: People) -> None:
        self.people = people

    async def rebalance(self, name: str = "Growth", by: str = "trader") -> str:
        """Rebalance P and Q to a new model of A and B; return the id of the rebalance."""
        positions = [make_position(A, "0.45"), make_position(B, "0.45")]
        body = make_model_body(name, positions=positions)
        model = await (await self.people("admin")).post("/api/v1/models", json=body)
        path = f"/api/v1/model/{model.json()['model_id']}/rebalance"
        answer = await (await self.people(by)).post(path)
        assert answer.status_code == 200, answer.text
        return answer.json()[0]["rebalance_id"]

    async def propose(self, rebalance_id: str, by: str = "trader", **body: Any) -> httpx.Response:
        path = f"/api/v1/rebalance/{rebalance_id}/proposal"
        return await (await self.people(by)).post(path, json=body)

    async def proposal(self) -> dict[str, Any]:
        """Make a rebalance and its proposal, both by the trader."""
        answer = await self.propose(await self.rebalance())
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def read(self, proposal: dict[str, Any]) -> dict[str, Any]:
        path = f"/api/v1/proposal/{proposal['proposal_id']}"
        return (await (await self.people("anna")).get(path)).json()

    async def decide(
        self, proposal: dict[str, Any], by: str, decision: str, **body: Any
    ) -> httpx.Response:
        """Decide on the whole proposal, at the version in ``proposal``."""
        path = f"/api/v1/proposal/{proposal['proposal_id']}/decisions"
        about = {} if {"portfolios", "transactions"} & body.keys() else {"all": True}
        fields = {"decision": decision, "version": proposal["version"], **about, **body}
        return await (await self.people(by)).post(path, json=fields)

    async def withdraw(self, proposal: dict[str, Any], by: str = "trader") -> httpx.Response:
        path = f"/api/v1/proposal/{proposal['proposal_id']}/withdraw"
        return await (await self.people(by)).post(path, json={"version": proposal["version"]})

    async def send(self, rebalance_id: str, by: str = "trader") -> httpx.Response:
        return await (await self.people(by)).post(f"/api/v1/rebalance/{rebalance_id}/orders")

    async def actions(self, object_id: str) -> list[tuple[str, str | None]]:
        """List action and principal of an object's entries in the audit log, the oldest first."""
        query = {"object_id": object_id, "sort_by": "seq"}
        entries = await (await self.people("admin")).get("/api/v1/audit", params=query)
        return [(entry["action"], entry["principal"]) for entry in entries.json()]


def trade(security_id: str = A, portfolio_id: str = P) -> dict[str, str]:
    """Return a trade in the form that decisions use."""
    return {"portfolio_id": portfolio_id, "security_id": security_id}


BOTH: Final = (P, Q)
