"""Commands of pre-trade rules, from JSON files."""

import json
from pathlib import Path
from typing import Any

import pytest

from serve_app.client import AsyncClient
from tests.support.command_server import Ordergen
from tests.support.fakes import A

pytestmark = pytest.mark.mongo

RULE: dict[str, Any] = {
    "name": "a tenth of A",
    "kind": "WEIGHT_MOST",
    "severity": "BLOCK",
    "security_ids": [A],
    "part": "0.1",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rule.json"
    path.write_text(json.dumps(RULE))
    return path


async def test_a_rule_is_created_listed_replaced_and_deleted(
    ordergen: Ordergen, file: Path
) -> None:
    made = await ordergen("rules", "create", str(file), "--json")
    (rule,) = json.loads(made.stdout)
    listed = await ordergen("rules", "list")
    text = json.dumps({**RULE, "part": "0.2", "severity": "WARN"})
    replaced = await ordergen("rules", "replace", rule["rule_id"], "-", stdin=text)
    stale = await ordergen("rules", "delete", rule["rule_id"], "--version", "1")
    deleted = await ordergen("rules", "delete", rule["rule_id"])
    gone = await ordergen("rules", "show", rule["rule_id"])

    assert all(text in listed.stdout for text in ("a tenth of A", "10%", "BLOCK", "all"))
    assert all(text in replaced.stdout for text in ("20%", "WARN"))
    assert (stale.exit_code, "precondition-failed" in stale.stderr) == (1, True)
    assert (deleted.exit_code, gone.exit_code) == (0, 1)


@pytest.mark.parametrize("text", ["[]", "{", None])
async def test_what_is_no_rule_ends_with_2(
    ordergen: Ordergen, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "rule.json"
    if text is not None:
        path.write_text(text)

    assert (await ordergen("rules", "create", str(path))).exit_code == 2


async def test_the_client_keeps_rules_as_the_commands_do(url: str) -> None:
    async with AsyncClient(url) as client:
        made = await client.add_rule(RULE)
        replaced = await client.replace_rule(made.rule_id, {**RULE, "part": "0.25"}, made.version)
        listed = [rule async for rule in client.list_rules()]

        assert listed == [replaced] == [await client.read_rule(made.rule_id)]
        assert f"{replaced.part}" == "0.25"
        await client.delete_rule(made.rule_id, replaced.version)
        assert [rule async for rule in client.list_rules()] == []
