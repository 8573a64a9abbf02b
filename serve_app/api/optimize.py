"""The route that rebalances what is given: no database, no upstream."""

from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from serve_app.api import problems
from serve_app.api.answers import Heading, answer_of_all
from serve_app.api.collaborators import Configured, Rebalancer
from serve_app.api.documentation import refuses
from serve_app.api.exact import ExactRoute
from serve_app.correlation import correlation_id
from serve_app.upstream.holdings import Balance
from serve_app.wire.optimize import GivenPortfolio, OptimizeBody, given_model, given_options
from serve_app.wire.rebalancing import RebalanceAnswer

router = APIRouter(prefix="/api/v1", tags=["rebalance"], route_class=ExactRoute)


@router.post(
    "/optimize",
    response_model=list[RebalanceAnswer],
    responses=refuses(
        problems.TOO_LARGE,
        problems.INVALID,
        problems.CONFLICT,
        problems.INFEASIBLE,
        problems.OUT_OF_TIME,
        problems.NO_PRICES,
        problems.REFUSED,
        problems.NONE_REBALANCED,
        problems.UNVERIFIED,
        problems.OVERLOADED,
    ),
)
async def optimize(
    request: Request, body: OptimizeBody, optimizer: Rebalancer, settings: Configured
) -> Response:
    """Rebalance portfolios that are given whole to a model that is given; nothing is stored.

    One element for each portfolio, in the order given. The ids of a rebalance and a model are null.
    """
    rebalances = await optimizer.optimize(
        given_model(body),
        tuple(_balance(portfolio) for portfolio in body.portfolios),
        body.prices,
        given_options(body),
        correlation_id.get(),
    )
    heading = Heading(None, None, datetime.now(settings.zone).date().isoformat())
    return await answer_of_all(request.url.path, heading, rebalances, {})


def _balance(body: GivenPortfolio) -> Balance:
    return Balance(body.portfolio_id, body.cash, body.holdings)
