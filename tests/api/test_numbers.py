"""Numbers of bodies, queries and headers: ASCII digits, sign, point and exponent alone."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, get_args

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from serve_app.api.schemas.models import ModelPost, ModelPut, PortfoliosBody, PositionBody
from serve_app.api.schemas.optimize import OptimizeBody
from serve_app.api.schemas.options import PortfolioRebalanceOptionsBody
from serve_app.api.schemas.runs import RunRequest
from serve_app.api.schemas.stored_rebalances import PortfoliosQuery
from serve_app.settings import Settings, read_settings
from tests.support.every_route import (
    JSON,
    Operation,
    list_operations,
)
from tests.support.fakes import A
from tests.support.in_process import Upstreams

BODIES = (
    ModelPost,
    ModelPut,
    PositionBody,
    PortfoliosBody,
    PortfoliosQuery,
    OptimizeBody,
    PortfolioRebalanceOptionsBody,
    RunRequest,
)


NO_NUMBERS = ("1_000", "0_1", "\uff11", "\u0663", "0x1", " 1", "1 ", "NaN", "Infinity", "-inf", "")


@pytest.fixture
def settings() -> Settings:
    return read_settings({"optimization_timeout": 0.2})


@pytest.fixture
def upstreams() -> Upstreams:
    """Upstreams for the real optimizer, because that reads long bodies, too."""
    return Upstreams()


def shapes(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a body and every body inside it."""
    yield model
    for field in model.model_fields.values():
        for each in bodies_inside(field.annotation):
            yield from shapes(each)


def bodies_inside(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from bodies_inside(each)


def number_fields() -> Iterator[tuple[str, TypeAdapter[Any]]]:
    """Yield every field that takes a number, alone or in a list or mapping of numbers."""
    seen: set[type[BaseModel]] = set()
    for body in BODIES:
        seen |= {*shapes(body)}
    for shape in sorted(seen, key=lambda each: each.__name__):
        for name, field in shape.model_fields.items():
            adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])
            values = [form for number in (0, 1) for form in (number, [number], {A: number})]
            if field.annotation is not bool and any(takes(adapter, value) for value in values):
                yield f"{shape.__name__}.{name}", adapter


def takes(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "adapter", [pytest.param(adapter, id=name) for name, adapter in number_fields()]
)
def test_a_number_of_a_body_has_ascii_digits_sign_point_and_exponent_alone(
    adapter: TypeAdapter[Any],
) -> None:
    for text in (*NO_NUMBERS, True, False):
        for value in (text, [text], {A: text}):
            assert not takes(adapter, value), value


def test_every_body_has_fields_of_numbers_that_are_looked_at() -> None:
    names = {name for name, _ in number_fields()}

    assert {"PositionBody.target", "ModelPut.version", "OptimizeBody.prices"} <= names
    assert {"GivenPortfolio.holdings", "PortfolioRebalanceOptionsBody.lots"} <= names
    assert len(names) > 20


@pytest.mark.parametrize("operation", list_operations(), ids=str)
async def test_a_number_of_a_query_has_ascii_digits_alone(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    body = json.dumps(operation.body).encode() if operation.body is not None else b""
    for name, schema in operation.queries().items():
        if schema.get("type") != "integer":
            continue
        for text in NO_NUMBERS:
            answer = await client.request(
                operation.method, operation.path, params={name: text}, content=body, headers=JSON
            )
            assert answer.status_code == 422, (name, text)
            assert answer.json()["errors"][0]["parameter"] == name


@pytest.mark.parametrize("text", ["1_0", "\u0661", "nan", "inf", " ", "0x1", ""])
async def test_a_deadline_has_ascii_digits_alone(client: httpx.AsyncClient, text: str) -> None:
    headers = {"x-request-timeout": text.encode()}

    answer = await client.get("/health/live", headers=headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "X-Request-Timeout"
