"""Versions and the audit log on the command line, against the application on a port."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pyarrow import parquet
from pymongo.asynchronous.database import AsyncDatabase

from storage.mongo.connection import Document
from tests.support.command_server import Ordergen, connect_ordergen, serve
from tests.support.fakes import P, R

Model = dict[str, Any]


@pytest.fixture
async def ordergen(app: FastAPI, model: Model) -> AsyncIterator[Ordergen]:
    """Return the command; a model is stored and was edited."""
    async with serve(app) as url:
        ordergen = connect_ordergen(url)
        edited = await ordergen("models", "edit", model["model_id"], "--add-portfolio", R)
        assert edited.exit_code == 0, edited.output
        yield ordergen


async def test_versions_are_listed_and_one_is_shown(ordergen: Ordergen, model: Model) -> None:
    listed = await ordergen("models", "versions", model["model_id"])
    shown = await ordergen("models", "versions", model["model_id"], "1", "--json")

    assert f"portfolios added: 1 ({R})" in listed.stdout
    assert "first stored version" in listed.stdout
    assert json.loads(shown.stdout)["model"]["portfolios"][0] == P


async def test_changes_are_listed_and_chosen(ordergen: Ordergen, model: Model) -> None:
    listed = await ordergen("audit", "list", "--object", model["model_id"])
    chosen = await ordergen("audit", "list", "--action", "model.edit", "--json")

    assert listed.stdout.index("model.edit") < listed.stdout.index("model.create")
    (entry,) = json.loads(chosen.stdout)
    assert (entry["seq"], entry["object_id"]) == (2, model["model_id"])


async def test_a_whole_chain_is_verified_against_what_was_noted(ordergen: Ordergen) -> None:
    first = await ordergen("audit", "verify")
    noted = first.stdout.splitlines()[-1]
    again = await ordergen("audit", "verify", "--expect", noted, "--json")

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "2 entries: the chain is whole" in first.stdout
    found = json.loads(again.stdout)
    assert (found["entries"], found["faults"]) == (2, [])
    assert noted == f"{found['last']['seq']}:{found['last']['hash']}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"$set": {"principal": "bob"}}, "entry 1 ({}): edited"),
        (None, "entry 1: missing"),
    ],
)
async def test_a_broken_chain_is_refused_and_the_entry_is_named(
    ordergen: Ordergen, database: AsyncDatabase[Document], change: Document | None, said: str
) -> None:
    await ordergen("audit", "list")
    first = await database["audit"].find_one({"_id": 1})
    assert first is not None
    if change is None:
        await database["audit"].delete_one({"_id": 1})
    else:
        await database["audit"].update_one({"_id": 1}, change)

    done = await ordergen("audit", "verify")

    assert done.exit_code == 1
    assert done.stdout.startswith(said.format(first["entry_id"]))
    assert "the chain is broken" in done.stdout


@pytest.mark.parametrize("noted", ["2:" + "a" * 64, "9:" + "a" * 64])
async def test_a_chain_that_is_not_the_one_that_was_noted_is_refused(
    ordergen: Ordergen, noted: str
) -> None:
    done = await ordergen("audit", "verify", "--expect", noted)

    assert done.exit_code == 1
    assert done.stdout.startswith(f"entry {noted[0]}")


async def test_a_note_that_is_none_is_a_wrong_argument(ordergen: Ordergen) -> None:
    done = await ordergen("audit", "verify", "--expect", "here")

    assert done.exit_code == 2
    assert "SEQ:HASH" in done.output


async def test_the_log_is_exported_in_the_format_of_the_file(
    ordergen: Ordergen, tmp_path: Path
) -> None:
    to_stdout = await ordergen("audit", "export")
    file = tmp_path / "log.parquet"
    to_file = await ordergen("audit", "export", "-o", str(file), "--type", "model")

    assert (to_stdout.exit_code, to_file.exit_code) == (0, 0)
    assert to_stdout.stdout.splitlines()[0].startswith("seq,entry_id,at")
    table = parquet.read_table(file)
    assert table["action"].to_pylist() == ["model.create", "model.edit"]
