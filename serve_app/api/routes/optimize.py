"""Route that rebalances the portfolios of the request, without database and upstreams."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from serve_app.api.dependencies import Configured, Ports, Rebalancer, require_known_parameters
from serve_app.api.exact_json import ExactRequest
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.responses import Heading, answer_of_all, response_from
from serve_app.api.schemas.optimize import (
    BodyRefusedError,
    OptimizeBody,
    convert_model,
    convert_options,
)
from serve_app.api.schemas.rebalances import RebalanceAnswer
from serve_app.ports.optimize import RawRequest
from serve_app.problems import catalogue
from serve_app.settings import Settings
from serve_app.upstream.holdings.source import Balance

MIN_LONG_BODY_BYTES: Final = 250_000  # bytes, read in about 10 ms


class BySize(APIRoute):
    """A route whose long bodies are processed in another process."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def handle_by_size(request: Request) -> Response:
            exact = ExactRequest(request.scope, request.receive)
            # Here, because a body that is read elsewhere never reaches the dependencies.
            await require_known_parameters(exact)
            if len(await exact.read()) >= MIN_LONG_BODY_BYTES:
                return await _answer_elsewhere(exact)
            await exact.decode()
            return await handle(exact)

        return handle_by_size


router = APIRouter(prefix="/api/v1", tags=["rebalance"], route_class=BySize)


@router.post(
    "/optimize",
    response_model=list[RebalanceAnswer],
    responses=refuses(
        catalogue.TOO_LARGE,
        catalogue.INVALID,
        catalogue.CONFLICT,
        catalogue.EMPTY_MODEL,
        catalogue.INFEASIBLE,
        catalogue.OUT_OF_TIME,
        catalogue.NO_PRICES,
        catalogue.REFUSED,
        catalogue.NONE_REBALANCED,
        catalogue.UNVERIFIED,
        catalogue.OVERLOADED,
    ),
)
async def optimize(
    request: Request, body: OptimizeBody, optimizer: Rebalancer, settings: Configured
) -> Response:
    """Rebalance the portfolios of the request to the model of the request; nothing is stored.

    Returns one element per portfolio, in the order given; rebalance_id and model_id are null.
    """
    rebalances = await optimizer.optimize(
        convert_model(body),
        balances_of(body),
        body.prices,
        convert_options(body),
    )
    heading = Heading(None, None, _today(settings))
    return await answer_of_all(request.url.path, heading, rebalances, {})


def balances_of(body: OptimizeBody) -> tuple[Balance, ...]:
    """Convert the portfolios to their balances, in order."""
    return tuple(Balance(each.portfolio_id, each.cash, each.holdings) for each in body.portfolios)


async def _answer_elsewhere(request: Request) -> Response:
    ports: Ports = request.app.state.ports
    settings: Settings = request.app.state.settings
    given = RawRequest(await request.body(), request.url.path, _today(settings))
    try:
        written = await ports.optimizer.optimize_text(given)
    except BodyRefusedError as error:
        raise RequestValidationError(error.errors) from error
    return await response_from(written)


def _today(settings: Settings) -> str:
    return datetime.now(settings.zone).date().isoformat()
