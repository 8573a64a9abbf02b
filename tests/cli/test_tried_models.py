"""Commands that try a change of a model on its followers, and that delete a model."""

import json
from typing import Any

import pytest

from tests.support.command_server import Ordergen
from tests.support.fakes import A, Q


@pytest.fixture
def model_id(model: dict[str, Any]) -> str:
    return model["model_id"]


async def test_a_change_is_tried_on_followers_and_stores_nothing(
    ordergen: Ordergen, model_id: str
) -> None:
    before = await ordergen("models", model_id, "--json")

    shown = await ordergen("models", "try", model_id, "--set", f"{A}=40%", "--sample", "1")
    data = await ordergen("models", "try", model_id, "--portfolio", Q, "--json")
    wrong = await ordergen("models", "try", model_id, "--remove", "nothing")

    assert shown.exit_code == 0, shown.output
    assert "1 of 2 followers, out of band: " in shown.stdout
    assert "969.75" in shown.stdout
    assert [outcome["portfolio_id"] for outcome in json.loads(data.stdout)["outcomes"]] == [Q]
    assert (wrong.exit_code, "the model does not have it" in wrong.stderr) == (2, True)
    assert (await ordergen("models", model_id, "--json")).stdout == before.stdout


async def test_a_model_is_deleted_at_its_version(ordergen: Ordergen, model_id: str) -> None:
    stale = await ordergen("models", "delete", model_id, "--version", "99")
    deleted = await ordergen("models", "delete", model_id)
    gone = await ordergen("models", model_id)

    assert (stale.exit_code, deleted.exit_code, gone.exit_code) == (1, 0, 1)
    assert deleted.stderr == f"model {model_id} is deleted\n"
