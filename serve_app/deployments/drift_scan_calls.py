"""Calls of the ModelStore deployment about drift scans."""

from serve_app.ports.drift_scans import StoredDriftScans
from serve_app.resources import Resources
from storage.drift.histogram import DriftHistogram, make_histogram
from storage.drift.line_store import LineFilter
from storage.drift.scan import DriftLine, DriftScan, ScanStatus
from storage.mongo.sorting import Sort


class DriftScanCalls(StoredDriftScans):
    """Drift scans and their lines, for the deployment that has the resources."""

    _resources: Resources

    async def list_drift_scans(
        self, statuses: frozenset[ScanStatus], offset: int, limit: int
    ) -> tuple[tuple[DriftScan, ...], int]:
        """Return one page of scans and the number of all."""
        return await self._resources.drift_scans.read_page(offset, limit, statuses)

    async def read_drift_scan(self, scan_id: str) -> DriftScan:
        """Read the scan with this id."""
        return await self._resources.drift_scans.read(scan_id)

    async def search_drift_lines(
        self, scan: DriftScan, line_filter: LineFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[tuple[DriftLine, ...], int]:
        """Return one page of the lines that match, and the number of all that do."""
        return await self._resources.drift_lines.read_page(scan, line_filter, sort, offset, limit)

    async def read_drift_histogram(
        self, scan: DriftScan, line_filter: LineFilter, bins: int
    ) -> DriftHistogram:
        """Return the histogram of the lines that match."""
        return make_histogram(
            await self._resources.drift_lines.count_weights(scan, line_filter), bins
        )
