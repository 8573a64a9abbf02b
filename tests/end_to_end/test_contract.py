"""The whole service over HTTP."""

import asyncio
from collections import Counter

import httpx
import pytest

from serve_app.simulator.world import Market
from tests.end_to_end.acceptance import (
    check_all_answers,
    check_amounts,
    make_model_body,
    parse_exact_json,
)
from tests.end_to_end.book import Book
from tests.end_to_end.calls import (
    Json,
    add_model,
    count_rebalances,
    fund_portfolio,
    make_model,
    make_portfolio_id,
    rebalance_model,
)
from tests.optimization.support.oracle import rows_of

pytestmark = pytest.mark.cluster


async def test_a_model_is_created_rebalanced_and_deleted(
    http: httpx.AsyncClient, book: Book
) -> None:
    portfolio = book.add(make_portfolio_id(), 250_000, {next(iter(book.prices)): 100})
    model = make_model(book, [portfolio.portfolio_id])
    stored_model = await add_model(http, model)
    path = f"/api/v1/model/{stored_model['model_id']}"
    assert (await http.get(path)).json() == stored_model

    (outcome,) = await rebalance_model(http, stored_model["model_id"])
    run = parse_exact_json(await http.get(f"/api/v1/rebalance/{outcome['rebalance_id']}"))
    check_amounts(portfolio, rows_of(model, portfolio), outcome, run["portfolios"][0])
    assert (run["model_id"], run["status"]) == (stored_model["model_id"], "COMPLETED")
    assert run["counts"] == {"REBALANCED": 1}
    after = (await http.get(path)).json()
    assert after == stored_model | {"last_rebalance_date": run["rebalance_date"]}

    assert (await http.delete(path, params={"version": stored_model["version"]})).status_code == 204
    assert (await http.get(path)).status_code == 404
    run_path = f"/api/v1/rebalance/{outcome['rebalance_id']}"
    assert (await http.delete(run_path, params={"version": run["version"]})).status_code == 200
    assert (await http.get(run_path)).status_code == 404


async def test_random_problems_are_answered_rightly(http: httpx.AsyncClient, book: Book) -> None:
    kinds = await check_all_answers(http, book, 250, seed=1)
    assert kinds["INFEASIBLE"] > 2
    assert kinds["REBALANCED separable"] > 100
    assert kinds["REBALANCED tight, by SciPy"] > 2


async def test_the_ids_of_a_request_stand_in_its_answer_once(http: httpx.AsyncClient) -> None:
    ids = {"x-correlation-id": "desk-7:run/3", "x-request-id": "r-1"}
    answer = await http.get("/health/live", headers=ids)
    for name, value in ids.items():
        assert answer.headers.get_list(name) == [value]
    unasked = await http.get("/health/live")
    assert len(unasked.headers.get_list("x-request-id")) == 1


async def test_of_eight_puts_with_one_version_exactly_one_wins(
    http: httpx.AsyncClient, book: Book
) -> None:
    model = make_model(book, [fund_portfolio(book)])
    stored_model = await add_model(http, model)
    path = f"/api/v1/model/{stored_model['model_id']}"
    bodies = [
        {**make_model_body(model), "name": f"{stored_model['name']} {n}", "version": 1}
        for n in range(8)
    ]
    answers = await asyncio.gather(*(http.put(path, json=body) for body in bodies))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
    (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert (await http.get(path)).json() == winner
    assert winner["version"] == 2


async def test_a_repeated_key_gets_the_same_answer_without_new_work(
    http: httpx.AsyncClient, book: Book
) -> None:
    model = await add_model(http, make_model(book, [fund_portfolio(book), fund_portfolio(book)]))
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    key = {"Idempotency-Key": model["model_id"]}
    first = await http.post(path, headers=key)
    before = await count_rebalances(http)
    again = await http.post(path, headers=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await count_rebalances(http) == before
    other = await http.post(path, headers=key, json={"cash_floor": 1})
    assert other.status_code == 422


async def test_one_portfolio_that_fails_does_not_stop_the_others(
    http: httpx.AsyncClient, book: Book
) -> None:
    unpriced = _find_unpriced(book.market)
    good, unknown, odd = fund_portfolio(book), make_portfolio_id(), make_portfolio_id()
    book.add(odd, 1000, {unpriced: 5})
    model = await add_model(http, make_model(book, [unknown, good, odd]))
    elements = {
        outcome["portfolio_id"]: outcome
        for outcome in await rebalance_model(http, model["model_id"])
    }
    assert list(elements) == [unknown, good, odd]
    assert elements[good]["status"] == "REBALANCED"
    assert elements[unknown]["status"] == elements[odd]["status"] == "FAILED"
    assert _kind(elements[unknown]["error"]) == "holdings-missing"
    assert unknown in elements[unknown]["error"]["detail"]
    assert _kind(elements[odd]["error"]) == "prices-missing"
    assert elements[odd]["error"]["securities"] == [unpriced]


async def test_a_model_whose_own_security_has_no_price_is_refused(
    http: httpx.AsyncClient, book: Book
) -> None:
    body = make_model_body(make_model(book, [fund_portfolio(book)]))
    unpriced = _find_unpriced(book.market)
    body["positions"][0]["security_id"] = unpriced
    model = (await http.post("/api/v1/models", json=body)).json()
    answer = await http.post(f"/api/v1/model/{model['model_id']}/rebalance")
    assert answer.status_code == 422
    assert _kind(answer.json()) == "prices-missing"
    assert unpriced in answer.text


async def test_metrics_are_those_of_the_service_alone(http: httpx.AsyncClient) -> None:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "ray_" not in answer.text


async def test_readiness_names_the_upstream_that_is_down(
    http: httpx.AsyncClient, book: Book
) -> None:
    with book.fail("/actuator/health/readiness"):
        answer = await http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["failing"] == ["pricing"]
        assert answer.json()["checks"]["accounting"] == "healthy"
        assert (await http.get("/health")).json()["status"] == "degraded"
    answer = await http.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["breakers"] == dict.fromkeys(
        ("accounting", "pricing", "security", "order", "portfolio"), "closed"
    )


def _find_unpriced(market: Market) -> str:
    unpriced = (
        listing.security_id
        for listing in market.listings()
        if listing.security_id and not listing.quote
    )
    return next(unpriced)


def _kind(problem: Json) -> str:
    return problem["type"].removeprefix("/problems/")
