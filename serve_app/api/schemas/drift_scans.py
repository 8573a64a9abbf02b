"""Drift scans: their state, their lines and the histogram; decimals are strings."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from optimization import BandStatus, weight_text
from serve_app.api.schemas.drift import Weight
from serve_app.api.schemas.fields import (
    DecimalText,
    DocumentedAs,
    InstantText,
    ObjectIdentifier,
    document_counts,
    inline_enum,
)
from serve_app.api.schemas.runs import Progress
from serve_app.api.schemas.stored_fields import Identifier, ModelWeightText
from serve_app.json_text import plain, write_string
from serve_app.problems.documents import ProblemInAnswer
from serve_app.problems.error_table import build_problem
from storage.drift.histogram import Bin, DriftHistogram
from storage.drift.scan import Deviation, DriftLine, DriftScan, ScanStatus
from storage.instants import format_instant


class DriftScanAnswer(TypedDict):
    """State of a scan of the book; the lines are whole once it is COMPLETED."""

    scan_id: ObjectIdentifier
    status: Annotated[ScanStatus, DocumentedAs(inline_enum(ScanStatus))]
    portfolios: Annotated[
        Progress, Field(description="measured, and all; null until they are counted")
    ]
    counts: Annotated[dict[str, int], document_counts(BandStatus)]
    begun_by: Annotated[str | None, Field(description="principal; null if nobody signs in")]
    correlation_id: str
    error: Annotated[ProblemInAnswer | None, Field(description="why it STOPPED")]
    created_at: InstantText
    finished_at: Annotated[InstantText | None, Field(description="null while it is RUNNING")]


class LineDeviation(TypedDict):
    """The security farthest from its target."""

    security_id: Identifier
    deviation: Annotated[
        DecimalText, Field(description="in currency; negative if below the target")
    ]
    deviation_weight: Weight
    target: ModelWeightText
    actual: Weight


class DriftLineAnswer(TypedDict):
    """Drift of one portfolio in a scan; a FAILED portfolio has an error and no amounts."""

    portfolio_id: Identifier
    model_id: Annotated[ObjectIdentifier, Field(description="the newest that it follows")]
    status: Annotated[BandStatus, DocumentedAs(inline_enum(BandStatus))]
    market_value: DecimalText | None
    cash: DecimalText | None
    cash_weight: Weight | None
    total_drift: DecimalText | None
    total_drift_weight: Weight | None
    out_of_band: Annotated[int | None, Field(description="number of securities")]
    largest_deviation: LineDeviation | None
    error: ProblemInAnswer | None


class BinAnswer(TypedDict):
    """Portfolios whose total drift is in a range of weights."""

    lower: Annotated[DecimalText, Field(description="least total drift, of market value")]
    upper: Annotated[
        DecimalText | None, Field(description="above the greatest; null if there is no end")
    ]
    portfolios: int
    out_of_band: Annotated[int, Field(description="of these, portfolios out of band")]


class DriftHistogramAnswer(TypedDict):
    """Portfolios by total drift as a part of market value; FAILED ones are left out."""

    portfolios: Annotated[int, Field(description="in all bins")]
    median: Weight | None
    p95: Annotated[Weight | None, Field(description="at least 95 % of the portfolios have no more")]
    largest: Weight | None
    bins: Annotated[
        list[BinAnswer], Field(description="of one width, from 0 on; the last may have no end")
    ]


def drift_scan_json(scan: DriftScan) -> DriftScanAnswer:
    """Build the state of a scan."""
    return {
        "scan_id": scan.scan_id,
        "status": scan.status,
        "portfolios": {"done": scan.done, "total": scan.number_of_portfolios},
        "counts": {str(status): count for status, count in scan.counts.items()},
        "begun_by": scan.begun_by,
        "correlation_id": scan.correlation_id,
        "error": scan.problem and build_problem(scan.problem),
        "created_at": format_instant(scan.created_at),
        "finished_at": format_instant(scan.finished_at),
    }


def drift_line_json(line: DriftLine) -> DriftLineAnswer:
    """Build the line of one portfolio."""
    return {
        "portfolio_id": line.portfolio_id,
        "model_id": line.model_id,
        "status": line.status,
        "market_value": write_string(line.market_value),
        "cash": write_string(line.cash),
        "cash_weight": write_string(line.cash_weight),
        "total_drift": write_string(line.drift),
        "total_drift_weight": write_string(line.drift_weight),
        "out_of_band": line.out_of_band,
        "largest_deviation": line.largest and _deviation_json(line.largest),
        "error": line.refusal and build_problem(line.refusal),
    }


def drift_histogram_json(histogram: DriftHistogram) -> DriftHistogramAnswer:
    """Build the histogram of a scan."""
    return {
        "portfolios": histogram.portfolios,
        "median": write_string(histogram.median),
        "p95": write_string(histogram.p95),
        "largest": write_string(histogram.largest),
        "bins": [_bin_json(bar) for bar in histogram.bins],
    }


def _deviation_json(largest: Deviation) -> LineDeviation:
    return {
        "security_id": largest.security_id,
        "deviation": plain(largest.amount),
        "deviation_weight": plain(largest.weight),
        "target": weight_text(largest.target),
        "actual": plain(largest.actual),
    }


def _bin_json(bar: Bin) -> BinAnswer:
    return {
        "lower": plain(bar.lower),
        "upper": write_string(bar.upper),
        "portfolios": bar.portfolios,
        "out_of_band": bar.out_of_band,
    }
