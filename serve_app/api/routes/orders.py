"""Routes that hand the orders of a rebalance over to the order service, and list them."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from serve_app.api.access import ReadsOrders, SendsOrders
from serve_app.api.dependencies import RebalanceId, StorePort
from serve_app.api.exact_json import ExactRoute
from serve_app.api.idempotency import Idempotent
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, page_headers
from serve_app.api.responses import json_response
from serve_app.api.routes.stored_rebalances import WRONG_RUN
from serve_app.api.schemas.audit import Moment
from serve_app.api.schemas.fields import WHOLE
from serve_app.api.schemas.orders import (
    HandOverAnswer,
    HandOverBody,
    OrderOfRebalance,
    hand_over_json,
    order_json,
)
from serve_app.problems import catalogue
from storage.orders.order import OrderState
from storage.orders.submission_store import OrderSubmission, SubmissionStatus

router = APIRouter(prefix="/api/v1", tags=["orders"], route_class=ExactRoute)

MAX_ORDERS_PER_PAGE: Final = 1000
DEFAULT_ORDERS_PER_PAGE: Final = 100
Limit = Annotated[
    int, Query(ge=1, le=MAX_ORDERS_PER_PAGE, description="most orders to return"), WHOLE
]
States = Annotated[
    list[OrderState], Query(max_length=8, description="only orders in these states; repeatable")
]

Since = Annotated[
    Moment | None, Query(description="only orders of rebalances that began then or later")
]


@router.post(
    "/rebalance/{rebalance_id}/orders",
    response_model=HandOverAnswer,
    responses={
        207: {"description": "Not all orders are SENT", "model": HandOverAnswer},
        **refuses(
            *WRONG_RUN,
            catalogue.REQUEST_IN_PROGRESS,
            catalogue.REBALANCE_NOT_COMPLETED,
            catalogue.HAND_OVER_IN_PROGRESS,
            catalogue.ORDERS_OPEN,
            catalogue.NOT_APPROVED,
            catalogue.PRICES_MISSING,
            catalogue.HOLDINGS_FILE,
            catalogue.REBALANCE_SUPERSEDED,
            catalogue.IDEMPOTENCY_KEY_REUSED,
            catalogue.UPSTREAM_CONTRACT,
            catalogue.UPSTREAM_UNAVAILABLE,
            catalogue.ORDERS_IN_DOUBT,
            catalogue.OVERLOADED,
        ),
    },
)
async def hand_over(
    _: SendsOrders,
    request: Request,
    rebalance_id: RebalanceId,
    store: StorePort,
    once: Idempotent,
    body: HandOverBody | None = None,
) -> Response:
    """Send the orders of a completed rebalance that are not at the order service yet, none twice.

    Refused if portfolios have open orders of other rebalances, unless ``open_orders`` allows it.
    Always refused if orders of a later rebalance were sent, or if the orders need a proposal that
    is not approved or is stale. What an approved proposal holds back is not sent.
    """
    open_orders = (body or HandOverBody()).open_orders
    submission, replay = await once(
        lambda: store.submit_orders(rebalance_id, open_orders, MAX_ORDERS_PER_PAGE),
        lambda submission: submission.rebalance_id,
        lambda reference: store.read_submission(reference, 0, MAX_ORDERS_PER_PAGE),
    )
    headers = page_headers(request, 0, MAX_ORDERS_PER_PAGE, submission.total) | replay
    # The status is 207 and no error, because orders that were sent must not be taken for failed.
    status = 200 if submission.status is SubmissionStatus.COMPLETE else 207
    return _answer(submission, status, headers)


@router.get(
    "/rebalance/{rebalance_id}/orders",
    response_model=HandOverAnswer,
    responses=refuses(*WRONG_RUN),
)
async def list_orders(
    _: ReadsOrders,
    request: Request,
    rebalance_id: RebalanceId,
    store: StorePort,
    offset: Offset = 0,
    limit: Limit = DEFAULT_ORDERS_PER_PAGE,
    status: States = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """List the orders of a rebalance; NOT_SENT before it is handed over."""
    submission = await store.read_submission(
        rebalance_id, offset, limit, tuple(dict.fromkeys(status))
    )
    return _answer(submission, 200, page_headers(request, offset, limit, submission.total))


@router.get(
    "/orders", response_model=list[OrderOfRebalance], responses=refuses(catalogue.INVALID_REQUEST)
)
async def list_orders_of_all(
    _: ReadsOrders,
    request: Request,
    store: StorePort,
    status: States = [],  # noqa: B006 - FastAPI copies it
    since: Since = None,
    offset: Offset = 0,
    limit: Limit = DEFAULT_ORDERS_PER_PAGE,
) -> Response:
    """List the orders of all rebalances, the latest first: those in doubt, or not sent yet."""
    states = tuple(dict.fromkeys(status)) or tuple(OrderState)
    orders, total = await store.list_orders(states, since, offset, limit)
    headers = page_headers(request, offset, limit, total)
    return json_response([order_json(order) for order in orders], 200, headers)


def _answer(submission: OrderSubmission, status: int, headers: dict[str, str]) -> Response:
    return json_response(hand_over_json(submission), status, headers)
