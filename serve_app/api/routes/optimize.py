"""Route that rebalances the portfolios of the request, without database and upstreams."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from starlette.responses import Response

from serve_app.api.access import UsesOptimize, authorize_unlimited
from serve_app.api.content_negotiation import choose_media_type
from serve_app.api.dependencies import (
    OptimizerPort,
    Ports,
    ServiceSettings,
    require_known_parameters,
)
from serve_app.api.exact_json import ExactRequest
from serve_app.api.media_types import CSV, FORM, JSON, PARQUET, XLSX
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.responses import Heading, answer_all, build_response
from serve_app.api.schemas.fields import PORTFOLIO, SECURITY
from serve_app.api.schemas.optimize import (
    BodyRefusedError,
    OptimizeBody,
    convert_model,
    convert_options,
)
from serve_app.api.schemas.rebalances import RebalanceAnswer
from serve_app.auth.permissions import Scope
from serve_app.ports.optimize import RawRequest, Upload
from serve_app.ports.optimizer import Optimizer
from serve_app.problems import catalogue
from serve_app.problems.errors import NotAcceptableError
from serve_app.settings import Settings
from serve_app.upstream.holdings.source import Balance

ANSWERS: Final = (JSON, CSV, XLSX, PARQUET)
REPORT_TABLES: Final = ("trades", "outcomes", "drift")
TEXT: Final = {"type": "string"}
BINARY: Final = {**TEXT, "format": "binary"}
TABLE: Final = (
    "portfolio,security,quantity,price,target,band\r\n"
    "U1234567,VTI,120,301.42,60%,5%\r\nU1234567,CASH,3250.75,,,\r\n"
)
TRADES: Final = (
    "portfolio,security,side,quantity,price,amount,weight_before,target,weight_after\r\n"
    f"{PORTFOLIO},{SECURITY},SELL,11,31.50,346.50,0.2743,0.25,0.2492\r\n"
)
UPLOAD_BODIES: Final[dict[str, Any]] = {
    FORM: {
        "schema": {
            "type": "object",
            "properties": {
                **dict.fromkeys(("holdings", "prices", "model", "file"), BINARY),
                "options": {
                    **TEXT,
                    "description": "options of all portfolios as JSON, of single ones as a table",
                },
            },
        },
        "example": {"file": "(a workbook)", "options": '{"cash_floor": "2%"}'},
    },
    CSV: {"schema": TEXT, "example": TABLE},
    XLSX: {"schema": BINARY},
    PARQUET: {"schema": BINARY},
}
TABLE_ANSWERS: Final[dict[str, Any]] = {
    CSV: {"schema": TEXT, "example": TRADES},
    XLSX: {"schema": BINARY},
    PARQUET: {"schema": BINARY},
}
MIN_LONG_BODY_BYTES: Final = 250_000  # bytes, read in about 10 ms


class BySize(APIRoute):
    """A route whose long bodies, tables and answers as tables another process handles."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def handle_by_size(request: Request) -> Response:
            exact = ExactRequest(request.scope, request.receive)
            # A body that is read elsewhere never reaches the dependencies, so they are called here.
            await authorize_unlimited(exact, SecurityScopes([Scope.OPTIMIZE_USE]))
            await require_known_parameters(exact)
            body = await exact.read()
            upload = _build_upload(exact, body)
            if upload is not None:
                return await build_response(await _find_optimizer(exact).optimize_upload(upload))
            if len(body) >= MIN_LONG_BODY_BYTES:
                return await _answer_elsewhere(exact)
            await exact.decode()
            return await handle(exact)

        return handle_by_size


async def _declare_parameters(
    table: Annotated[
        Literal["trades", "outcomes", "drift"],
        Query(description="the table of an answer as CSV or Parquet; a workbook has all three"),
    ] = "trades",
    positions: Annotated[
        bool,
        Query(
            description="whether elements in JSON have `positions` with prices and amounts, which "
            "are left out if they are more than 100,000"
        ),
    ] = False,
) -> tuple[str, bool]:
    """Declare the parameters for the document; _build_upload reads them."""
    return table, positions


router = APIRouter(prefix="/api/v1", tags=["rebalance"], route_class=BySize)


@router.post(
    "/optimize",
    response_model=list[RebalanceAnswer],
    dependencies=[Depends(_declare_parameters)],
    openapi_extra={"requestBody": {"content": UPLOAD_BODIES}},
    responses={
        200: {"description": "Outcomes in the form that Accept asks for", "content": TABLE_ANSWERS},
        **refuses(
            catalogue.BODY_TOO_LARGE,
            catalogue.INVALID_REQUEST,
            catalogue.OPTIONS_CONFLICT,
            catalogue.EMPTY_MODEL,
            catalogue.INFEASIBLE,
            catalogue.NO_SOLUTION_IN_TIME,
            catalogue.PRICES_MISSING,
            catalogue.REFUSED,
            catalogue.NONE_REBALANCED,
            catalogue.UNVERIFIED_PLAN,
            catalogue.OVERLOADED,
            catalogue.NOT_ACCEPTABLE,
            catalogue.TOO_MANY_ROWS,
        ),
    },
)
async def optimize(
    _: UsesOptimize,
    request: Request,
    body: OptimizeBody,
    optimizer: OptimizerPort,
    settings: ServiceSettings,
) -> Response:
    """Rebalance the portfolios of the request to the model of the request; nothing is stored.

    Returns one element per portfolio, in the order given; rebalance_id and model_id are null.
    Holdings, prices and model may be uploaded as CSV, XLSX or Parquet, and Accept may ask for
    tables.
    """
    rebalances = await optimizer.optimize(
        convert_model(body),
        build_balances(body),
        body.prices,
        convert_options(body),
    )
    heading = Heading(None, None, _format_today(settings))
    return await answer_all(request.url.path, heading, rebalances, {})


def build_balances(body: OptimizeBody) -> tuple[Balance, ...]:
    """Convert the portfolios to their balances, in order."""
    return tuple(
        Balance(portfolio.portfolio_id, portfolio.cash, portfolio.holdings)
        for portfolio in body.portfolios
    )


async def _answer_elsewhere(request: Request) -> Response:
    settings: Settings = request.app.state.settings
    raw_request = RawRequest(await request.body(), request.url.path, _format_today(settings))
    try:
        raw_response = await _find_optimizer(request).optimize_text(raw_request)
    except BodyRefusedError as error:
        # The framework's error is raised, because its handler then renders both kinds of bodies.
        raise RequestValidationError(error.errors) from error
    return await build_response(raw_response)


def _find_optimizer(request: Request) -> Optimizer:
    # The state has the ports, because dependencies are resolved only after the body is read.
    ports: Ports = request.app.state.ports
    return ports.optimizer


def _build_upload(request: Request, body: bytes) -> Upload | None:
    """Return the request if a worker process answers it; None for plain JSON on both sides."""
    content_type = request.headers.get("content-type", JSON)
    accept = ",".join(request.headers.getlist("accept"))
    has_json = content_type == JSON
    try:
        answer_type = choose_media_type(accept, ANSWERS)
    except NotAcceptableError:
        if not has_json:
            raise
        answer_type = JSON  # because a JSON body has a JSON answer whatever Accept says
    has_positions = _read_parameter(request, "positions", ("false", "true")) == "true"
    if has_json and answer_type == JSON and not has_positions:
        return None
    table = _read_parameter(request, "table", REPORT_TABLES)
    settings: Settings = request.app.state.settings
    path, day = request.url.path, _format_today(settings)
    return Upload(body, content_type, answer_type, table, path, day, has_positions)


def _read_parameter(request: Request, name: str, choices: Sequence[str]) -> str:
    """Return a parameter of the query, by default the first choice."""
    value = request.query_params.get(name, choices[0])
    if value not in choices:
        rule = f"one of {', '.join(choices)}"
        raise RequestValidationError([{"type": "enum", "loc": ("query", name), "msg": rule}])
    return value


def _format_today(settings: Settings) -> str:
    return datetime.now(settings.time_zone).date().isoformat()
