"""Form of requests, checked at every route, body and query parameter of the document."""

import gzip
import json
import logging
from itertools import product
from typing import Any

import httpx
import pytest

from serve_app.api.routes.optimize import MIN_LONG_BODY_BYTES
from serve_app.settings import Settings, read_settings
from tests.support.every_route import (
    JSON,
    WITH_BODY,
    Operation,
    list_object_paths,
    list_operations,
    repeat_member,
    update_at,
)
from tests.support.fakes import P, Q, R, make_model_body, make_position
from tests.support.in_process import Upstreams

# Offset, limit and order of lists, and the version of a deleted object. No other parameter, because
# the portal sends nothing else, and the load generator calls the portal alone.
OF_THE_PORTAL = {
    ("GET", "/api/v1/models"): {"offset", "limit", "sort_by"},
    ("GET", "/api/v1/rebalances"): {"offset", "limit", "sort_by"},
    ("DELETE", f"/api/v1/model/{'0' * 24}"): {"version"},
    ("DELETE", f"/api/v1/rebalance/{'0' * 24}"): {"version"},
}


@pytest.fixture
def settings() -> Settings:
    return read_settings({"optimization_timeout": 0.2})


@pytest.fixture
def upstreams() -> Upstreams:
    """Upstreams for the real optimizer, because that reads long bodies, too."""
    return Upstreams()


async def send_body(
    client: httpx.AsyncClient, operation: Operation, content: bytes, **headers: str
) -> httpx.Response:
    return await client.request(
        operation.method, operation.path, content=content, headers={**JSON, **headers}
    )


def kind(answer: httpx.Response) -> str:
    return answer.json()["type"].removeprefix("/problems/")


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_a_repeated_name_is_refused_with_its_pointer_in_every_object_of_every_body(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    paths = [*list_object_paths(operation.body)]

    assert paths
    for path in paths:
        text, pointer = repeat_member(operation.body, path)
        padding = (b"", b" " * MIN_LONG_BODY_BYTES) if operation.name == "optimize" else (b"",)
        for pad in padding:
            answer = await send_body(client, operation, text + pad)

            assert (answer.status_code, kind(answer)) == (422, "invalid-request"), answer.text
            assert answer.json()["errors"][0]["pointer"] == pointer
            assert pointer in answer.json()["detail"]


async def test_a_repeated_name_is_one_however_it_is_escaped_and_however_deep_it_stands(
    client: httpx.AsyncClient,
) -> None:
    deep = b"[" * 500 + b'{"a": 1, "\\u0061": 2}' + b"]" * 500
    for text, pointer in ((b'{"name": 1, "n\\u0061me": 2}', "/name"), (deep, "/0" * 500 + "/a")):
        answer = await client.post("/api/v1/models", content=text, headers=JSON)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize("half", ["\ud800", "a\udfff", "\udc00\ud800"])
async def test_half_of_a_surrogate_pair_is_refused_with_its_pointer_in_every_object_of_every_body(
    client: httpx.AsyncClient, operation: Operation, half: str
) -> None:
    for path in list_object_paths(operation.body):
        pointer = "".join(f"/{step}" for step in path)
        for member, place in (
            ({half: 1}, pointer),
            ({half: {half: half}}, pointer),
            ({"note": half}, f"{pointer}/note"),
            ({"note": ["x", half]}, f"{pointer}/note/1"),
        ):
            text = json.dumps(update_at(operation.body, path, member)).encode()
            padding = (b"", b" " * MIN_LONG_BODY_BYTES) if operation.name == "optimize" else (b"",)
            for pad in padding:
                answer = await send_body(client, operation, text + pad)

                assert (answer.status_code, kind(answer)) == (422, "invalid-request"), answer.text
                assert answer.json()["errors"][0]["pointer"] == place
                assert "surrogate" in answer.json()["detail"]


async def test_a_refused_half_of_a_pair_stores_nothing_and_a_whole_pair_is_a_character(
    client: httpx.AsyncClient,
) -> None:
    refused = await client.post("/api/v1/models", content=escape_body({"\ud800": 1}), headers=JSON)
    before = await client.get("/api/v1/models")
    made = await client.post("/api/v1/models", content=escape_body({"\U0001f600": 1}), headers=JSON)

    assert refused.status_code == 422
    assert before.json() == []
    assert made.status_code == 201
    assert made.headers["ignored-fields"] == "/%F0%9F%98%80"


def escape_body(member: dict[str, Any]) -> bytes:
    """Write the body of a new model with this member; escape every character beyond ASCII."""
    return json.dumps(make_model_body(**member)).encode()


@pytest.mark.parametrize(
    "rest", ["9" * 5_000, "[" * 100_000, "NaN", '"\\ud800"', '{"\\ud800": 1, "\\ud800": 2}']
)
async def test_a_repeated_name_beside_something_worse_is_refused_too(
    client: httpx.AsyncClient, rest: str
) -> None:
    for text in (f'{{"a": 1, "a": 2, "b": {rest}}}', f'{{"b": {{"a": 1, "a": 2}}, "c": {rest}}}'):
        answer = await client.post("/api/v1/models", content=text.encode(), headers=JSON)

        assert answer.status_code in {400, 422}, answer.text


@pytest.mark.parametrize("operation", list_operations(), ids=str)
async def test_a_query_parameter_that_nobody_knows_is_refused_by_its_name_on_every_route(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    body = json.dumps(operation.body).encode() if operation.body is not None else b""
    # A long body is a case of its own, because a worker process reads it.
    bodies = (body, body + b" " * MIN_LONG_BODY_BYTES) if body else (body,)
    for name, content in product(("dryrun", "Limit", "x" * 2_000), bodies):
        answer = await client.request(
            operation.method, operation.path, params={name: "1"}, content=content, headers=JSON
        )

        assert (answer.status_code, kind(answer)) == (422, "invalid-request"), answer.text
        assert answer.json()["errors"][0]["parameter"] == name[:60] or len(name) > 60
        assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/problems", "/problems/infeasible"]
)
async def test_pages_refuse_what_they_do_not_know_as_well(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(path)).status_code == 200
    assert (await client.get(path, params={"lang": "en"})).status_code == 422


@pytest.mark.parametrize("operation", list_operations(), ids=str)
async def test_a_parameter_that_is_no_list_may_be_given_once(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    body = json.dumps(operation.body).encode() if operation.body is not None else b""
    for name, schema in operation.queries().items():
        answer = await client.request(
            operation.method,
            operation.path,
            params=[(name, "1"), (name, "1")],
            content=body,
            headers=JSON,
        )

        refused = answer.status_code == 422 and "only once" in answer.text
        assert refused == (schema.get("type") != "array"), (name, answer.text)


def test_every_parameter_that_the_portal_sends_is_known_to_its_route() -> None:
    known = {(each.method, each.path): each.queries().keys() for each in list_operations()}

    for route, names in OF_THE_PORTAL.items():
        assert names <= known[route], route


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_every_body_is_json_whatever_else_is_said_of_it(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    text = json.dumps(operation.body).encode()

    async def answer_to(content: bytes, **headers: str) -> httpx.Response:
        request = client.build_request(operation.method, operation.path, content=content)
        request.headers.update(headers)
        return await client.send(request)

    plain = await answer_to(text, **JSON)
    same = [
        await answer_to(text),
        await answer_to(text, **{"content-type": "application/json; charset=utf-8"}),
        await answer_to(text, **{"content-type": "application/vnd.desk+json"}),
        await answer_to(b"\xef\xbb\xbf" + text, **JSON),
        await answer_to(gzip.compress(text), **JSON, **{"content-encoding": "gzip"}),
        await answer_to(gzip.compress(b"\xef\xbb\xbf" + text), **{"content-encoding": "X-GZIP"}),
        await answer_to(text, **{"content-encoding": "identity"}),
    ]
    others = [
        await answer_to(text, **{"content-type": "application/x-www-form-urlencoded"}),
        await answer_to(text, **{"content-type": "text/plain"}),
        await answer_to(text, **JSON, **{"content-encoding": "br"}),
        await answer_to(text, **JSON, **{"content-encoding": "gzip, gzip"}),
    ]

    allowed = {plain.status_code, 409}  # a model of this name is there by now
    unread = {"/problems/bad-request", "/problems/unsupported-media-type"}
    assert plain.status_code < 400 or plain.json()["type"] not in unread
    assert {each.status_code for each in same} <= allowed
    for each in others:
        assert (each.status_code, kind(each)) == (415, "unsupported-media-type")
    assert "application/x-www-form-urlencoded" in others[0].json()["detail"]
    assert others[0].headers["accept"].split(", ")[0] == "application/json"
    assert others[2].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_a_bomb_is_a_413_and_what_is_no_gzip_a_400_in_every_body(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    bomb = gzip.compress(b" " * 40_000_000)
    text = gzip.compress(json.dumps(operation.body).encode())

    exploded = await send_body(client, operation, bomb, **{"content-encoding": "gzip"})
    broken = [
        await send_body(client, operation, each, **{"content-encoding": "gzip"})
        for each in (b"{}", text[:-9], text + b"x", text + text)
    ]

    assert (exploded.status_code, kind(exploded)) == (413, "body-too-large")
    assert {(each.status_code, kind(each)) for each in broken} == {(400, "bad-request")}


async def test_a_long_compressed_body_is_read_elsewhere_as_a_plain_one(
    client: httpx.AsyncClient,
) -> None:
    (optimize,) = (each for each in WITH_BODY if each.name == "optimize")
    text = json.dumps(optimize.body).encode() + b" " * MIN_LONG_BODY_BYTES
    ids = {"x-correlation-id": "one"}

    plain = await send_body(client, optimize, text, **ids)
    packed = await send_body(
        client, optimize, gzip.compress(text), **ids, **{"content-encoding": "gzip"}
    )

    assert packed.status_code == plain.status_code != 500
    assert packed.content == plain.content


async def test_fields_of_a_model_that_are_ignored_are_named_in_a_header_and_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    body = make_model_body(weights=[], positions=[make_position() | {"a, b/é": 1}], owner="me")

    with caplog.at_level(logging.INFO, "serve_app"):
        made = await client.post("/api/v1/models", json=body)
    clean = await client.post("/api/v1/models", json=make_model_body("Other"))
    path = f"/api/v1/model/{made.json()['model_id']}"
    portfolios = await client.post(f"{path}/portfolio", json={"portfolios": [P], "note": 1})
    found = await client.post("/api/v1/rebalances/portfolios", json={"portfolios": [P], "as": 1})
    again = await client.put(path, json=made.json())

    named = made.headers["ignored-fields"]
    assert set(named.split(", ")) == {"/weights", "/positions/0/a%2C%20b~1%C3%A9", "/owner"}
    assert named in caplog.text
    assert "ignored-fields" not in clean.headers
    assert portfolios.headers["ignored-fields"] == "/note"
    assert found.headers["ignored-fields"] == "/as"
    assert again.headers["ignored-fields"] == "/model_id"


async def test_ignored_fields_are_named_shortly_however_many_and_long_they_are(
    client: httpx.AsyncClient,
) -> None:
    many = {f"{number}{'x' * 1_000}": 1 for number in range(500)}

    answer = await client.post("/api/v1/models", json=make_model_body(**many))

    assert answer.status_code == 201
    assert answer.headers["ignored-fields"].count(",") == 19
    assert len(answer.headers["ignored-fields"]) < 4_000


async def test_a_portfolio_is_told_which_of_it_and_the_named_model_is_missing(
    client: httpx.AsyncClient,
) -> None:
    mine, other = [
        (await client.post("/api/v1/models", json=make_model_body(name, portfolios=[one]))).json()[
            "model_id"
        ]
        for name, one in (("Mine", P), ("Other", Q))
    ]
    nowhere = "0" * 24
    told = {
        (P, other): f"there is no portfolio {P} in model {other}",
        (P, nowhere): f"there is no model {nowhere}",
        (R, None): f"there is no model followed by portfolio {R}",
        (R, mine): f"there is no portfolio {R} in model {mine}",
    }

    for (portfolio_id, model_id), sentence in told.items():
        path = f"/api/v1/portfolio/{portfolio_id}"
        named = {"model_id": model_id} if model_id else {}
        answers = [
            await client.post(f"{path}/rebalance", json=named),
            await client.post(f"{path}/rebalance?dry_run=true", json=named),
            await client.post(f"{path}/rebalance", json=named, headers={"prefer": "respond-async"}),
            await client.get(f"{path}/drift", params=named),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["detail"]) == (404, sentence)
