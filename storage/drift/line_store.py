"""DriftLineStore: the lines of drift scans, filtered, sorted and in pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from bson import ObjectId
from pymongo import timeout
from pymongo.asynchronous.database import AsyncDatabase

from optimization import BandStatus
from storage.drift.histogram import WeightCount
from storage.drift.scan import DriftLine, DriftScan, decode_line, encode_line
from storage.mongo.connection import WRITER_TIMEOUT_S, Document, translate_failures
from storage.mongo.decimal_codec import decode_decimal
from storage.mongo.sorting import Sort
from storage.rebalances.outcomes import allow_repetition

COLLECTION: Final = "drift_lines"
SORT_FIELDS: Final[Mapping[str, str]] = {
    "total_drift_weight": "drift_weight",
    "largest_deviation": "deviation",
    "market_value": "market_value",
    "cash_weight": "cash_weight",
    "out_of_band": "out_of_band",
}
"""Fields that lines are sorted by, by their public names."""


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Lines of one of these statuses, models and portfolios; empty matches all.

    Total drift, as a part of market value, is at least ``min_drift`` and below ``max_drift``.
    """

    statuses: frozenset[BandStatus] = frozenset()
    model_ids: tuple[str, ...] = ()
    portfolio_ids: tuple[str, ...] = ()
    min_drift: Decimal | None = None
    max_drift: Decimal | None = None

    def build_query(self, scan: DriftScan) -> Document:
        """Write the filter for the lines of a scan."""
        query: Document = {"part": scan.part}
        if self.statuses:
            query["status"] = {"$in": sorted(status.value for status in self.statuses)}
        if self.model_ids:
            query["model_id"] = {"$in": [ObjectId(model_id) for model_id in self.model_ids]}
        if self.portfolio_ids:
            query["portfolio_id"] = {"$in": list(self.portfolio_ids)}
        drift: dict[str, Any] = {}
        if self.min_drift is not None:
            drift["$gte"] = self.min_drift
        if self.max_drift is not None:
            drift["$lt"] = self.max_drift
        if drift:
            # The query has ``failed``, because the index has it before ``drift_weight``.
            query |= {"failed": False, "drift_weight": drift}
        return query


class DriftLineStore:
    """The lines of the drift scans of one database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._lines = database[COLLECTION]

    @translate_failures
    async def record(self, scan: DriftScan, first: int, lines: Sequence[DriftLine]) -> None:
        """Store lines from the place ``first`` of the book on; a stored line stays."""
        places = enumerate(lines, first)
        documents = [encode_line(scan.part, place, line) for place, line in places]
        with allow_repetition(), timeout(WRITER_TIMEOUT_S):
            await self._lines.insert_many(documents, ordered=False)

    @translate_failures
    async def read_page(
        self, scan: DriftScan, criteria: LineFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[tuple[DriftLine, ...], int]:
        """Return a page of the lines that match, and the number of all that do.

        They are sorted by the first field of ``sort``, otherwise in the order of the book.
        Portfolios without amounts come last.
        """
        query = criteria.build_query(scan)
        order: list[tuple[str, int]] = [("_id", 1)]
        if sort:
            name, direction = sort[0]
            order = [("failed", 1), (SORT_FIELDS[name], direction), ("_id", direction)]
        with timeout(WRITER_TIMEOUT_S):
            total = await self._lines.count_documents(query)
            cursor = self._lines.find(query, sort=order, skip=offset, limit=limit)
            return tuple([decode_line(document) async for document in cursor]), total

    @translate_failures
    async def count_weights(self, scan: DriftScan, criteria: LineFilter) -> tuple[WeightCount, ...]:
        """Count the portfolios that match by the weight of their drift, in ascending order.

        Portfolios without a drift are left out.
        """
        is_outside = {"$eq": ["$status", BandStatus.OUT_OF_BAND.value]}
        pipeline: list[Document] = [
            {"$match": {"failed": False, **criteria.build_query(scan)}},
            {
                "$group": {
                    "_id": "$drift_weight",
                    "portfolios": {"$sum": 1},
                    "out_of_band": {"$sum": {"$cond": [is_outside, 1, 0]}},
                }
            },
            {"$sort": {"_id": 1}},
        ]
        with timeout(WRITER_TIMEOUT_S):
            groups = await self._lines.aggregate(pipeline)
            return tuple([_decode_weight_count(group) async for group in groups])

    @translate_failures
    async def forget(self, scan_id: str) -> None:
        """Remove the lines of all attempts at a scan."""
        # The range has all keys that begin with the id and a full stop, because "/" follows ".".
        with timeout(WRITER_TIMEOUT_S):
            await self._lines.delete_many({"_id": {"$gte": f"{scan_id}.", "$lt": f"{scan_id}/"}})


def _decode_weight_count(group: Document) -> WeightCount:
    return WeightCount(decode_decimal(group["_id"]), group["portfolios"], group["out_of_band"])
