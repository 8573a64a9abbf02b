"""The table of attacks, compared with the tests that it names."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/security.md"
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROW = re.compile(r"^\| .* \|$", re.MULTILINE)


@pytest.mark.parametrize("reference", REFERENCE.findall(PAGE.read_text()), ids="::".join)
def test_every_test_that_the_table_names_exists(reference: tuple[str, str]) -> None:
    path, name = reference
    tree = ast.parse((ROOT / path).read_text())

    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in tree.body if isinstance(node, functions)}


def test_every_attack_is_tried_somewhere() -> None:
    _, _, attacks = PAGE.read_text().partition("## From the network")
    heads = ("| attack |", "|---")

    rows = [row for row in ROW.findall(attacks) if not row.startswith(heads)]
    assert len(rows) > 40
    assert [row for row in rows if not REFERENCE.search(row)] == []
