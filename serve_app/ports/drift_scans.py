"""Ports of drift scans: their store, and their beginning."""

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
        """Return one page of the scans in these states, or of all, the newest first; and how many.

        The oldest are removed when a new one is over.
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
        """Return how many of the portfolios that match have how much drift, in so many bins."""
        ...


class DriftScanning(Protocol):
    """Beginning of drift scans."""

    @repeatable  # because every attempt names the same scan, which begins once
    @abstractmethod
    async def begin_drift_scan(self, scan_id: str) -> DriftScan:
        """Begin a scan under this id, or return the one that goes on; it goes on by itself."""
        ...
