"""Answers of the service about drift scans: the drift of the whole book, measured once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from serve_app.client.responses.positions import Weight
from serve_app.client.responses.problems import Problem
from serve_app.client.responses.runs import Progress

BandStatus = Literal["WITHIN_BANDS", "OUT_OF_BAND", "FAILED"]


@dataclass(frozen=True, slots=True)
class DriftScan:
    """The state of a scan; its lines are whole once it is COMPLETED."""

    scan_id: str
    status: Literal["RUNNING", "COMPLETED", "STOPPED"]
    portfolios: Progress
    counts: Mapping[str, int]
    begun_by: str | None
    correlation_id: str
    error: Problem | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class LineDeviation:
    """The security that is farthest from its target; the weight is a part of market value."""

    security_id: str
    deviation: Decimal
    deviation_weight: Decimal
    target: Weight
    actual: Decimal


@dataclass(frozen=True, slots=True)
class DriftLine:
    """The drift of one portfolio in a scan; a FAILED portfolio has only an error."""

    portfolio_id: str
    model_id: str
    status: BandStatus
    market_value: Decimal | None
    cash: Decimal | None
    cash_weight: Decimal | None
    total_drift: Decimal | None
    total_drift_weight: Decimal | None
    out_of_band: int | None
    largest_deviation: LineDeviation | None
    error: Problem | None


@dataclass(frozen=True, slots=True)
class DriftBin:
    """Number of portfolios with a total drift of at least ``lower`` and below ``upper``, if set."""

    lower: Decimal
    upper: Decimal | None
    portfolios: int
    out_of_band: int


@dataclass(frozen=True, slots=True)
class DriftHistogram:
    """Portfolios by total drift as a part of market value."""

    portfolios: int
    median: Decimal | None
    p95: Decimal | None
    largest: Decimal | None
    bins: tuple[DriftBin, ...]
