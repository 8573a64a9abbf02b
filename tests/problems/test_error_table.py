"""Error table: whole answers and single portfolios agree, and the examples are real answers."""

import logging
import pickle
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.engine import rebalance_all
from optimization.errors import (
    ColumnsError,
    EditError,
    FrameError,
    OptimizationError,
    RuleError,
    SolverInterruptedError,
)
from serve_app.api.openapi.examples import OF_PORTFOLIOS, OF_REQUESTS, build_example
from serve_app.api.problem_responses import answer_error
from serve_app.api.schemas.fields import PORTFOLIO, SECURITY
from serve_app.ports.errors import PortError
from serve_app.problems import catalogue
from serve_app.problems.catalogue import INFEASIBLE, INTERNAL_ERROR, KINDS, REFUSED
from serve_app.problems.error_table import ERROR_TABLE, build_problem, build_refusal, find_kind
from serve_app.upstream.errors import OutcomeUnknownError, UpstreamError
from storage.errors import EmbeddedServerError, LeaseLostError, StorageError
from tests.support.fakes import make_model_body, make_position

OWN = {"instance", "correlation_id"}
# Without a row, because they are caught where they are raised, or raised before the first answer.
NEVER_ANSWERED = (
    ColumnsError,
    FrameError,
    SolverInterruptedError,
    OutcomeUnknownError,
    LeaseLostError,
    EmbeddedServerError,
)


def classes_of(base: type[Exception]) -> Iterator[type[Exception]]:
    yield base
    for subclass in base.__subclasses__():
        yield from classes_of(subclass)


def errors() -> list[Exception]:
    return [error for _, error in OF_REQUESTS]


@pytest.mark.parametrize(
    "base", [OptimizationError, StorageError, UpstreamError, EditError, PortError]
)
def test_every_error_that_can_reach_an_answer_has_its_kind(base: type[Exception]) -> None:
    leaves = [error for error in classes_of(base) if not error.__subclasses__()]

    for error in leaves:
        mapped = any(ancestor in ERROR_TABLE for ancestor in error.__mro__)
        assert mapped != issubclass(error, NEVER_ANSWERED), error


def test_a_problem_has_the_name_of_its_code() -> None:
    codes = {name: kind.code for name, kind in vars(catalogue).items() if kind in KINDS.values()}

    assert len(codes) == len(KINDS)
    assert codes == {code.upper().replace("-", "_"): code for code in KINDS}


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_problem_for_a_whole_answer_and_for_a_single_portfolio(
    error: Exception,
) -> None:
    body = orjson.loads(answer_error(error, "/here").body)
    single = build_problem(build_refusal(error))

    assert single is not None
    if isinstance(error, RuleError):  # of a portfolio's data, which no pointer into a body names
        assert (single["type"], "errors" in single) == (REFUSED.uri, False)
    else:
        assert single == {name: value for name, value in body.items() if name not in OWN}


def test_an_error_that_nobody_foresees_shows_nothing_wherever_it_appears(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = ZeroDivisionError("the secret")

    with caplog.at_level(logging.CRITICAL):
        whole = answer_error(error, "/here")
    single = build_refusal(error)

    assert find_kind(error) is INTERNAL_ERROR
    assert single.code == INTERNAL_ERROR.code
    assert b"secret" not in whole.body
    assert "secret" not in single.detail


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_every_error_survives_pickling(error: Exception) -> None:
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("slug", KINDS)
def test_the_example_of_a_kind_is_of_that_kind(slug: str) -> None:
    example = build_example(KINDS[slug])

    assert (example["type"], example["status"]) == (KINDS[slug].uri, KINDS[slug].status)
    assert example["detail"]


async def test_examples_of_what_the_framework_refuses_are_what_it_answers(
    client: httpx.AsyncClient,
) -> None:
    json = {"content-type": "application/json"}
    wrong = make_model_body(positions=[make_position(target="0.007")])
    answers = [
        await client.get("/api/v1/model/zz"),
        await client.get("/api/v1/modells"),
        await client.patch("/api/v1/models"),
        await client.post("/api/v1/models", content=b"{", headers=json),
        await client.post("/api/v1/models", content=b" " * 4_000_001, headers=json),
        await client.post("/api/v1/models", json=wrong),
    ]

    for answer in answers:
        body: dict[str, Any] = answer.json()
        example = build_example(KINDS[body["type"].removeprefix("/problems/")])
        assert {**body, "correlation_id": example["correlation_id"]} == example


def test_the_example_of_an_infeasible_portfolio_is_what_the_engine_says_of_it() -> None:
    band = DriftBand(Decimal("0.005"), Decimal("0.005"))
    model = Model("Growth", (Target(SECURITY, Decimal("0.055"), band),), (PORTFOLIO,))
    prices = {SECURITY: Decimal("812.40")}
    portfolio = Portfolio(PORTFOLIO, Decimal("20000.00"), {}, prices)

    (outcome,) = rebalance_all(price_targets(model, prices), [portfolio], RebalanceOptions())

    assert isinstance(outcome, PortfolioOutcome)
    assert outcome == OF_PORTFOLIOS[0]
    assert outcome.refusal is not None
    assert outcome.refusal.code == INFEASIBLE.code


@pytest.mark.parametrize(("path", "error"), OF_REQUESTS, ids=lambda error: type(error).__name__)
def test_an_answer_says_when_to_ask_again_if_that_may_help_and_only_then(
    path: str, error: Exception
) -> None:
    answer = answer_error(error, path)

    assert ("retry-after" in answer.headers) == find_kind(error).is_transient
    assert int(answer.headers.get("retry-after", "1")) >= 1


def test_every_unavailable_part_may_be_back_a_little_later() -> None:
    assert all(kind.is_transient for kind in KINDS.values() if kind.status == 503)
