"""Ports of drift scans: their store, and the start of a scan."""

from abc import abstractmethod
from typing import Protocol

from serve_app.ports.port import repeatable
from storage.drift.histogram import DriftHistogram
from storage.drift.line_store import LineFilter
from storage.drift.scan import DriftLine, DriftScan, ScanStatus
from storage.mongo.sorting import Sort


class StoredDriftScans(Protocol):
    """Drift scans of the book, and the lines of their portfolios."""

    @repeatable
    @abstractmethod
    async def list_drift_scans(
        self, statuses: frozenset[ScanStatus], offset: int, limit: int
    ) -> tuple[tuple[DriftScan, ...], int]:
        """Return one page of the scans in these states, or of all, newest first, and their number.

        The oldest scans are removed when a new scan is over.
        """
        ...

    @repeatable
    @abstractmethod
    async def read_drift_scan(self, scan_id: str) -> DriftScan:
        """Return the scan; raise NotFoundError if it is not stored."""
        ...

    @repeatable
    @abstractmethod
    async def search_drift_lines(
        self, scan: DriftScan, line_filter: LineFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[tuple[DriftLine, ...], int]:
        """Return one page of the lines of a scan that match, and the number of all that do."""
        ...

    @repeatable
    @abstractmethod
    async def read_drift_histogram(
        self, scan: DriftScan, line_filter: LineFilter, bins: int
    ) -> DriftHistogram:
        """Count the portfolios that match by their total drift, in this number of bins."""
        ...


class DriftScanning(Protocol):
    """Start of drift scans."""

    @repeatable  # because every attempt names the same scan, which begins once
    @abstractmethod
    async def begin_drift_scan(self, scan_id: str) -> DriftScan:
        """Begin a scan under this id, or return the scan under way; it continues on its own."""
        ...
