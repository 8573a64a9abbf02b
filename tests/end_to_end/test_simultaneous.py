"""Requests at the same moment, against the running service."""

import asyncio
from collections import Counter

import httpx
import pytest

from tests.end_to_end.acceptance import make_model_body
from tests.end_to_end.book import Book
from tests.end_to_end.calls import add_model, count_rebalances, fund_portfolio, make_model

pytestmark = pytest.mark.cluster
ROUNDS = 50


async def test_of_eight_puts_with_one_version_exactly_one_wins_fifty_times(
    http: httpx.AsyncClient, book: Book
) -> None:
    model = make_model(book, [fund_portfolio(book)])
    stored_model = await add_model(http, model)
    path = f"/api/v1/model/{stored_model['model_id']}"
    for version in range(1, ROUNDS + 1):
        change = {**make_model_body(model), "version": version}
        bodies = [
            change | {"name": f"{stored_model['name']} {version} {writer}"} for writer in range(8)
        ]
        answers = await asyncio.gather(*(http.put(path, json=body) for body in bodies))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
        (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert winner["version"] == version + 1
        assert (await http.get(path)).json() == winner


async def test_of_twenty_posts_with_one_key_one_is_stored(
    http: httpx.AsyncClient, book: Book
) -> None:
    model = await add_model(http, make_model(book, [fund_portfolio(book)]))
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    key = {"Idempotency-Key": model["model_id"]}
    before = await count_rebalances(http)
    answers = await asyncio.gather(*(http.post(path, headers=key) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    contents = {answer.content for answer in answers if answer.status_code == 200}
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in waiting)
    again = await http.post(path, headers=key)
    assert {again.content} == contents
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await count_rebalances(http) == before + 1
