"""Answers of the running service that store nothing."""

import json
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal

import httpx
import pytest
from pymongo import MongoClient

from optimization.domain.model import Model
from serve_app.api.routes.optimize import MIN_LONG_BODY_BYTES
from serve_app.deployments.long_bodies import MIN_SLICE_BYTES
from tests.end_to_end.acceptance import make_model_body
from tests.end_to_end.book import Book
from tests.end_to_end.calls import (
    Json,
    add_model,
    count_rebalances,
    make_model,
    rebalance_model,
    retry_until_success,
)
from tests.files.books import HOLDINGS, MODEL, PRICES, csv_of

pytestmark = pytest.mark.cluster
PATH = "/api/v1/optimize"
JSON = {"content-type": "application/json"}


@contextmanager
def frozen_database(uri: str) -> Generator[None]:
    """Keep the database from responding during the block."""
    with MongoClient(uri) as client:
        pid = client.admin.command("serverStatus")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def make_body(book: Book, model: Model) -> Json:
    """Make the body of POST /optimize for the first portfolios of the market."""
    return {
        "model": {"positions": make_model_body(model)["positions"]},
        "prices": {security: f"{price:f}" for security, price in book.prices.items()},
        "portfolios": [
            _portfolio_document(book, number) for number in range(len(model.portfolio_ids))
        ],
    }


def _portfolio_document(book: Book, number: int) -> Json:
    rows = book.market.rows(number)
    holdings = {row.security_id: row.long - row.short for row in rows if row.security_id}
    cash = Decimal(sum(row.long for row in rows if row.security_id is None))
    portfolio_id = book.market.portfolio_id(number)
    return {"portfolio_id": portfolio_id, "cash": f"{cash.normalize():f}", "holdings": holdings}


@pytest.mark.parametrize("count", [3, 150])
async def test_a_dry_run_in_one_piece_or_in_chunks_answers_the_rebalance_and_stores_nothing(
    http: httpx.AsyncClient, book: Book, count: int
) -> None:
    model = await add_model(http, make_model(book, book.market.portfolio_ids(count)))
    path = f"/api/v1/model/{model['model_id']}"
    before = await count_rebalances(http)

    dry = await http.post(f"{path}/rebalance", params={"dry_run": True})

    assert dry.status_code == 200, dry.text
    assert "Location" not in dry.headers
    assert await count_rebalances(http) == before
    assert (await http.get(path)).json() == model
    real = await rebalance_model(http, model["model_id"])
    assert dry.json() == [element | {"rebalance_id": None} for element in real]


async def test_who_is_out_of_band_is_told_page_by_page_and_for_one_portfolio(
    http: httpx.AsyncClient, book: Book
) -> None:
    ids = book.market.portfolio_ids(150)
    model = await add_model(http, make_model(book, ids))
    path, before = f"/api/v1/model/{model['model_id']}/drift", await count_rebalances(http)

    pages = [await http.get(path, params={"offset": at}) for at in (0, 100)]

    lines = [line for page in pages for line in page.json()]
    assert [line["portfolio_id"] for line in lines] == list(ids)
    assert {page.headers["X-Total-Count"] for page in pages} == {"150"}
    assert await count_rebalances(http) == before
    dry = await http.post(path.replace("drift", "rebalance"), params={"dry_run": True})
    for line, planned in zip(lines, dry.json(), strict=True):
        assert (line["status"] == "FAILED") == (planned["status"] == "FAILED")
        assert line["market_value"] == planned["market_value"]
        assert line["error"] == planned["error"] or planned["status"] == "INFEASIBLE"
    sample = next(line for line in lines if line["status"] == "OUT_OF_BAND")
    drift = await http.get(
        f"/api/v1/portfolio/{sample['portfolio_id']}/drift", params={"model_id": model["model_id"]}
    )
    assert drift.json()["total_drift"] == sample["total_drift"]
    assert sum(line["side"] is not None for line in drift.json()["drifts"]) == sample["out_of_band"]
    with book.fail("/api/v1/portfolios/"):
        down = await http.get(path)
    assert (down.status_code, down.json()["upstream"]) == (503, "accounting")
    await retry_until_success(http, path, "GET")


@pytest.mark.parametrize("count", [3, 150])
async def test_what_is_given_whole_is_answered_as_what_is_fetched(
    http: httpx.AsyncClient, book: Book, count: int
) -> None:
    ids = book.market.portfolio_ids(count)
    model = make_model(book, ids)
    stored_model = await add_model(http, model)

    whole = await http.post("/api/v1/optimize", json=make_body(book, model))

    assert whole.status_code == 200, whole.text
    assert [element["portfolio_id"] for element in whole.json()] == list(ids)
    fetched = await rebalance_model(http, stored_model["model_id"])
    for own, other in zip(whole.json(), fetched, strict=True):
        # an account without balances is unknown to the accounting service, and empty here
        if not (other["error"] and other["error"]["type"] == "/problems/holdings-missing"):
            assert own == other | {"rebalance_id": None, "model_id": None}


@pytest.mark.parametrize("blanks", [MIN_LONG_BODY_BYTES, 2 * MIN_SLICE_BYTES])
@pytest.mark.parametrize("count", [1, 3, 150])
async def test_a_long_body_is_answered_elsewhere_and_as_a_short_one(
    http: httpx.AsyncClient, book: Book, count: int, blanks: int
) -> None:
    text = json.dumps(make_body(book, make_model(book, book.market.portfolio_ids(count)))).encode()

    short = await http.post(PATH, content=text, headers=JSON)
    long = await http.post(PATH, content=text + b" " * blanks, headers=JSON)

    assert short.status_code == long.status_code == 200, long.text
    assert long.content == short.content


@pytest.mark.parametrize("blanks", [MIN_LONG_BODY_BYTES, 2 * MIN_SLICE_BYTES])
@pytest.mark.parametrize("wrong", ["not JSON", "no field", "a rule", "a conflict", "no plan"])
async def test_a_long_body_is_refused_elsewhere_and_as_a_short_one(
    http: httpx.AsyncClient, book: Book, wrong: str, blanks: int
) -> None:
    body = make_body(book, make_model(book, book.market.portfolio_ids(3)))
    match wrong:
        case "no field":
            body["portfolios"][1]["cash"] = "much"
        case "a rule":
            body["portfolios"][1] = body["portfolios"][0]
        case "a conflict":
            body["options"] = {"cash_floor": 100, "cash_ceiling": 50}
        case _:
            body["prices"] = {}
    text = json.dumps(body).encode()
    if wrong == "not JSON":
        text = b"[" + text[1:]
    headers = {**JSON, "x-correlation-id": "long-or-short"}

    short = await http.post(PATH, content=text, headers=headers)
    long = await http.post(PATH, content=text + b" " * blanks, headers=headers)

    assert short.status_code in {400, 422}
    assert (long.status_code, long.content) == (short.status_code, short.content)
    assert long.headers["content-type"] == "application/problem+json"


async def test_what_is_given_whole_is_answered_while_the_database_is_down(
    http: httpx.AsyncClient, book: Book, mongodb_uri: str
) -> None:
    model = make_model(book, book.market.portfolio_ids(150))
    with frozen_database(mongodb_uri), book.fail("/api/v1/prices"):
        answer = await http.post("/api/v1/optimize", json=make_body(book, model))
        listing = await http.get("/api/v1/models", params={"limit": 1})

    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == 150
    assert (listing.status_code, listing.json()["type"]) == (503, "/problems/storage-unavailable")
    stored_model = await add_model(http, model)
    await retry_until_success(http, f"/api/v1/model/{stored_model['model_id']}/rebalance")


async def test_an_answer_of_many_megabytes_arrives(http: httpx.AsyncClient) -> None:
    ids = [f"{number:024x}" for number in range(200)]
    position = {"target": "0.005", "low_drift": "0.005", "high_drift": "0.005"}
    owned = {"cash": 100_000, "holdings": dict.fromkeys(ids, 100)}
    body = {
        "model": {
            "positions": [{"security_id": security_id, **position} for security_id in ids[:100]]
        },
        "prices": dict.fromkeys(ids, "10.00"),
        "portfolios": [{"portfolio_id": f"{number:024}", **owned} for number in range(400)],
    }
    answer = await http.post(PATH, content=json.dumps(body), headers=JSON)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) > 10_000_000
    assert len(answer.json()) == 400


async def test_an_upload_is_read_solved_and_answered_in_a_worker(http: httpx.AsyncClient) -> None:
    tables = {"holdings": HOLDINGS, "prices": PRICES, "model": MODEL}
    files = {name: (f"{name}.csv", csv_of(rows)) for name, rows in tables.items()}
    broken = {**files, "prices": ("prices.csv", csv_of((*PRICES, ("X", "n/a"))))}

    answer = await http.post(PATH, files=files, headers={"accept": "text/csv"})
    refusal = await http.post(PATH, files=broken)

    assert answer.status_code == 200, answer.text
    assert answer.headers["outcomes"] == "REBALANCED=2"
    assert answer.text.splitlines()[1].startswith("A1,VTI,SELL,33,201.50,6649.50,")
    assert refusal.status_code == 422
    assert refusal.json()["errors"][0]["file"] == "prices.csv"
    assert refusal.json()["errors"][0]["row"] == 4
