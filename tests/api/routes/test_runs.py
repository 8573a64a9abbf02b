"""Runs over a book: start, state and cancellation."""

from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.api.openapi.samples import RUNNING
from serve_app.settings import Settings, read_settings
from tests.support.fakes import A, P, Q, R, make_model_body, make_position
from tests.support.in_process import Upstreams, make_two_owners
from tests.support.run_streams import wait_until_over

Json = dict[str, Any]
NOWHERE = "0" * 24


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(
        {"run_chunk_size": 1, "run_patience_s": 0, "run_lease_s": 1, "holdings_directory": tmp_path}
    )


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


async def begin_run(client: httpx.AsyncClient, body: Json, **headers: str) -> httpx.Response:
    answer = await client.post("/api/v1/runs", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer


async def pointers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "/problems/invalid-request"
    return [one["pointer"] for one in answer.json()["errors"]]


async def test_a_run_is_accepted_and_says_where_it_can_be_watched(
    client: httpx.AsyncClient, model: Json
) -> None:
    answer = await begin_run(client, {"models": [model["model_id"]]})

    run = answer.json()
    assert answer.headers["location"] == f"/api/v1/runs/{run['run_id']}"
    assert run["status"] == "QUEUED"
    assert run["portfolios"] == {"done": 0, "total": None}
    ended = await wait_until_over(client, run["run_id"])
    assert ended["status"] == "COMPLETED"


async def test_a_run_that_is_over_has_counts_methods_and_its_rebalances(
    client: httpx.AsyncClient, model: Json
) -> None:
    run = (await begin_run(client, {"whole_book": True})).json()

    ended = await wait_until_over(client, run["run_id"])

    assert {key: ended[key] for key in ("status", "counts", "methods", "portfolios", "chunks")} == {
        "status": "COMPLETED",
        "counts": {"REBALANCED": 2},
        "methods": {"SEPARABLE": 2},
        "portfolios": {"done": 2, "total": 2},
        "chunks": {"done": 2, "total": 2},
    }
    assert ended["holdings"] == {"source": "summaries", "file": None}
    assert ended["seconds"].keys() == RUNNING.totals.seconds.keys(), (
        "the example tells other stages"
    )
    assert (ended["errors"], ended["error"], ended["remaining_seconds"]) == ([], None, None)
    assert ended["created_at"] <= ended["started_at"] <= ended["finished_at"]
    (rebalance_id,) = ended["rebalances"]
    rebalance = (await client.get(f"/api/v1/rebalance/{rebalance_id}")).json()
    assert (rebalance["status"], rebalance["model_id"]) == ("COMPLETED", model["model_id"])
    assert [one["portfolio_id"] for one in rebalance["portfolios"]] == [P, Q]


async def test_each_portfolio_of_several_models_is_rebalanced_once(
    client: httpx.AsyncClient, model: Json, upstreams: Upstreams
) -> None:
    upstreams.set_balance(R, 700)
    newer = await client.post("/api/v1/models", json=make_model_body("Newer", portfolios=[Q, R]))
    models = [model["model_id"], newer.json()["model_id"], model["model_id"].upper()]

    run = (await begin_run(client, {"models": models})).json()

    ended = await wait_until_over(client, run["run_id"])
    assert (ended["number_of_rebalances"], ended["portfolios"]["total"]) == (2, 3)
    wholes = [
        (await client.get(f"/api/v1/rebalance/{each}")).json() for each in ended["rebalances"]
    ]
    assert {
        one["model_name"]: [p["portfolio_id"] for p in one["portfolios"]] for one in wholes
    } == {
        "Growth": [P],
        "Newer": [Q, R],
    }


async def test_options_of_the_request_hold_for_every_portfolio(
    client: httpx.AsyncClient, model: Json
) -> None:
    options = {"frozen": [A], "bands": "HARD"}
    run = (await begin_run(client, {"models": [model["model_id"]], "options": options})).json()
    ended = await wait_until_over(client, run["run_id"])
    assert ended["counts"] == {"INFEASIBLE": 2}


@pytest.mark.parametrize(
    "route", ["/api/v1/model/{model_id}/rebalance", f"/api/v1/portfolio/{P}/rebalance"]
)
@pytest.mark.parametrize("prefer", ["respond-async", "wait=10, Respond-Async; x=1"])
async def test_either_rebalance_route_responds_asynchronously_where_that_is_preferred(
    client: httpx.AsyncClient, model: Json, route: str, prefer: str
) -> None:
    path = route.format(**model)

    answer = await client.post(path, headers={"prefer": prefer})

    assert answer.status_code == 202, answer.text
    assert answer.headers["preference-applied"] == "respond-async"
    ended = await wait_until_over(client, answer.headers["location"].rpartition("/")[2])
    assert ended["status"] == "COMPLETED"
    assert ended["portfolios"]["total"] == (2 if "model" in path else 1)


async def test_another_preference_is_answered_when_it_is_done(
    client: httpx.AsyncClient, model: Json
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    answer = await client.post(path, headers={"prefer": "wait=10"})
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


async def test_the_same_key_is_answered_with_the_same_run(
    client: httpx.AsyncClient, model: Json
) -> None:
    path, body = f"/api/v1/model/{model['model_id']}/rebalance", {"whole_book": True}
    keyed = {"idempotency-key": "nightly"}

    first = await begin_run(client, body, **keyed)
    again = await begin_run(client, body, **keyed)
    other = await client.post("/api/v1/runs", json={"portfolios": [P]}, headers=keyed)
    preferred = {"idempotency-key": "one", "prefer": "respond-async"}
    runs = [await client.post(path, headers=preferred) for _ in range(2)]

    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["run_id"] == first.json()["run_id"]
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert runs[0].json()["run_id"] == runs[1].json()["run_id"]
    for run_id in (first.json()["run_id"], runs[0].json()["run_id"]):
        await wait_until_over(client, run_id)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"whole_book": True, "models": [NOWHERE]}, ""),
        ({"whole_book": True, "portfolios": [P]}, ""),
        ({"models": []}, "/models"),
        ({"models": ["growth"]}, "/models/0"),
        ({"portfolios": ["growth"]}, "/portfolios/0"),
        ({"whole_book": True, "priority": 1}, "/priority"),
        ({"whole_book": True, "options": {"speed": 1}}, "/options/speed"),
        ({"whole_book": True, "holdings": {"source": "mail"}}, "/holdings/source"),
        ({"whole_book": True, "holdings": {"source": "file"}}, "/holdings"),
        ({"whole_book": True, "holdings": {"source": "pages", "file": "a.arrow"}}, "/holdings"),
        (
            {"whole_book": True, "holdings": {"source": "file", "file": "/etc/passwd"}},
            "/holdings/file",
        ),
        (
            {"whole_book": True, "holdings": {"source": "file", "file": "../a.arrow"}},
            "/holdings/file",
        ),
        ({"whole_book": True, "holdings": {"source": "pages", "path": "."}}, "/holdings/path"),
    ],
)  # fmt: skip
async def test_what_breaks_a_rule_is_refused_by_its_place(
    client: httpx.AsyncClient, body: Json, pointer: str
) -> None:
    assert await pointers(await client.post("/api/v1/runs", json=body)) == [pointer]


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("none.parquet", "is not in HOLDINGS_DIRECTORY"),
        ("a/../../none.parquet", "is outside HOLDINGS_DIRECTORY"),
    ],
)
async def test_a_file_that_cannot_be_used_is_refused_before_anything_begins(
    client: httpx.AsyncClient, model: Json, file: str, rule: str
) -> None:
    body = {"whole_book": True, "holdings": {"source": "file", "file": file}}
    answer = await client.post("/api/v1/runs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/holdings-file")
    assert rule in answer.json()["detail"]
    assert (await client.get("/api/v1/runs")).json() == []


async def test_holdings_come_from_a_file_where_the_run_says_so(
    client: httpx.AsyncClient, model: Json, tmp_path: Path, upstreams: Upstreams
) -> None:
    kinds = [("portfolio_id", pa.string()), ("security_id", pa.string()), ("quantity", pa.int64())]
    rows = {"portfolio_id": [P, P], "security_id": [None, A], "quantity": [2000, 5]}
    pq.write_table(pa.table(rows, schema=pa.schema(kinds)), tmp_path / "book.parquet")
    upstreams.down = "accounting"
    holdings = {"source": "file", "file": "book.parquet"}

    run = (await begin_run(client, {"whole_book": True, "holdings": holdings})).json()

    ended = await wait_until_over(client, run["run_id"])
    assert (ended["holdings"], ended["counts"]) == (holdings, {"REBALANCED": 1, "FAILED": 1})
    (rebalance_id,) = ended["rebalances"]
    first, second = (await client.get(f"/api/v1/rebalance/{rebalance_id}/portfolios")).json()
    assert first["cash_before_rebalance"] == 2000
    assert second["error"]["type"] == "/problems/holdings-missing"


@pytest.mark.parametrize(
    "body", [{"models": [NOWHERE]}, {"portfolios": [R]}, {"portfolios": [P], "models": [NOWHERE]}]
)
async def test_models_and_followers_that_do_not_exist_are_not_found(
    client: httpx.AsyncClient, model: Json, body: Json
) -> None:
    answer = await client.post("/api/v1/runs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert (await client.get("/api/v1/runs")).json() == []


async def test_an_upstream_that_is_down_fails_its_portfolios_and_is_listed(
    client: httpx.AsyncClient, model: Json, upstreams: Upstreams
) -> None:
    upstreams.down = "pricing"
    run = (await begin_run(client, {"whole_book": True})).json()
    ended = await wait_until_over(client, run["run_id"])
    assert (ended["status"], ended["counts"]) == ("COMPLETED", {"FAILED": 2})
    (rebalance_id,) = ended["rebalances"]
    for portfolio in (await client.get(f"/api/v1/rebalance/{rebalance_id}/portfolios")).json():
        assert portfolio["error"]["type"] == "/problems/upstream-unavailable"
        assert portfolio["error"]["upstream"] == "pricing"


async def test_a_model_that_is_all_cash_sells_what_is_held_if_that_is_meant(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    await client.post(
        "/api/v1/models", json=make_model_body("Cash", positions=[make_position(target=0)])
    )
    run = (await begin_run(client, {"whole_book": True})).json()
    assert (await wait_until_over(client, run["run_id"]))["counts"] == {"FAILED": 2}
    body = {"whole_book": True, "options": {"liquidate": True}}
    run = (await begin_run(client, body)).json()
    ended = await wait_until_over(client, run["run_id"])
    assert ended["counts"] == {"REBALANCED": 2}


async def test_a_book_without_models_is_done_at_once(client: httpx.AsyncClient) -> None:
    run = (await begin_run(client, {"whole_book": True})).json()
    ended = await wait_until_over(client, run["run_id"])
    assert (ended["status"], ended["portfolios"]) == ("COMPLETED", {"done": 0, "total": 0})


async def test_a_page_of_runs_has_the_newest_first(client: httpx.AsyncClient, model: Json) -> None:
    runs = [(await begin_run(client, {"portfolios": [P]})).json()["run_id"] for _ in range(3)]
    for run_id in runs:
        await wait_until_over(client, run_id)
    page = await client.get("/api/v1/runs", params={"limit": 2})
    assert [run["run_id"] for run in page.json()] == [runs[2], runs[1]]
    assert page.headers["x-total-count"] == "3"
    assert 'rel="next"' in page.headers["link"]


@pytest.mark.parametrize("path", ["", "/events", "/outcomes"])
async def test_an_unknown_run_is_not_found_and_no_id_is_refused(
    client: httpx.AsyncClient, path: str
) -> None:
    unknown = await client.get(f"/api/v1/runs/{NOWHERE}{path}")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/not-found")
    no_id = await client.get(f"/api/v1/runs/last{path}")
    assert (no_id.status_code, no_id.json()["type"]) == (400, "/problems/bad-id")
