"""Random requests: no answer is a 500 or shows a traceback, and no partial write is left."""

import copy
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.settings import read_settings
from tests.support.fakes import (
    PRICE,
    A,
    B,
    P,
    Q,
    Stored,
    make_model_body,
    make_position,
    render_no_metrics,
)
from tests.support.in_process import Upstreams, build_optimizer

QUICK = read_settings({"optimization_timeout": 0.2})
JSON = {"content-type": "application/json"}
FUZZED = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
OPTIONS = {
    "cash_floor": "2%",
    "cash_ceiling": 900,
    "cash_flow": "-1.5",
    "do_not_buy": [A],
    "lots": {A: "0.5"},
    "minimum_value": 1,
    "maximum_value": 500,
    "volume_share": "0.5",
    "maximum_trades": 3,
    "turnover_cap": "50%",
    "cost_rate": "0.001",
    "groups": [{"name": "g", "security_ids": [A, B], "low": 0, "high": "0.9"}],
    "soft_band_price": 3,
    "fewest_trades": True,
}
GIVEN = {
    "model": {"name": "Given", "positions": [make_position()]},
    "prices": {A: "31.50", B: 1},
    "portfolios": [{"portfolio_id": P, "cash": "1000", "holdings": {A: 1, B: "-2.5"}}],
    "options": OPTIONS,
}
MODEL = make_model_body(positions=[make_position(), make_position(B)], rebalance_options=OPTIONS)
ODD_NUMBERS = st.sampled_from(
    [0, -1, 2**31, 2**63, 10**400, 1e308, -0.0, float("nan"), float("inf"), 1e-300, 0.1]
)
ODD_TEXTS = st.sampled_from(
    (
        *("", "NaN", "-Infinity", "1e999999999", "1" * 5000, "\x00", "\ud800", "名前", "🙂" * 255),
        *("$where", "a.b", "../../etc", "<script>", "'; drop table", "0x10", "٣", " 1 ", "1_0"),
    )
)
SCALARS = st.none() | st.booleans() | st.integers() | ODD_NUMBERS | st.text() | ODD_TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | ODD_TEXTS, inner),
    max_leaves=8,
)
IDS = st.sampled_from([P, A, "0" * 24, "zz", "%00", "null", "٣" * 24, "a" * 5000, "%F0%9F%99%82"])


@st.composite
def spoil(draw: st.DrawFn, valid: object) -> object:
    """Draw a valid value with another value at one place."""
    value = copy.deepcopy(valid)
    inner: Any = value
    while True:
        places = list(inner) if isinstance(inner, dict) else range(len(inner))
        place = draw(st.sampled_from(list(places)))
        deeper = isinstance(inner[place], dict | list) and len(inner[place]) > 0
        if not deeper or draw(st.booleans()):
            inner[place] = draw(VALUES)
            return value
        inner = inner[place]


BODIES = st.one_of(
    VALUES, *(spoil(valid) for valid in (MODEL, MODEL | {"version": 1}, OPTIONS, GIVEN))
)
ROUTES = st.sampled_from(
    [
        ("POST", "/models"),
        ("PUT", "/model/{id}"),
        ("DELETE", "/model/{id}"),
        ("POST", "/model/{id}/position"),
        ("DELETE", "/model/{id}/position"),
        ("POST", "/model/{id}/portfolio"),
        ("DELETE", "/model/{id}/portfolio"),
        ("POST", "/model/{id}/rebalance"),
        ("POST", "/portfolio/{id}/rebalance"),
        ("POST", "/optimize"),
        ("POST", "/rebalances/portfolios"),
        ("GET", "/rebalance/{id}"),
        ("GET", "/rebalance/{id}/portfolio/{id}/positions"),
        ("POST", "/rebalance/{id}/orders"),
        ("DELETE", "/rebalance/{id}"),
    ]
)
# Each kind of body goes to its own route as often as elsewhere, otherwise few would take effect.
AIMED = st.one_of(
    st.tuples(st.just(("POST", "/models")), spoil(MODEL)),
    st.tuples(st.just(("PUT", "/model/{id}")), spoil(MODEL | {"version": 1})),
    st.tuples(st.just(("POST", "/model/{id}/position")), spoil(make_position(B, 0.1))),
    st.tuples(st.just(("POST", "/model/{id}/portfolio")), spoil({"portfolios": [P, A]})),
    st.tuples(st.just(("POST", "/model/{id}/rebalance")), spoil(OPTIONS)),
    st.tuples(st.just(("POST", "/portfolio/{id}/rebalance")), spoil(OPTIONS)),
    st.tuples(st.just(("POST", "/optimize")), spoil(GIVEN)),
    st.tuples(ROUTES, BODIES),
)


@pytest.fixture
async def client(stored: Stored, database: Any) -> AsyncIterator[httpx.AsyncClient]:
    world = Upstreams({A: PRICE, B: PRICE})
    world.set_balance(P, 1000, **{A: 2})
    world.set_balance(Q, 500, **{B: "3.5"})
    parts = Ports(stored.port, build_optimizer(QUICK, database, world), {}, render_no_metrics)
    transport = httpx.ASGITransport(api_app(QUICK, parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@FUZZED
@given(asked=AIMED, odd_id=st.none() | IDS, query=st.dictionaries(st.text(), st.text(), max_size=2))
async def test_no_request_is_answered_by_a_500(
    client: httpx.AsyncClient,
    stored: Stored,
    model: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    asked: tuple[tuple[str, str], object],
    odd_id: str | None,
    query: dict[str, str],
) -> None:
    (method, template), body = asked
    real_id = P if "/portfolio/{id}" in template else model["model_id"]
    path = f"/api/v1{template}".replace("{id}", odd_id or real_id)
    params = {name: value.encode("utf-8", "replace") for name, value in query.items()}

    with caplog.at_level(logging.ERROR):
        answer = await client.request(
            method, path, params=params, content=json.dumps(body), headers=JSON
        )

    assert answer.status_code < 500, (method, path, body, answer.text)
    assert "Traceback" not in answer.text
    assert caplog.records == []
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 100_000
    await assert_all_stored_is_whole(client, stored)


async def assert_all_stored_is_whole(client: httpx.AsyncClient, stored: Stored) -> None:
    """Assert that all documents are readable and all rebalances have their number of outcomes."""
    models = await client.get("/api/v1/models")
    runs = await client.get("/api/v1/rebalances?limit=100")
    assert (models.status_code, runs.status_code) == (200, 200)
    database = stored.resources.database
    told = {
        str(run["_id"]): run["number_of_portfolios"] async for run in database["rebalances"].find()
    }
    kept = Counter[str]()
    async for result in database["outcomes"].find({}, {"_id": 1}):
        kept[result["_id"][:24]] += 1
    async for chunk in database["outcome_chunks"].find({}, {"counts": 1}):
        kept[chunk["_id"][:24]] += sum(chunk["counts"].values())
    assert kept == told
    assert await database["idempotency"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/models"),
        ("PUT", f"/model/{'0' * 24}"),
        ("POST", f"/model/{'0' * 24}/rebalance"),
        ("POST", "/rebalances/portfolios"),
    ],
)
async def test_a_body_of_ten_megabytes_is_a_413(
    client: httpx.AsyncClient, stored: Stored, method: str, path: str
) -> None:
    body = json.dumps(make_model_body("x" * 10_000_000))

    answer = await client.request(method, f"/api/v1{path}", content=body, headers=JSON)

    assert answer.status_code == 413
    assert len(answer.content) < 1000
    await assert_all_stored_is_whole(client, stored)


async def test_a_rule_that_is_broken_ten_thousand_times_is_told_twenty_times(
    client: httpx.AsyncClient, stored: Stored
) -> None:
    body = make_model_body(portfolios=[f"bad {number}" for number in range(10_000)])

    answer = await client.post("/api/v1/models", json=body)

    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 10_000
    await assert_all_stored_is_whole(client, stored)


async def test_a_rebalance_of_many_unknown_portfolios_lists_the_first_hundred(
    client: httpx.AsyncClient, stored: Stored
) -> None:
    portfolios = [f"{number:024}" for number in range(150)]
    made = await client.post("/api/v1/models", json=make_model_body(portfolios=portfolios))

    answer = await client.post(f"/api/v1/model/{made.json()['model_id']}/rebalance")

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/holdings-missing")
    assert len(answer.json()["portfolios"]) == 100
    await assert_all_stored_is_whole(client, stored)
