"""ETag and If-Match: a change names the version that it is based on."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.settings import read_settings
from storage.rebalances.rebalance import RebalanceStatus
from tests.support.fakes import (
    B,
    FakeOptimizer,
    P,
    R,
    Stored,
    make_model_body,
    make_position,
    render_no_metrics,
)

ANOTHER = {"if-match": '"7"'}
THIS = {"if-match": '"1"'}


@pytest.fixture
async def strict(stored: Stored, optimizer: FakeOptimizer) -> AsyncIterator[httpx.AsyncClient]:
    """Client of a service that requires If-Match with every change."""
    app = api_app(
        read_settings({"require_if_match": True}),
        Ports(stored.port, optimizer, {}, render_no_metrics),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as client:
        yield client


def changes_of(model: dict[str, Any]) -> list[tuple[str, str, dict[str, Any] | None]]:
    """List every request that changes a model."""
    path = f"/api/v1/model/{model['model_id']}"
    return [
        ("PUT", path, make_model_body(version=1)),
        ("POST", f"{path}/position", make_position(B)),
        ("PUT", f"{path}/position", make_position(target="0.3")),
        ("DELETE", f"{path}/position", make_position()),
        ("POST", f"{path}/portfolio", {"portfolios": [R]}),
        ("DELETE", f"{path}/portfolio", {"portfolios": [P]}),
        ("DELETE", f"{path}?version=1", None),
    ]


async def test_if_match_of_another_version_is_a_412_for_every_change_of_a_model(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    for method, path, body in changes_of(model):
        answer = await client.request(method, path, json=body, headers=ANOTHER)

        assert answer.status_code == 412, (method, path, answer.text)
        assert answer.json()["type"] == "/problems/precondition-failed"
    assert (await client.get(f"/api/v1/model/{model['model_id']}")).json() == model


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("tag", ['"1"', "*", '"7", "1.18a"', '"1.18a.gzip"', 'W/"7", "1"', "1"])
async def test_if_match_of_the_stored_version_lets_each_change_pass(
    client: httpx.AsyncClient, model: dict[str, Any], number: int, tag: str
) -> None:
    method, path, body = changes_of(model)[number]

    answer = await client.request(method, path, json=body, headers={"if-match": tag})

    assert answer.status_code in {200, 204}, answer.text


async def test_a_weak_tag_never_matches_a_change(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    for method, path, body in changes_of(model):
        answer = await client.request(method, path, json=body, headers={"if-match": 'W/"1"'})

        assert (answer.status_code, answer.json()["type"]) == (412, "/problems/precondition-failed")
        assert "weak" in answer.json()["detail"]
    assert (await client.get(f"/api/v1/model/{model['model_id']}")).json() == model


@pytest.mark.parametrize("tag", ["", '""', '"x"', "²", '"1', "a, b"])
async def test_a_tag_that_is_none_of_ours_matches_nothing(
    client: httpx.AsyncClient, model: dict[str, Any], tag: str
) -> None:
    method, path, body = changes_of(model)[0]

    answer = await client.request(method, path, json=body, headers={"if-match": tag.encode()})

    assert answer.status_code == (200 if tag == '"1' else 412)


async def test_a_stale_version_is_a_412_with_if_match_and_a_409_without(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    assert (await client.put(path, json=make_model_body(version=1))).status_code == 200

    for method, url, body in changes_of(model)[::6]:
        stale = await client.request(method, url, json=body)
        both = await client.request(method, url, json=body, headers=THIS)
        any_version = await client.request(method, url, json=body, headers={"if-match": "*"})

        assert [each.status_code for each in (stale, both, any_version)] == [409, 412, 409]


async def test_a_rebalance_between_reading_and_changing_refuses_nothing(
    client: httpx.AsyncClient, stored: Stored, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    before = await client.get(path)
    await stored.models.record_rebalance_date(model["model_id"], datetime.now(UTC))
    after = await client.get(path, headers={"if-none-match": before.headers["etag"]})

    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]
    old = {"if-match": before.headers["etag"]}
    changed = await client.put(path, json=make_model_body(version=1), headers=old)
    assert changed.status_code == 200


async def test_a_change_without_if_match_is_a_428_where_the_service_demands_it(
    strict: httpx.AsyncClient,
) -> None:
    model = (await strict.post("/api/v1/models", json=make_model_body())).json()

    for method, path, body in changes_of(model):
        without = await strict.request(method, path, json=body)
        assert without.status_code == 428
        assert without.json()["type"] == "/problems/precondition-required"
    method, path, body = changes_of(model)[0]
    assert (await strict.request(method, path, json=body, headers=THIS)).status_code == 200


async def test_a_rebalance_is_deleted_under_its_etag(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    path = answer.headers["location"]
    etag = (await client.get(path, headers={"accept-encoding": "identity"})).headers["etag"]

    another = await client.delete(f"{path}?version=1", headers=ANOTHER)
    gone = await client.delete(f"{path}?version=1", headers={"if-match": etag})

    assert etag == f'"1.{RebalanceStatus.COMPLETED.lower()}"'
    assert (another.status_code, gone.status_code) == (412, 200)
