"""Rebalances of many portfolios, whose chunks write the elements of the answer themselves."""

from typing import Any

import httpx
import pytest

from serve_app.api.responses import build_heading, write_elements
from serve_app.runs.chunk_texts import ChunkTexts
from serve_app.settings import Settings, read_settings
from serve_app.upstream.errors import UpstreamContractError
from storage.runs.chunk_store import Chunk
from tests.support.fakes import PRICE, A, B, Stored, make_model_body
from tests.support.in_process import LocalText, Upstreams
from tests.support.runs import make_portfolio_ids

MANY = make_portfolio_ids(7)
WITHOUT_HOLDINGS, UNREADABLE, OVERDRAWN, FRACTIONAL = MANY[1:5]
KEY = {"Idempotency-Key": "monday"}


@pytest.fixture
def settings() -> Settings:
    return read_settings(
        {"run_chunk_size": 3, "run_fan_out_above": 0, "time_zone": "Pacific/Kiritimati"}
    )


@pytest.fixture
def upstreams() -> Upstreams:
    upstreams = Upstreams({A: PRICE, B: PRICE})
    for number, each in enumerate(MANY):
        upstreams.set_balance(each, f"{1000 + number}.50", **{A: 2, B: 3})
    del upstreams.balances[WITHOUT_HOLDINGS]
    upstreams.balances[UNREADABLE] = UpstreamContractError("accounting", "no number")
    upstreams.set_balance(OVERDRAWN, -5000)
    upstreams.set_balance(FRACTIONAL, "99.75", **{A: "1.5", B: "0.250"})
    return upstreams


@pytest.fixture
async def path(client: httpx.AsyncClient) -> str:
    added = await client.post("/api/v1/models", json=make_model_body(portfolios=list(MANY)))
    assert added.status_code == 201, added.text
    return f"/api/v1/model/{added.json()['model_id']}/rebalance"


async def test_the_answer_is_that_of_the_stored_outcomes_byte_for_byte(
    client: httpx.AsyncClient, path: str, stored: Stored, settings: Settings
) -> None:
    plain = {**KEY, "Accept-Encoding": "identity"}
    answer = await client.post(path, headers=plain)
    replayed = await client.post(path, headers=plain)

    assert answer.status_code == 200, answer.text
    assert "idempotent-replayed" not in answer.headers
    assert replayed.headers["idempotent-replayed"] == "true"
    for name in ("content-type", "content-length", "location"):
        assert answer.headers[name] == replayed.headers[name]
    assert answer.content == replayed.content
    rebalance = await stored.rebalances.read(answer.headers["location"].rpartition("/")[2])
    outcomes = await stored.rebalances.list_outcomes(rebalance)
    elements = await write_elements(build_heading(rebalance, settings.time_zone), outcomes)
    assert answer.content == b"[" + elements + b"]"
    assert [element["portfolio_id"] for element in answer.json()] == list(MANY)
    found = {element["portfolio_id"]: element["status"] for element in answer.json()}
    assert [found[portfolio_id] for portfolio_id in (WITHOUT_HOLDINGS, UNREADABLE, OVERDRAWN)] == [
        "FAILED",
        "FAILED",
        "INFEASIBLE",
    ]


async def test_portfolios_that_all_have_no_plan_are_answered_with_their_problem(
    client: httpx.AsyncClient, path: str, upstreams: Upstreams, stored: Stored
) -> None:
    upstreams.balances.clear()

    answer = await client.post(path, headers=KEY)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/holdings-missing")
    assert [element["portfolio_id"] for element in answer.json()["portfolios"]] == list(MANY)
    assert answer.headers["location"].endswith(answer.json()["rebalance_id"])
    again = await client.post(path, headers=KEY)
    own = {"correlation_id": again.json()["correlation_id"]}
    assert again.json() == answer.json() | own


async def test_a_dry_run_of_many_answers_what_the_rebalance_does(
    client: httpx.AsyncClient, path: str, upstreams: Upstreams
) -> None:
    unknown, options = "X" * 24, {"do_not_buy": [B, "X" * 24]}

    dry = await client.post(path, params={"dry_run": "true"}, json=options)
    real = await client.post(path, json=options)
    upstreams.balances.clear()
    refused = await client.post(path, params={"dry_run": "true"})

    assert (dry.status_code, real.status_code) == (200, 200)
    assert dry.json() == [element | {"rebalance_id": None} for element in real.json()]
    assert "location" not in dry.headers
    names = [answer.headers["unmatched-ids"] for answer in (dry, real)]
    assert names == [unknown, unknown]  # without B, which portfolios hold outside the model
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/holdings-missing")
    assert refused.json()["rebalance_id"] is None
    assert [element["portfolio_id"] for element in refused.json()["portfolios"]] == list(MANY)


async def test_a_single_portfolio_is_solved_alone_although_one_is_many(
    client: httpx.AsyncClient, path: str, stored: Stored
) -> None:
    answer = await client.post(f"/api/v1/portfolio/{MANY[0]}/rebalance")

    assert (answer.status_code, answer.json()["portfolio_id"]) == (200, MANY[0])
    assert path
    (run,), _ = await stored.rebalances.read_page()
    assert run.number_of_portfolios == 1


def texts_of(*firsts: int, has_plans: bool = True) -> Any:
    texts = ChunkTexts()
    for first in firsts:
        chunk = Chunk("0" * 24, first, make_portfolio_ids(2, first))
        texts.add(chunk, LocalText(str(first).encode()), has_plans=has_plans and first == 2)
    return texts


async def test_texts_of_chunks_are_joined_by_the_places_of_their_portfolios() -> None:
    elements = texts_of(4, 0, 2).elements(6)

    read = await elements.read()

    assert list(map(bytes, read.parts)) == [b"0", b"2", b"4"]


def test_texts_are_no_answer_while_the_text_of_a_chunk_is_missing() -> None:
    assert texts_of(0, 2).elements(6) is None
    assert texts_of(0, 2, 4, has_plans=False).elements(6) is None
