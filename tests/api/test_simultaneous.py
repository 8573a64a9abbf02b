"""Concurrent requests: one of several writers wins, and one of several with a key does the work."""

import asyncio
from collections import Counter
from typing import Any

import httpx

from tests.support.fakes import FakeOptimizer, Stored, make_model_body, make_purchase

ROUNDS = 50


async def test_of_eight_puts_with_one_version_exactly_one_wins_fifty_times(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    for version in range(1, ROUNDS + 1):
        bodies = [make_model_body(f"Round {version} writer {n}", version=version) for n in range(8)]

        answers = await asyncio.gather(*(client.put(path, json=body) for body in bodies))

        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
        (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert winner["version"] == version + 1
        assert (await client.get(path)).json() == winner


async def test_of_twenty_posts_with_one_key_one_rebalances(
    client: httpx.AsyncClient, stored: Stored, optimizer: FakeOptimizer, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    optimizer.outcome = make_purchase
    key = {"idempotency-key": "nightly"}

    answers = await asyncio.gather(*(client.post(path, headers=key) for _ in range(20)))
    while any(answer.status_code == 409 for answer in answers):
        waiting = [answer for answer in answers if answer.status_code == 409]
        assert all(answer.json()["type"] == "/problems/request-in-progress" for answer in waiting)
        assert all(int(answer.headers["retry-after"]) > 0 for answer in waiting)
        done = [answer for answer in answers if answer.status_code == 200]
        answers = done + [await client.post(path, headers=key) for _ in waiting]

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    replays = Counter(answer.headers.get("idempotent-replayed") for answer in answers)
    assert replays == {None: 1, "true": 19}
    assert (await stored.rebalances.read_page())[1] == 1
