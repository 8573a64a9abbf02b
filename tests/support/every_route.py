"""Every operation of the OpenAPI document, with arguments for a call."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.settings import read_settings
from tests.support.fakes import A, P, make_model_body, make_position, render_no_metrics

NOBODY: Any = None
DOCUMENT: dict[str, Any] = api_app(
    read_settings(), Ports(NOBODY, NOBODY, {}, render_no_metrics)
).openapi()
JSON = {"content-type": "application/json"}
IDS = {"portfolio_id": P, "key_id": "0" * 16}
OPTIONS: dict[str, Any] = {
    "cash_floor": "2%",
    "lots": {A: "0.5"},
    "groups": [{"name": "g", "security_ids": [A], "low": 0, "high": "0.9"}],
}
# Bodies with an object in every place that may hold an object.
RICH: dict[str, Any] = {
    "add_model": make_model_body(rebalance_options=OPTIONS),
    "replace_model": make_model_body(rebalance_options=OPTIONS, version=1),
    "rebalance_model": OPTIONS,
    "rebalance_portfolio": OPTIONS,
    "begin_run": {"models": ["0" * 24], "options": OPTIONS, "holdings": {"source": "summaries"}},
    "optimize": {
        "model": {"name": "Given", "positions": [make_position()]},
        "prices": {A: "31.50"},
        "portfolios": [{"portfolio_id": P, "cash": "1000", "holdings": {A: 1}}],
        "options": OPTIONS,
    },
}


@dataclass(frozen=True)
class Operation:
    """A method of a path; ``body`` is an example of its body, None if it has no body."""

    name: str
    method: str
    path: str
    parameters: tuple[dict[str, Any], ...]
    body: Any
    template: str

    def __str__(self) -> str:
        return self.name

    def at(self, path: str, body: Any) -> "Operation":
        """Return the operation with another path and body."""
        return replace(self, path=path, body=body)

    def queries(self) -> dict[str, dict[str, Any]]:
        return {
            parameter["name"]: parameter["schema"]
            for parameter in self.parameters
            if parameter["in"] == "query"
        }


def list_operations() -> list[Operation]:
    return list_document_operations(DOCUMENT)


def list_document_operations(document: dict[str, Any]) -> list[Operation]:
    return [*_operations(document)]


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for template, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = tuple(operation.get("parameters", ()))
            path = template
            for parameter in parameters:
                if parameter["in"] == "path":
                    identifier = IDS.get(parameter["name"], "0" * 24)
                    path = path.replace(f"{{{parameter['name']}}}", identifier)
            name = operation["operationId"]
            body = RICH.get(name, _example(operation))
            yield Operation(name, method.upper(), path, parameters, body, template)


def _example(operation: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return copy.deepcopy(content.get("example"))


WITH_BODY = [operation for operation in list_operations() if operation.body is not None]


def list_object_paths(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of all objects that have a member."""
    if isinstance(value, dict):
        if value:
            yield path
        for name, inner in value.items():
            yield from list_object_paths(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from list_object_paths(inner, (*path, index))


def update_at(value: Any, path: tuple[str | int, ...], member: dict[str, Any]) -> Any:
    """Return a copy with another member in the object at this path."""
    changed = copy.deepcopy(value)
    inner = changed
    for step in path:
        inner = inner[step]
    inner.update(member)
    return changed


def repeat_member(value: Any, path: tuple[str | int, ...]) -> tuple[bytes, str]:
    """Return JSON text that repeats the first member of the object at this path, and a pointer."""
    changed = copy.deepcopy(value)
    inner = changed
    for step in path:
        inner = inner[step]
    name, first = next(iter(inner.items()))
    inner["twice"] = "HERE"
    again = f"{json.dumps(name)}: {json.dumps(first)}"
    text = json.dumps(changed).replace('"twice": "HERE"', again)
    return text.encode(), "".join(f"/{step}" for step in (*path, name))
