"""The audit log over HTTP: pages, filters, files, the end of the chain."""

import csv
import io
import json
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from serve_app.api.routes import audit
from storage.audit.chain import ChainVerifier, Link, hash_entry
from tests.support.fakes import A, make_model_body

AUDIT = "/api/v1/audit"
Model = dict[str, Any]


@pytest.fixture
async def story(client: httpx.AsyncClient, model: Model) -> Model:
    """Edit the model, rebalance it, and delete the rebalance; return the model."""
    path = f"/api/v1/model/{model['model_id']}"
    headers = {"X-Correlation-ID": "edit-1"}
    body = {**make_model_body("=Income"), "version": 1}
    assert (await client.put(path, json=body, headers=headers)).status_code == 200
    (element, _) = (await client.post(f"{path}/rebalance")).json()
    rebalance = f"/api/v1/rebalance/{element['rebalance_id']}"
    assert (await client.delete(rebalance, params={"version": 1})).status_code == 200
    return model


async def test_changes_are_listed_newest_first_as_soon_as_they_are_answered(
    client: httpx.AsyncClient, story: Model
) -> None:
    answer = await client.get(AUDIT)

    assert [each["action"] for each in answer.json()] == [
        "rebalance.delete",
        "rebalance.store",
        "model.edit",
        "model.create",
    ]
    edited = answer.json()[2]
    assert (edited["object_type"], edited["object_id"]) == ("model", story["model_id"])
    assert (edited["principal"], edited["correlation_id"]) == (None, "edit-1")
    assert edited["diff"]["fields"] == [{"field": "name", "before": "Growth", "after": "=Income"}]
    assert answer.headers["X-Total-Count"] == "4"
    assert answer.headers["Vary"].startswith("Accept")


async def test_the_hash_of_an_entry_can_be_computed_from_its_json(
    client: httpx.AsyncClient, story: Model
) -> None:
    entries = (await client.get(AUDIT, params={"sort_by": "seq"})).json()

    assert [hash_entry(each) for each in entries] == [each["hash"] for each in entries]
    previous = [each["previous_hash"] for each in entries]
    assert previous == ["0" * 64, *(each["hash"] for each in entries[:-1])]


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ({"object_type": "model"}, ["model.edit", "model.create"]),
        ({"action": "model.edit"}, ["model.edit"]),
        ({"principal": "nobody"}, []),
        ({"since": "2020-01-01"}, ["rebalance.delete", "rebalance.store", "model.edit"]),
        ({"since": "2999-01-01T00:00:00+01:00"}, []),
        ({"sort_by": "seq"}, ["model.create", "model.edit", "rebalance.store"]),
        ({"offset": 1}, ["rebalance.store", "model.edit", "model.create"]),
    ],
)
async def test_changes_are_chosen_and_ordered(
    client: httpx.AsyncClient, story: Model, query: dict[str, Any], actions: list[str]
) -> None:
    answer = await client.get(AUDIT, params={"limit": 3, **query})

    assert [each["action"] for each in answer.json()] == actions


async def test_changes_of_one_object_are_found(client: httpx.AsyncClient, story: Model) -> None:
    answer = await client.get(AUDIT, params={"object_id": story["model_id"], "limit": 1})

    assert [each["action"] for each in answer.json()] == ["model.edit"]
    assert answer.links["next"]["url"].endswith(f"{story['model_id']}&offset=1&limit=1")


@pytest.mark.parametrize("batch_size", [1, 500])
@pytest.mark.parametrize("media_type", audit.OFFERED[1:])
async def test_a_file_has_all_changes(
    client: httpx.AsyncClient,
    story: Model,
    monkeypatch: pytest.MonkeyPatch,
    media_type: str,
    batch_size: int,
) -> None:
    monkeypatch.setattr(audit, "BATCH_SIZE", batch_size)
    entries = (await client.get(AUDIT, params={"sort_by": "seq"})).json()

    answer = await client.get(AUDIT, params={"sort_by": "seq"}, headers={"Accept": media_type})

    assert answer.headers["Content-Type"].startswith(media_type)
    rows = READERS[media_type](answer.content)
    assert [int(each["seq"]) for each in rows] == [1, 2, 3, 4]
    assert [each["hash"] for each in rows] == [each["hash"] for each in entries]
    diff = rows[1]["diff"]
    assert (json.loads(diff) if isinstance(diff, str) else diff) == entries[1]["diff"]


def read_csv(content: bytes) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def read_lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def read_parquet(content: bytes) -> list[dict[str, Any]]:
    return parquet.read_table(pa.BufferReader(content)).to_pylist()


def read_arrow(content: bytes) -> list[dict[str, Any]]:
    return ipc.open_stream(content).read_all().to_pylist()


READERS = dict(
    zip(
        audit.OFFERED[1:],
        (read_csv, read_lines, read_lines, read_parquet, read_arrow),
        strict=True,
    )
)


async def test_an_empty_file_has_its_columns(client: httpx.AsyncClient) -> None:
    table = await client.get(AUDIT, headers={"Accept": "text/csv"})
    columns = await client.get(AUDIT, headers={"Accept": "application/vnd.apache.parquet"})

    assert table.text.startswith("seq,entry_id,at,")
    assert table.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    assert parquet.read_table(pa.BufferReader(columns.content)).num_rows == 0


async def test_no_cell_of_a_csv_file_is_a_formula(client: httpx.AsyncClient, model: Model) -> None:
    path = f"/api/v1/model/{model['model_id']}/portfolio"
    headers = {"X-Correlation-ID": "=HYPERLINK@evil"}
    await client.post(path, json={"portfolios": [A]}, headers=headers)

    answer = await client.get(AUDIT, headers={"Accept": "text/csv"})

    assert ",'=HYPERLINK@evil," in answer.text


async def test_the_end_of_the_chain_verifies_the_entries(
    client: httpx.AsyncClient, story: Model
) -> None:
    head = (await client.get(f"{AUDIT}/head")).json()
    verifier = ChainVerifier()

    entries = (await client.get(AUDIT, params={"sort_by": "seq"})).json()
    faults = [fault for entry in entries for fault in verifier.add(entry)]

    assert [*faults, *verifier.end(Link(head["seq"], head["hash"]))] == []
    assert (head["seq"], head["cut"]) == (4, None)
    assert head["sealed_at"] == entries[-1]["sealed_at"]


async def test_an_empty_log_has_an_end(client: httpx.AsyncClient) -> None:
    head = (await client.get(f"{AUDIT}/head")).json()

    assert head == {"seq": 0, "hash": "0" * 64, "sealed_at": None, "cut": None}
    assert (await client.get(AUDIT)).json() == []


@pytest.mark.parametrize(
    ("query", "accept", "status", "problem"),
    [
        ("since=yesterday", "*/*", 422, "invalid-request"),
        ("since=1700000000", "*/*", 422, "invalid-request"),
        ("since=0001-01-01T00:00:00%2B23:00", "*/*", 422, "invalid-request"),
        ("sort_by=at", "*/*", 422, "invalid-request"),
        ("limit=1001", "*/*", 422, "invalid-request"),
        ("object=1", "*/*", 422, "invalid-request"),
        ("action=", "*/*", 422, "invalid-request"),
        ("", "image/png", 406, "not-acceptable"),
    ],
)
async def test_what_is_wrong_is_a_problem(
    client: httpx.AsyncClient, query: str, accept: str, status: int, problem: str
) -> None:
    answer = await client.get(f"{AUDIT}?{query}", headers={"Accept": accept})

    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")
