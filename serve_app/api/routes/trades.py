"""Routes that review the trades of a stored rebalance: pages of trades, and their totals."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.responses import Response

from optimization import Side
from serve_app.api.access import ReadsRebalances
from serve_app.api.dependencies import OptimizerPort, RebalanceId, SoughtPortfolios, StorePort
from serve_app.api.exports.stored_rebalances import OUTCOME_BATCH_SIZE, stream_json
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, Portfolios, order_by, page_headers
from serve_app.api.responses import json_response
from serve_app.api.routes.stored_rebalances import WRONG_RUN
from serve_app.api.schemas.fields import inline_enum
from serve_app.api.schemas.stored_fields import several_ids
from serve_app.api.schemas.trades import (
    LiveHolds,
    TradeApproval,
    TradeDetail,
    TradeTotalsAnswer,
    totals_json,
    trades_json,
)
from serve_app.json_text import encode
from serve_app.ports.proposals import Proposals
from serve_app.ports.stored_rebalances import StoredRebalances
from serve_app.problems import catalogue
from serve_app.rules.evaluation import RuleCheck
from storage.mongo.sorting import Sort
from storage.proposals.proposal import Hold, ProposalFilter, ProposalStatus
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.trade_search import SORT_FIELDS, TradeFilter, TradePage
from storage.rebalances.trade_totals import TradeTotals

router = APIRouter(prefix="/api/v1", tags=["rebalances"])

MAX_TICKER_LENGTH: Final = 64
MAX_SECURITIES: Final = 100  # because more ids exceed the longest request line
HOLD_BATCH_SIZE: Final = 1_000
BATCH_SIZE: Final = 50  # trades that are written at once, because the event loop waits meanwhile
WITH_HOLDS: Final = (ProposalStatus.PROPOSED, ProposalStatus.APPROVED, ProposalStatus.ORDERED)
REFUSALS: Final = refuses(
    *WRONG_RUN,
    catalogue.INVALID_REQUEST,
    catalogue.UPSTREAM_CONTRACT,
    catalogue.UPSTREAM_UNAVAILABLE,
)

Sides = Annotated[
    list[inline_enum(Side)], Query(default_factory=list, max_length=2, description="repeatable")
]
Approvals = Annotated[
    list[inline_enum(TradeApproval)],
    Query(
        default_factory=list,
        max_length=len(TradeApproval),
        description="whether the order may be sent; repeatable",
    ),
]
Ticker = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_TICKER_LENGTH, description="of the security, in any case"),
]
SecurityIds = Annotated[
    list[str],
    several_ids(max_length=MAX_SECURITIES),
    Query(default_factory=list, description="security ids; repeatable"),
]
AmountText = Annotated[str, Field(pattern=r"^[0-9]{1,18}(\.[0-9]{1,18})?$", examples=["1000"])]
DriftText = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,10})?$", examples=["0.01"])]
MinAmount = Annotated[AmountText | None, Query(description="least quantity times price")]
MaxAmount = Annotated[AmountText | None, Query(description="greatest quantity times price")]
MinDrift = Annotated[
    DriftText | None,
    Query(description="least distance of the weight before from its target, of market value"),
]


async def _trade_filter(
    optimizer: OptimizerPort,
    side: Sides,
    security_id: SecurityIds,
    portfolio_id: SoughtPortfolios,
    ticker: Ticker = None,
    min_amount: MinAmount = None,
    max_amount: MaxAmount = None,
    min_drift: MinDrift = None,
) -> TradeFilter:
    securities = frozenset(security_id) or None
    if ticker is not None:
        matches = frozenset(await optimizer.find_securities(ticker))
        securities = matches if securities is None else matches & securities
    return TradeFilter(
        sides=frozenset(map(Side, side)),
        security_ids=securities,
        portfolio_ids=tuple(dict.fromkeys(portfolio_id)),
        min_amount=None if min_amount is None else Decimal(min_amount),
        max_amount=None if max_amount is None else Decimal(max_amount),
        min_drift=None if min_drift is None else Decimal(min_drift),
    )


TradeQuery = Annotated[TradeFilter, Depends(_trade_filter)]
Order = Annotated[Sort, Depends(order_by(*SORT_FIELDS))]


@router.get(
    "/rebalance/{rebalance_id}/trades", response_model=list[TradeDetail], responses=REFUSALS
)
async def list_trades(
    _: ReadsRebalances,
    request: Request,
    rebalance_id: RebalanceId,
    store: StorePort,
    trade_filter: TradeQuery,
    order: Order,
    approval: Approvals,
    offset: Offset = 0,
    limit: Portfolios = 100,
) -> Response:
    """List trades of a rebalance to review, with their weights before and after, and approvals.

    In the order of portfolios, unless sorted by amount or by drift.
    """
    rebalance = await store.read_rebalance(rebalance_id)
    holds = await _read_holds(store, rebalance)
    narrow_filter = _filter_by_approvals(trade_filter, approval, holds)
    page, total = await store.search_trades(rebalance, narrow_filter, order, offset, limit)
    return await stream_json(_lines(page, holds), page_headers(request, offset, limit, total))


@router.get(
    "/rebalance/{rebalance_id}/transactions/totals",
    response_model=TradeTotalsAnswer,
    responses=REFUSALS,
)
async def read_trade_totals(
    _: ReadsRebalances,
    rebalance_id: RebalanceId,
    store: StorePort,
    trade_filter: TradeQuery,
    approval: Approvals,
) -> Response:
    """Add up what a hand-over would send of the trades that match, and what is held back."""
    rebalance = await store.read_rebalance(rebalance_id)
    holds = await _read_holds(store, rebalance)
    narrow_filter = _filter_by_approvals(trade_filter, approval, holds)
    check = RuleCheck.from_blocking_rules(rebalance)
    # The rules count only without a live proposal, because an approval minds the rules and only
    # the holds of the proposal hold trades back.
    if check and holds.proposal is None:
        totals = await _total_under_rules(store, rebalance, narrow_filter, check)
    else:
        totals = await store.total_trades(rebalance, narrow_filter)
    return json_response(totals_json(rebalance.rebalance_id, holds.proposal, totals))


async def _total_under_rules(
    store: StoredRebalances, rebalance: Rebalance, trade_filter: TradeFilter, check: RuleCheck
) -> TradeTotals:
    totals = TradeTotals()
    for offset in range(0, rebalance.number_of_portfolios, OUTCOME_BATCH_SIZE):
        for outcome in await store.list_outcomes(rebalance, offset, OUTCOME_BATCH_SIZE):
            is_blocked = bool(check.list_broken(outcome).blocked_by)
            totals.add_outcome(outcome, trade_filter, is_blocked=is_blocked)
    return totals


async def _read_holds(store: Proposals, rebalance: Rebalance) -> LiveHolds:
    (newest, _) = await store.list_proposals(
        ProposalFilter(rebalance_id=rebalance.rebalance_id), 0, 1
    )
    if not newest or newest[0].status not in WITH_HOLDS:
        return LiveHolds()
    holds: list[Hold] = []
    for offset in range(0, newest[0].number_of_holds, HOLD_BATCH_SIZE):
        page, _ = await store.list_holds(newest[0].proposal_id, offset, HOLD_BATCH_SIZE)
        holds += page
    return LiveHolds(newest[0], holds)


def _filter_by_approvals(
    trade_filter: TradeFilter, approvals: list[str], holds: LiveHolds
) -> TradeFilter:
    """Narrow a filter to trades with one of these approvals; an empty list allows all."""
    with_holds = replace(trade_filter, held_portfolios=holds.portfolios, held_trades=holds.trades)
    is_held, is_free = TradeApproval.HELD in approvals, holds.approval in approvals
    if not approvals or (is_held and is_free):
        return with_holds
    if not is_held and not is_free:
        return replace(with_holds, security_ids=frozenset())
    return replace(with_holds, is_held=is_held)


async def _lines(page: TradePage, holds: LiveHolds) -> AsyncIterator[bytes]:
    yield b"["
    for start in range(0, len(page), BATCH_SIZE):
        lines = [*trades_json(page[start : start + BATCH_SIZE], holds)]
        yield (b"," if start else b"") + encode(lines)[1:-1]
    yield b"]"
