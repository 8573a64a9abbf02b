"""Routes of drift scans: measure the whole book, then sort and filter its portfolios."""

from decimal import Decimal
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.responses import Response

from optimization import BandStatus
from serve_app.api.access import ReadsPortfolios
from serve_app.api.dependencies import (
    MAX_SOUGHT,
    OptimizerPort,
    ScanId,
    SoughtPortfolios,
    StorePort,
)
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, Portfolios, Runs, order_by, page_headers
from serve_app.api.responses import json_response
from serve_app.api.schemas.drift_scans import (
    DriftHistogramAnswer,
    DriftLineAnswer,
    DriftScanAnswer,
    drift_histogram_json,
    drift_line_json,
    drift_scan_json,
)
from serve_app.api.schemas.fields import WHOLE, ObjectIdentifier
from serve_app.problems import catalogue
from storage.drift.line_store import SORT_FIELDS, LineFilter
from storage.drift.scan import ScanStatus
from storage.mongo.sorting import Sort
from storage.rebalances.rebalance import new_rebalance_id

router = APIRouter(prefix="/api/v1", tags=["drift"])

MAX_BINS: Final = 100
WRONG_SCAN: Final = refuses(catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST)
_WEIGHT: Final = r"^[0-9]{1,9}(\.[0-9]{1,10})?$"

ScanStatuses = Annotated[
    list[ScanStatus], Query(default_factory=list, max_length=3, description="states; repeatable")
]
BandStatuses = Annotated[
    list[BandStatus], Query(default_factory=list, max_length=3, description="states; repeatable")
]
ModelIds = Annotated[
    list[ObjectIdentifier],
    Query(default_factory=list, max_length=MAX_SOUGHT, description="followed models; repeatable"),
]
DriftText = Annotated[str, Field(pattern=_WEIGHT, examples=["0.05"])]
MinDrift = Annotated[
    DriftText | None, Query(description="least total drift, as a part of market value")
]
MaxDrift = Annotated[DriftText | None, Query(description="above the greatest total drift")]
Bins = Annotated[int, Query(ge=1, le=MAX_BINS, description="most bins"), WHOLE]


async def _line_filter(
    status: BandStatuses,
    model_id: ModelIds,
    portfolio_id: SoughtPortfolios,
    min_drift: MinDrift = None,
    max_drift: MaxDrift = None,
) -> LineFilter:
    return LineFilter(
        frozenset(status),
        tuple(dict.fromkeys(model_id)),
        tuple(dict.fromkeys(portfolio_id)),
        None if min_drift is None else Decimal(min_drift),
        None if max_drift is None else Decimal(max_drift),
    )


LineQuery = Annotated[LineFilter, Depends(_line_filter)]
LineOrder = Annotated[Sort, Depends(order_by(*SORT_FIELDS))]


@router.post(
    "/drift-scans",
    status_code=202,
    response_model=DriftScanAnswer,
    responses=refuses(catalogue.OVERLOADED),
)
async def begin_drift_scan(_: ReadsPortfolios, optimizer: OptimizerPort) -> Response:
    """Measure the drift of every portfolio of the book, in the background.

    While a scan goes on, no other begins: that one is the answer.
    """
    # The id is made here, because each attempt at the port then names the same scan.
    scan = await optimizer.begin_drift_scan(new_rebalance_id())
    location = {"Location": f"/api/v1/drift-scans/{scan.scan_id}"}
    return json_response(drift_scan_json(scan), 202, location)


@router.get(
    "/drift-scans",
    response_model=list[DriftScanAnswer],
    responses=refuses(catalogue.INVALID_REQUEST),
)
async def list_drift_scans(
    _: ReadsPortfolios,
    request: Request,
    store: StorePort,
    status: ScanStatuses,
    offset: Offset = 0,
    limit: Runs = 10,
) -> Response:
    """List scans, the newest first; a new one that is over removes all but three."""
    scans, total = await store.list_drift_scans(frozenset(status), offset, limit)
    body = [drift_scan_json(scan) for scan in scans]
    return json_response(body, headers=page_headers(request, offset, limit, total))


@router.get("/drift-scans/{scan_id}", response_model=DriftScanAnswer, responses=WRONG_SCAN)
async def read_drift_scan(_: ReadsPortfolios, scan_id: ScanId, store: StorePort) -> Response:
    """Read the state of a scan."""
    return json_response(drift_scan_json(await store.read_drift_scan(scan_id)))


@router.get(
    "/drift-scans/{scan_id}/portfolios",
    response_model=list[DriftLineAnswer],
    responses=WRONG_SCAN,
)
async def list_drift_lines(
    _: ReadsPortfolios,
    request: Request,
    scan_id: ScanId,
    store: StorePort,
    line_filter: LineQuery,
    order: LineOrder,
    offset: Offset = 0,
    limit: Portfolios = 100,
) -> Response:
    """List the portfolios of a scan by state, model and drift; portfolios without amounts last.

    In the order of the models, the newest first, unless sorted by one amount.
    """
    scan = await store.read_drift_scan(scan_id)
    lines, total = await store.search_drift_lines(scan, line_filter, order, offset, limit)
    body = [drift_line_json(line) for line in lines]
    return json_response(body, headers=page_headers(request, offset, limit, total))


@router.get(
    "/drift-scans/{scan_id}/histogram",
    response_model=DriftHistogramAnswer,
    responses=WRONG_SCAN,
)
async def read_drift_histogram(
    _: ReadsPortfolios, scan_id: ScanId, store: StorePort, line_filter: LineQuery, bins: Bins = 40
) -> Response:
    """Count the portfolios of a scan by their total drift."""
    scan = await store.read_drift_scan(scan_id)
    return json_response(
        drift_histogram_json(await store.read_drift_histogram(scan, line_filter, bins))
    )
