"""Completions as a shell asks for them."""

import asyncio
import json

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from serve_app.cli import cli, completions
from tests.support.command_server import connect_ordergen, serve
from tests.support.fakes import make_model_body

NOWHERE = "http://127.0.0.1:9"


def complete(words: str, url: str = NOWHERE) -> str:
    """Return what the command offers to zsh for the last of these words."""
    asked = {
        "_ORDERGEN_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": words,
        "ORDERGEN_URL": url,
    }
    return CliRunner().invoke(cli, [], prog_name="ordergen", env=asked).stdout


def test_commands_and_options_are_completed() -> None:
    assert '"models"' in complete("ordergen mod")
    assert all(f'"{word}"' in complete("ordergen models ") for word in ("show", "create", "edit"))
    assert '"--wide"' in complete("ordergen orders --wi")


async def test_ids_are_completed_with_names_beside_them(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "WITHIN_S", 20.0)  # because the machine may be busy
    async with serve(app) as url:
        ordergen = connect_ordergen(url)
        made = await ordergen(
            "models", "create", "-", "--json", stdin=json.dumps(make_model_body("Income"))
        )
        model_id = json.loads(made.stdout)["model_id"]
        rebalanced = await ordergen("rebalance", "--model", model_id, "--json")
        rebalance_id = json.loads(rebalanced.stdout)[0]["rebalance_id"]
        models = await asyncio.to_thread(complete, f"ordergen models edit {model_id[:6]}", url)
        rebalances = await asyncio.to_thread(complete, "ordergen orders ", url)
        others = await asyncio.to_thread(complete, "ordergen models edit x", url)

    assert model_id in models
    assert "Income" in models
    assert rebalance_id in rebalances
    assert model_id not in others


def test_no_id_is_offered_without_the_service() -> None:
    assert complete("ordergen models edit ") == "_files\n"  # which leaves it to the shell


def test_completions_can_be_installed() -> None:
    shown = CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "200"})

    assert "--install-completion" in shown.stdout
    assert "--show-completion" in shown.stdout
