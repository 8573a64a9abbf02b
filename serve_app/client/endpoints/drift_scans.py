"""Drift scans: the drift of the whole book, measured once, then sorted and filtered."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from serve_app.client.call import Call, answer_as, get, path
from serve_app.client.responses.drift_scans import DriftHistogram, DriftLine, DriftScan


def begin_drift_scan() -> Call[DriftScan]:
    """Begin to measure the book in the background; return the scan under way, if any."""
    return Call("POST", path("drift-scans"), answer_as(DriftScan), repeatable=True)


def list_drift_scans(*, status: Sequence[str] = (), limit: int = 10) -> Call[tuple[DriftScan, ...]]:
    """List the stored scans, or the scans in these states, the newest first."""
    return get(tuple[DriftScan, ...], "drift-scans", status=list(status) or None, limit=limit)


def read_drift_scan(scan_id: str) -> Call[DriftScan]:
    """Read the state of a scan."""
    return get(DriftScan, "drift-scans", scan_id)


def list_drift_lines(
    scan_id: str,
    *,
    status: Sequence[str] = (),
    models: Sequence[str] = (),
    portfolios: Sequence[str] = (),
    min_drift: Decimal | None = None,
    max_drift: Decimal | None = None,
    sort_by: str = "",
    limit: int = 1000,
) -> Call[tuple[DriftLine, ...]]:
    """List the portfolios of a scan that match, ``limit`` in a request.

    Their total drift, as a part of market value, is at least ``min_drift`` and less than
    ``max_drift``.
    """
    query = _build_query(status, models, portfolios, min_drift, max_drift)
    steps = ("drift-scans", scan_id, "portfolios")
    return get(tuple[DriftLine, ...], *steps, **query, sort_by=sort_by, limit=limit)


def read_drift_histogram(
    scan_id: str,
    *,
    bins: int = 40,
    status: Sequence[str] = (),
    models: Sequence[str] = (),
    portfolios: Sequence[str] = (),
    min_drift: Decimal | None = None,
    max_drift: Decimal | None = None,
) -> Call[DriftHistogram]:
    """Read the numbers of the portfolios that match, by their total drift."""
    query = _build_query(status, models, portfolios, min_drift, max_drift)
    return get(DriftHistogram, "drift-scans", scan_id, "histogram", **query, bins=bins)


def _build_query(
    status: Sequence[str],
    models: Sequence[str],
    portfolios: Sequence[str],
    min_drift: Decimal | None,
    max_drift: Decimal | None,
) -> Mapping[str, Any]:
    return {
        "status": list(status) or None,
        "model_id": list(models) or None,
        "portfolio_id": list(portfolios) or None,
        "min_drift": None if min_drift is None else f"{min_drift:f}",
        "max_drift": None if max_drift is None else f"{max_drift:f}",
    }
