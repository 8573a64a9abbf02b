"""Versions of a model over HTTP: pages, one version, the author's request."""

from typing import Any

import httpx
import pytest

from tests.support.fakes import A, B, P, R, make_position


@pytest.fixture
async def versions(client: httpx.AsyncClient, model: dict[str, Any]) -> str:
    """Make two more versions of the model; return the path of its versions."""
    path = f"/api/v1/model/{model['model_id']}"
    headers = {"X-Correlation-ID": "edit-2"}
    added = await client.post(f"{path}/position", json=make_position(B, "0.3"), headers=headers)
    assert added.status_code == 200, added.text
    await client.post(f"{path}/portfolio", json={"portfolios": [R]})
    return f"{path}/versions"


async def test_versions_are_listed_newest_first_with_what_each_changed(
    client: httpx.AsyncClient, versions: str
) -> None:
    answer = await client.get(versions)

    newest, second, first = answer.json()
    assert answer.headers["X-Total-Count"] == "3"
    assert [each["version"] for each in (newest, second, first)] == [3, 2, 1]
    assert first["changes"] is None
    assert (second["principal"], second["correlation_id"]) == (None, "edit-2")
    (changed,) = second["changes"]["positions"]
    assert changed == {"security_id": B, "before": None, "after": make_position(B, "0.3")}
    assert newest["changes"]["portfolios_added"] == [R]
    assert newest["changes"]["positions"] == newest["changes"]["fields"] == []


async def test_a_page_leads_to_the_next(client: httpx.AsyncClient, versions: str) -> None:
    page = await client.get(versions, params={"offset": 1, "limit": 1})

    assert [each["version"] for each in page.json()] == [2]
    assert page.links["next"]["url"].endswith("?offset=2&limit=1")


async def test_one_version_has_the_model_as_it_was(
    client: httpx.AsyncClient, model: dict[str, Any], versions: str
) -> None:
    first = await client.get(f"{versions}/1")
    second = await client.get(f"{versions}/2")

    assert first.json()["model"] == model
    assert [each["security_id"] for each in second.json()["model"]["positions"]] == [A, B]
    assert second.json()["changes"] == (await client.get(versions)).json()[1]["changes"]


async def test_fields_that_a_replacement_changes_have_their_names_of_the_model(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    options = {"cash_floor": "2%"}
    body = {**model, "last_rebalance_date": "2026-03-02T12:00:00.000Z"}
    await client.put(path, json={**body, "rebalance_options": options})

    (newest, _) = (await client.get(f"{path}/versions")).json()

    by_name = {
        each["field"]: (each["before"], each["after"]) for each in newest["changes"]["fields"]
    }
    assert by_name == {
        "rebalance_options": (None, options),
        "last_rebalance_date": (None, "2026-03-02T12:00:00.000Z"),
    }


async def test_the_versions_of_a_deleted_model_can_be_read(
    client: httpx.AsyncClient, versions: str
) -> None:
    await client.delete(versions.removesuffix("/versions"), params={"version": 3})

    assert (await client.get(versions)).headers["X-Total-Count"] == "3"
    assert (await client.get(f"{versions}/3")).json()["model"]["portfolios"][0] == P


@pytest.mark.parametrize(
    ("path", "status", "problem"),
    [
        ("/api/v1/model/zz/versions", 400, "bad-id"),
        (f"/api/v1/model/{'0' * 24}/versions", 404, "not-found"),
        (f"/api/v1/model/{'0' * 24}/versions/1", 404, "not-found"),
        (f"/api/v1/model/{'0' * 24}/versions/0", 400, "bad-id"),
        (f"/api/v1/model/{'0' * 24}/versions?limit=0", 422, "invalid-request"),
        (f"/api/v1/model/{'0' * 24}/versions?sort_by=at", 422, "invalid-request"),
    ],
)
async def test_what_is_wrong_is_a_problem(
    client: httpx.AsyncClient, path: str, status: int, problem: str
) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")


async def test_a_version_that_does_not_exist_is_named(
    client: httpx.AsyncClient, versions: str
) -> None:
    answer = await client.get(f"{versions}/9")

    assert answer.status_code == 404
    assert "version 9 of model" in answer.json()["detail"]
