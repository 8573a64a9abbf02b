"""Routes of models, exactly as the contract has them."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.support.fakes import A, B, P, Q, R, make_model_body, make_position

JSON = {"content-type": "application/json"}
NOWHERE = "0" * 24


async def test_a_model_is_created_with_its_location_and_etag(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/models", json=make_model_body(" Growth "))

    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/model/{body['model_id']}"
    assert answer.headers["etag"] == '"1"'
    assert body == {
        "model_id": body["model_id"],
        "name": "Growth",
        "positions": [make_position()],
        "portfolios": [P, Q],
        "last_rebalance_date": None,
        "version": 1,
    }


async def test_a_number_of_a_request_never_passes_through_a_float(
    client: httpx.AsyncClient,
) -> None:
    text = (
        json.dumps(make_model_body()).replace('"0.01"', "0.0123456789").replace('"0.25"', "0.0050")
    )

    answer = await client.post("/api/v1/models", content=text, headers=JSON)

    stored = answer.json()["positions"][0]
    assert stored["low_drift"] == "0.0123456789"
    assert stored["target"] == "0.0050"


async def test_a_position_without_a_target_is_dropped_and_unknown_fields_are_ignored(
    client: httpx.AsyncClient,
) -> None:
    positions = [make_position() | {"note": 1}, make_position(B, 0)]

    answer = await client.post(
        "/api/v1/models", json=make_model_body(positions=positions, owner="me")
    )

    assert [line["security_id"] for line in answer.json()["positions"]] == [A]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": "  "}, "/name"),
        ({"name": "x" * 256}, "/name"),
        ({"portfolios": []}, "/portfolios"),
        ({"portfolios": [P, P]}, "/portfolios/1"),
        ({"portfolios": [P, "short"]}, "/portfolios/1"),
        ({"positions": [make_position("short")]}, "/positions/0/security_id"),
        ({"positions": [make_position(), make_position(B, "0.007")]}, "/positions/1/target"),
        ({"positions": [make_position(target="0.96")]}, "/positions/0/target"),
        ({"positions": [make_position(target="NaN")]}, "/positions/0/target"),
        ({"positions": [make_position(target=True)]}, "/positions/0/target"),
        ({"positions": [make_position(), make_position()]}, "/positions/1/security_id"),
        ({"positions": [make_position(A, "0.5"), make_position(B, "0.5")]}, "/positions"),
        ({"positions": [make_position() | {"low_drift": "0.03"}]}, "/positions/0/low_drift"),
        ({"positions": [make_position() | {"high_drift": 1.5}]}, "/positions/0/high_drift"),
        ({"positions": [make_position() | {"high_drift": "1e-400"}]}, "/positions/0/high_drift"),
    ],
)
async def test_a_broken_rule_is_a_422_that_points_at_the_value(
    client: httpx.AsyncClient, changes: dict[str, object], pointer: str
) -> None:
    answer = await client.post("/api/v1/models", json=make_model_body(**changes))

    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "/problems/invalid-request"
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


async def test_a_taken_name_is_a_409(client: httpx.AsyncClient, model: dict[str, Any]) -> None:
    answer = await client.post("/api/v1/models", json=make_model_body(model["name"]))

    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/name-taken"


async def test_models_are_found_by_a_part_of_their_name_in_any_case(
    client: httpx.AsyncClient,
) -> None:
    for name in ("Global Growth", "Income (EUR)", "growth 50%"):
        await client.post("/api/v1/models", json=make_model_body(name))

    async def find(text: str) -> list[str]:
        answer = await client.get(
            "/api/v1/models", params={"name": text, "sort_by": "name", "limit": 1}
        )
        assert answer.status_code == 200, answer.text
        return [answer.headers["x-total-count"], *[each["name"] for each in answer.json()]]

    assert await find("growth") == ["2", "Global Growth"]
    assert await find("(EUR)") == ["1", "Income (EUR)"]
    assert await find(".*") == ["0"]
    refused = await client.get("/api/v1/models", params={"name": "a\0"})
    assert refused.status_code == 422


async def test_models_come_in_pages_that_link_to_each_other(client: httpx.AsyncClient) -> None:
    for name in ("b", "a", "c"):
        await client.post("/api/v1/models", json=make_model_body(name))

    answer = await client.get("/api/v1/models?offset=1&limit=1&sort_by=-name")

    assert [model["name"] for model in answer.json()] == ["b"]
    assert answer.headers["x-total-count"] == "3"
    path = "/api/v1/models?sort_by=-name&offset="
    assert answer.headers["link"] == (
        f'<{path}0&limit=1>; rel="first", <{path}0&limit=1>; rel="prev", '
        f'<{path}2&limit=1>; rel="next", <{path}2&limit=1>; rel="last"'
    )


async def test_without_a_limit_all_models_come_in_the_order_of_their_creation(
    client: httpx.AsyncClient,
) -> None:
    for name in ("b", "a", "c"):
        await client.post("/api/v1/models", json=make_model_body(name))

    answer = await client.get("/api/v1/models")

    assert [model["name"] for model in answer.json()] == ["b", "a", "c"]


async def test_a_plus_that_arrives_as_a_blank_still_means_ascending(
    client: httpx.AsyncClient,
) -> None:
    for name in ("b", "a"):
        await client.post("/api/v1/models", json=make_model_body(name))

    answer = await client.get("/api/v1/models?sort_by=+name,-model_id")

    assert [model["name"] for model in answer.json()] == ["a", "b"]


async def test_an_offset_beyond_the_end_is_an_empty_page(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    answer = await client.get("/api/v1/models?offset=5")

    assert answer.json() == []
    assert 'rel="next"' not in answer.headers["link"]


@pytest.mark.parametrize(
    "query", ["offset=-1", "limit=0", "limit=x", "sort_by=owner", "limit=1001"]
)
async def test_a_bad_page_or_order_is_a_422_that_names_the_parameter(
    client: httpx.AsyncClient, query: str
) -> None:
    answer = await client.get(f"/api/v1/models?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


async def test_an_id_that_is_none_is_a_400_and_an_unknown_one_a_404(
    client: httpx.AsyncClient,
) -> None:
    bad = await client.get("/api/v1/model/zz")
    unknown = await client.get(f"/api/v1/model/{NOWHERE}")

    assert (bad.status_code, bad.json()["type"]) == (400, "/problems/bad-id")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/not-found")
    assert NOWHERE in unknown.json()["detail"]


async def test_a_model_that_the_caller_has_already_is_a_304(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    etag = (await client.get(path)).headers["etag"]

    same = await client.get(path, headers={"if-none-match": f'"9", W/{etag}'})
    other = await client.get(path, headers={"if-none-match": '"9"'})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200


async def test_a_trailing_slash_is_the_same_resource_without_a_redirect(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    answer = await client.get(f"/api/v1/model/{model['model_id']}/")

    assert answer.json() == model


async def test_a_model_is_replaced_and_its_version_counts_up(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    changed = make_model_body("Income", version=1, last_rebalance_date="2026-11-23T09:30:00.123Z")

    answer = await client.put(f"/api/v1/model/{model['model_id']}", json=changed)

    body = answer.json()
    assert (body["name"], body["version"]) == ("Income", 2)
    assert body["last_rebalance_date"] == "2026-11-23T09:30:00.123Z"


async def test_of_eight_changes_of_one_version_exactly_one_wins(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"

    answers = await asyncio.gather(
        *(client.put(path, json=make_model_body(f"Name {i}", version=1)) for i in range(8))
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, *[409] * 7]
    lost = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (lost["expected_version"], lost["actual_version"]) == (1, 2)


async def test_a_model_is_removed_by_its_version_alone(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"

    without = await client.delete(path)
    stale = await client.delete(f"{path}?version=2")
    gone = await client.delete(f"{path}?version=1")
    again = await client.delete(f"{path}?version=1")

    statuses = [answer.status_code for answer in (without, stale, gone, again)]
    assert statuses == [422, 409, 204, 404]


async def test_positions_are_added_changed_and_removed(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/position"

    added = await client.post(path, json=make_position(B, 0.1))
    changed = await client.put(path, json=make_position(B, "0.2"))
    dropped = await client.put(path, json=make_position(A, 0))
    removed = await client.request("DELETE", path, json=make_position(B, "0.200"))

    assert [line["security_id"] for line in added.json()["positions"]] == [A, B]
    assert changed.json()["positions"][1]["target"] == "0.2"
    assert [line["security_id"] for line in dropped.json()["positions"]] == [B]
    assert (removed.json()["positions"], removed.json()["version"]) == ([], 5)


async def test_a_position_has_to_be_new_to_be_added_and_known_to_be_changed(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/position"

    there = await client.post(path, json=make_position(A))
    unknown = await client.put(path, json=make_position(B))
    missing = await client.request("DELETE", path, json=make_position(B))
    different = await client.request("DELETE", path, json=make_position(A, "0.3"))
    too_much = await client.post(path, json=make_position(B, "0.9"))

    answers = (there, unknown, missing, different, too_much)
    assert [answer.status_code for answer in answers] == [409, 404, 404, 409, 422]
    assert there.json()["type"] == "/problems/security-in-model"
    assert too_much.json()["errors"][0]["pointer"] == "/positions"


async def test_portfolios_are_added_and_removed_as_a_set(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/portfolio"

    added = await client.post(path, json={"portfolios": [Q, R]})
    removed = await client.request("DELETE", path, json={"portfolios": [P, "X" * 24]})
    none_left = await client.request("DELETE", path, json={"portfolios": [Q, R]})

    assert added.json()["portfolios"] == [P, Q, R]
    assert removed.json()["portfolios"] == [Q, R]
    assert (none_left.status_code, none_left.json()["errors"][0]["pointer"]) == (422, "/portfolios")


async def test_the_same_key_creates_one_model_and_gives_the_same_answer(
    client: httpx.AsyncClient,
) -> None:
    key = {"idempotency-key": "key-1"}

    first = await client.post("/api/v1/models", json=make_model_body(), headers=key)
    second = await client.post("/api/v1/models", json=make_model_body(), headers=key)
    other = await client.post("/api/v1/models", json=make_model_body("Other"), headers=key)

    assert (second.status_code, second.content) == (201, first.content)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len((await client.get("/api/v1/models")).json()) == 1


async def test_a_repeated_key_gets_the_first_answer_whatever_became_of_the_model_since(
    client: httpx.AsyncClient,
) -> None:
    key = {"idempotency-key": "key-1"}
    first = await client.post("/api/v1/models", json=make_model_body(), headers=key)
    path = first.headers["location"]

    await client.put(path, json=make_model_body("Income", version=1))
    changed = await client.post("/api/v1/models", json=make_model_body(), headers=key)
    await client.delete(f"{path}?version=2")
    deleted = await client.post("/api/v1/models", json=make_model_body(), headers=key)

    assert changed.content == deleted.content == first.content
    assert changed.headers["etag"] == deleted.headers["etag"] == first.headers["etag"]


async def test_a_key_is_free_again_when_its_request_failed(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    key = {"idempotency-key": "key-1"}

    taken = await client.post("/api/v1/models", json=make_model_body(), headers=key)
    renamed = await client.post("/api/v1/models", json=make_model_body("Other"), headers=key)

    assert (taken.status_code, renamed.status_code) == (409, 201)
