"""DriftScan: a stored measurement of the drift of every portfolio of the book, and its lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

from bson import ObjectId

from optimization import EXACT, BandStatus, DriftSummary, Refusal, Standing, Weight
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import (
    decode_decimal,
    decode_weight,
    encode_weight,
    to_milliseconds,
    to_storable,
)
from storage.rebalances.outcomes import encode_refusal

HUNDREDTH_PERCENT: Final = Decimal("0.0001")


class ScanStatus(StrEnum):
    """State of a drift scan."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"  # every portfolio of the book has its line
    STOPPED = "STOPPED"  # failed for the reason in ``problem``


@dataclass(frozen=True, slots=True)
class DriftScan:
    """A scan of the book; ``number_of_portfolios`` is None until the book was counted.

    A replica that takes a scan over measures the whole book again. ``takeovers`` is a part of the
    keys of the lines, so that lines of an earlier attempt do not count.
    """

    scan_id: str
    created_at: datetime
    correlation_id: str = ""
    begun_by: str | None = None  # principal; None if unknown
    status: ScanStatus = ScanStatus.RUNNING
    takeovers: int = 0
    number_of_portfolios: int | None = None
    counts: Mapping[BandStatus, int] = field(default_factory=dict[BandStatus, int])
    problem: Refusal | None = None
    finished_at: datetime | None = None

    @property
    def part(self) -> str:
        """Key of the lines of the present attempt."""
        return f"{self.scan_id}.{self.takeovers}"

    @property
    def done(self) -> int:
        """The number of measured portfolios."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Deviation:
    """The largest deviation of a security of a portfolio from its target, negative below it.

    ``amount`` is in currency; ``weight`` is the amount as a part of market value, to 4 decimals.
    """

    security_id: str
    amount: Decimal
    weight: Decimal
    target: Weight
    actual: Decimal


@dataclass(frozen=True, slots=True)
class DriftLine:
    """The drift of one portfolio in a scan; a FAILED line has a ``refusal`` and no amounts."""

    portfolio_id: str
    model_id: str
    status: BandStatus
    market_value: Decimal | None = None
    cash: Decimal | None = None
    cash_weight: Decimal | None = None
    drift: Decimal | None = None
    drift_weight: Decimal | None = None
    out_of_band: int | None = None
    largest: Deviation | None = None
    refusal: Refusal | None = None


def make_drift_line(model_id: str, summary: DriftSummary) -> DriftLine:
    """Make the line of a portfolio that was measured against this model."""
    value = summary.market_value
    largest = summary.largest
    return DriftLine(
        summary.portfolio_id,
        model_id,
        summary.status,
        value,
        summary.cash,
        summary.cash_weight,
        summary.drift,
        summary.drift_weight,
        None if value is None else summary.out_of_band,
        None if largest is None or value is None else _make_deviation(largest, value),
        summary.refusal,
    )


def _make_deviation(standing: Standing, market_value: Decimal) -> Deviation:
    amount = standing.deviation
    weight = EXACT.divide(amount, market_value) if market_value else Decimal(0)
    return Deviation(
        standing.security.security_id,
        amount,
        weight.quantize(HUNDREDTH_PERCENT, ROUND_HALF_UP, EXACT),
        standing.security.weight,
        standing.actual,
    )


def encode_scan(scan: DriftScan) -> Document:
    """Convert a new scan to a document."""
    return {
        "_id": ObjectId(scan.scan_id),
        "status": scan.status.value,
        "created_at": to_milliseconds(scan.created_at),
        "correlation_id": scan.correlation_id,
        "begun_by": scan.begun_by,
        "takeovers": scan.takeovers,
        "counts": encode_counts(scan.counts),
    }


def encode_counts(counts: Mapping[BandStatus, int]) -> Document:
    """Convert numbers of portfolios by status."""
    return {status.value: count for status, count in counts.items()}


def decode_scan(document: Document) -> DriftScan:
    """Convert a document to a scan."""
    problem = document.get("problem")
    return DriftScan(
        str(document["_id"]),
        document["created_at"],
        document["correlation_id"],
        document["begun_by"],
        ScanStatus(document["status"]),
        document["takeovers"],
        document.get("number_of_portfolios"),
        {BandStatus(status): count for status, count in document["counts"].items()},
        None if problem is None else Refusal(**problem),
        document.get("finished_at"),
    )


def encode_line(part: str, place: int, line: DriftLine) -> Document:
    """Convert the line at this place of the book to a document, without its absent members."""
    largest, refusal = line.largest, line.refusal
    members: Document = {
        "_id": f"{part}:{place:07}",
        "part": part,
        "portfolio_id": line.portfolio_id,
        "model_id": ObjectId(line.model_id),
        "status": line.status.value,
        # A sort key, because portfolios without amounts come last in every order.
        "failed": line.status is BandStatus.FAILED,
        "market_value": line.market_value,
        "cash": line.cash,
        "cash_weight": line.cash_weight,
        "drift": line.drift,
        "drift_weight": line.drift_weight,
        "out_of_band": line.out_of_band,
        "deviation": None if largest is None else largest.weight.copy_abs(),
        "largest": None if largest is None else _encode_deviation(largest),
        "problem": None if refusal is None else encode_refusal(refusal),
    }
    return {name: value for name, value in members.items() if value is not None}


def _encode_deviation(largest: Deviation) -> Document:
    return {
        "security_id": largest.security_id,
        "amount": to_storable(largest.amount),
        "weight": largest.weight,
        "target": encode_weight(largest.target),
        "actual": largest.actual,
    }


def decode_line(document: Document) -> DriftLine:
    """Convert a document to a line."""
    largest, problem = document.get("largest"), document.get("problem")
    return DriftLine(
        document["portfolio_id"],
        str(document["model_id"]),
        BandStatus(document["status"]),
        *(_decode_amount(document, name) for name in ("market_value", "cash", "cash_weight")),
        *(_decode_amount(document, name) for name in ("drift", "drift_weight")),
        out_of_band=document.get("out_of_band"),
        largest=None if largest is None else _decode_deviation(largest),
        refusal=None if problem is None else Refusal(**problem),
    )


def _decode_amount(document: Document, name: str) -> Decimal | None:
    return decode_decimal(document[name]) if name in document else None


def _decode_deviation(document: Document) -> Deviation:
    return Deviation(
        document["security_id"],
        decode_decimal(document["amount"]),
        decode_decimal(document["weight"]),
        decode_weight(document["target"]),
        decode_decimal(document["actual"]),
    )
