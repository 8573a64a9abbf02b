"""Calls of the routes of pre-trade rules, and rebalances that the rules apply to."""

from typing import Any

import httpx

from tests.support.fakes import A

RULES = "/api/v1/rules"
A_TENTH: dict[str, Any] = {
    "name": "at most a tenth of A",
    "kind": "WEIGHT_MOST",
    "severity": "BLOCK",
    "security_ids": [A],
    "part": "0.1",
}


async def add(client: httpx.AsyncClient, rule: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = await client.post(RULES, json={**rule, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def rebalance(
    client: httpx.AsyncClient, model: dict[str, Any], body: Any = None, **query: Any
) -> list[dict[str, Any]]:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    answer = await client.post(path, json=body, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()
