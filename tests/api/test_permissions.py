"""Every operation of the OpenAPI document with every role, compared with the table of the docs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from serve_app.api.reference import openapi
from serve_app.auth.permissions import ROLES, Role, Scope
from serve_app.settings import Settings, read_settings
from tests.support.every_route import Operation, list_document_operations
from tests.support.fakes import P, Stored
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo

PAGE: Final = Path(__file__).parents[2] / "docs/reference/permissions.md"
DOCUMENT: Final = openapi()
OPERATIONS: Final = {
    f"{each.method} {each.template}": each for each in list_document_operations(DOCUMENT)
}
LIMITS: Final = ("models", "portfolios")
OPEN: Final = "open"


@dataclass(frozen=True)
class Row:
    """A row of the table: the scope of an operation, and who may use it."""

    scope: str
    roles: frozenset[str]
    limits: frozenset[str]


def rows() -> Mapping[str, Row]:
    text = PAGE.read_text().partition("| operation | scope |")[2].partition("\n\n")[0]
    head, _, *lines = [
        [cell.strip() for cell in line.split("|")][:-1] for line in text.splitlines()
    ]
    found: dict[str, Row] = {}
    for _, operation, scope, *marks in lines:
        marked = frozenset(name for name, mark in zip(head, marks, strict=True) if mark)
        roles = marked & {role.value for role in Role}
        found[operation] = Row(scope.strip("`"), roles, marked & {*LIMITS})
    return found


TABLE: Final = rows()


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


async def call(client: httpx.AsyncClient, operation: Operation) -> httpx.Response:
    query = {
        each["name"]: [P] if each["schema"].get("type") == "array" else "1"
        for each in operation.parameters
        if each["in"] == "query" and each.get("required")
    }
    return await client.request(
        operation.method, operation.path, json=operation.body, params=query or None
    )


def test_the_table_has_every_operation_and_the_scope_that_the_document_names() -> None:
    scopes = {
        f"{method.upper()} {path}": operation.get("security", [{"bearer": [OPEN]}])[0]["bearer"]
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }

    assert {name: [row.scope] for name, row in TABLE.items()} == scopes
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_a_role_has_in_the_table_what_its_scopes_allow() -> None:
    for name, row in TABLE.items():
        allowed = {
            role.value for role in Role if row.scope == OPEN or Scope(row.scope) in ROLES[role]
        }
        assert row.roles == allowed, name


def test_the_page_lists_the_scopes_of_every_role() -> None:
    text = PAGE.read_text()
    for role, scopes in ROLES.items():
        (line,) = re.findall(rf"^\| {role.value} \| (.*) \| .* \|$", text, re.MULTILINE)
        assert set(re.findall(r"`([a-z:]+)`", line)) == {*scopes} or "every scope" in line, role


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_use_the_operations_of_the_table_and_no_other(
    app: FastAPI, stored: Stored, role: Role
) -> None:
    async with client_with(app, await add_key(stored, role)) as client:
        for name, operation in OPERATIONS.items():
            answer = await call(client, operation)
            refused = answer.status_code == 403
            assert refused != (role.value in TABLE[name].roles), (name, answer.text)
            assert answer.status_code != 401, name
            if refused:
                assert answer.json()["type"] == "/problems/scope-missing"
                assert answer.json()["scopes"] == [TABLE[name].scope]
                assert f'scope="{TABLE[name].scope}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_without_credentials_only_what_is_open_is_answered(app: FastAPI, name: str) -> None:
    async with client_with(app) as client:
        answer = await call(client, OPERATIONS[name])

    assert (answer.status_code == 401) == (TABLE[name].scope != OPEN), answer.text
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="order-generation"'
        assert answer.json()["type"] == "/problems/unauthenticated"


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_limited_key_may_use_the_operations_that_the_table_says(
    app: FastAPI, stored: Stored, limit: str
) -> None:
    ids: dict[str, Any] = {"models": ("0" * 24,), "portfolios": (P,)}
    key = await add_key(stored, Role.ADMIN, **{limit: ids[limit]})
    within = {
        "begin_run": {limit: [*ids[limit]]},
        "list_rebalances_of_portfolios": {"portfolios": [P]},
    }
    within["rebalance_portfolio"] = {"model_id": "0" * 24}
    async with client_with(app, key) as client:
        for name, operation in OPERATIONS.items():
            body = within.get(operation.name, operation.body)
            path = operation.path
            if operation.name == "measure_portfolio":
                path = f"{path}?model_id={'0' * 24}"
            answer = await call(client, operation.at(path, body))
            refused = answer.status_code == 403
            assert refused != (limit in TABLE[name].limits), (name, answer.text)
            if refused:
                assert answer.json()["type"] == "/problems/outside-limits"
                assert answer.json()["limit"] == limit
