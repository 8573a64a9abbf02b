"""Requests made from the OpenAPI document itself: every answer is one that it promises."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serve_app.api.application import api_app
from serve_app.api.collaborators import Collaborators
from serve_app.settings import settings_from
from tests.api.parts import FakeOptimizer, no_metrics, posted

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def document() -> dict[str, Any]:
    """The document needs no collaborator."""
    nobody: Any = None
    return api_app(settings_from(), Collaborators(nobody, nobody, {}, no_metrics)).openapi()


OPERATIONS = [
    operation.ok() for operation in schemathesis.openapi.from_dict(document()).get_all_operations()
]


async def sent(client: httpx.AsyncClient, case: Any) -> httpx.Response:
    request = case.as_transport_kwargs(base_url="http://test")
    body = {"content" if name == "data" else name: request.get(name) for name in ("data", "json")}
    return await client.request(
        request["method"],
        request["url"],
        params=request.get("params"),
        headers=request["headers"],
        **{name: value for name, value in body.items() if value is not None},
    )


@pytest.fixture
async def stocked(client: httpx.AsyncClient, optimizer: FakeOptimizer) -> dict[str, str]:
    """Ids of things that are there, so that not every answer is a 404."""
    model = (await client.post("/api/v1/models", json=posted())).json()
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    rebalance = answer.json()[0]
    return {name: rebalance[name] for name in ("model_id", "rebalance_id", "portfolio_id")}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
async def test_every_answer_is_one_that_the_document_promises(
    client: httpx.AsyncClient, stocked: dict[str, str], operation: Any, data: st.DataObject
) -> None:
    case = data.draw(operation.as_strategy())
    if data.draw(st.booleans()):
        case.path_parameters |= {name: stocked[name] for name in case.path_parameters or {}}

    response = await sent(client, case)

    case.validate_response(response, checks=CHECKS)
