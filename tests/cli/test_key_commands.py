"""Commands for API keys: over HTTP, and in the database for the first key."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from typer.main import get_command

from serve_app.auth.api_keys import parse_key
from serve_app.auth.permissions import Role
from serve_app.cli import cli
from serve_app.settings import Settings, read_settings
from storage.mongo.connection import Document
from tests.support.command_server import Ordergen
from tests.support.fakes import Stored
from tests.support.keys import add_key

pytestmark = pytest.mark.mongo


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


@pytest.fixture(autouse=True)
def own_database(
    monkeypatch: pytest.MonkeyPatch, mongodb_uri: str, database: AsyncDatabase[Document]
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongodb_uri)
    monkeypatch.setenv("DATABASE_NAME", database.name)


async def test_the_first_key_comes_from_the_database_and_makes_the_others(
    ordergen: Ordergen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refused = await ordergen("models", "show")
    first = await ordergen("keys", "create", "ada", "--role", "admin", "--database")
    file = tmp_path / "key"
    file.write_text(first.stdout)
    monkeypatch.setenv("ORDERGEN_TOKEN_FILE", str(file))
    second = await ordergen("keys", "create", "nightly", "--role", "trader", "--json")
    monkeypatch.setenv("ORDERGEN_TOKEN", json.loads(second.stdout)["key"])
    shown = await ordergen("models", "show")
    forbidden = await ordergen("keys", "list")
    listed = await ordergen("keys", "list", "--token", first.stdout.strip())

    assert refused.exit_code == 1
    assert "/problems/unauthenticated" in refused.stderr
    assert first.exit_code == second.exit_code == shown.exit_code == 0, first.output
    assert parse_key(first.stdout.strip()) is not None
    assert "not shown again" in first.stderr
    assert forbidden.exit_code == 1
    assert "keys:manage" in forbidden.stderr
    assert [name in listed.stdout for name in ("ada", "nightly", "trader")] == [True] * 3
    assert first.stdout.strip().rpartition("_")[2] not in listed.output


@pytest.mark.parametrize("where", [(), ("--database",)], ids=["service", "database"])
async def test_a_key_is_rotated_and_revoked(
    ordergen: Ordergen, stored: Stored, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ORDERGEN_TOKEN", await add_key(stored, Role.ADMIN))
    made = await ordergen("keys", "create", "desk", "--role", "viewer", "--days", "0", *where)
    key = parse_key(made.stdout.strip())
    assert key is not None

    rotated = await ordergen("keys", "rotate", key.key_id, "--overlap", "0", *where)
    revoked = await ordergen("keys", "revoke", key.key_id, *where)
    again = await ordergen("keys", "revoke", key.key_id, *where)
    listed = json.loads((await ordergen("keys", "list", "--json", *where)).stdout)

    assert rotated.stdout.startswith(f"ordergen_{key.key_id}_")
    assert rotated.stdout != made.stdout
    assert f"key {key.key_id} of desk is revoked" in revoked.stderr
    assert (again.exit_code, "there is no API key" in again.stderr) == (1, True)
    found = next(entry for entry in listed if entry["key_id"] == key.key_id)
    assert (found["revoked_at"] is not None, found["expires_at"]) == (True, None)


async def test_limits_of_a_key_are_stored_with_it(ordergen: Ordergen, stored: Stored) -> None:
    limits = ("--model", "6" * 24, "--portfolio", "P" * 24)
    made = await ordergen("keys", "create", "desk", "--role", "viewer", *limits, "--database")
    key = parse_key(made.stdout.strip())
    assert key is not None
    found = await stored.resources.api_keys.find(key.key_id)

    assert found is not None
    assert (found.models, found.portfolios) == (("6" * 24,), ("P" * 24,))


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("desk",), "at least one role or scope"),
        (("two words", "--role", "viewer"), "letters, digits"),
        (("desk", "--role", "viewer", "--model", "x"), "24 hexadecimal digits"),
        (("desk", "--role", "viewer", "--days", "9999"), "1 to 3650"),
        (("desk", "--role", "king"), "king"),
    ],
)
async def test_a_wrong_key_is_refused_in_words(
    ordergen: Ordergen, arguments: tuple[str, ...], fault: str
) -> None:
    result = await ordergen("keys", "create", *arguments, "--database")

    assert result.exit_code != 0
    assert fault in result.stderr


async def test_a_missing_token_file_is_named(
    ordergen: Ordergen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORDERGEN_TOKEN_FILE", str(tmp_path / "gone"))

    result = await ordergen("models", "show")

    assert result.exit_code == 2
    assert "gone" in result.stderr


def list_commands(group: Any, path: str = "ordergen") -> Iterator[tuple[str, set[str]]]:
    """Yield every command with the names of its options."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from list_commands(command, f"{path} {name}")
        else:
            yield (
                f"{path} {name}",
                {option for parameter in command.params for option in parameter.opts},
            )


def test_every_command_that_calls_a_service_takes_a_token() -> None:
    every = list_commands(get_command(cli))
    calling = {name: options for name, options in every if "--url" in options}

    assert len(calling) > 20
    without = [name for name, options in calling.items() if "--token" not in options]
    # A login gets the token; the doctor asks for the health alone, which is open to everybody.
    assert without == ["ordergen login", "ordergen logout", "ordergen doctor"]
