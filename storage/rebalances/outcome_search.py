"""Search of the outcomes of a rebalance by status, reason and portfolio, sorted and in pages.

The places of all matching outcomes are found without reading shares, and only the outcomes of the
page are read whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Final

import numpy as np
from bson import ObjectId
from numpy.typing import NDArray
from pymongo import timeout
from pymongo.asynchronous.database import AsyncDatabase

from optimization import BESIDE, STATUSES, PortfolioOutcome, Status
from storage.mongo.column_codec import decode_column
from storage.mongo.connection import WRITER_TIMEOUT_S, Document
from storage.mongo.decimal_codec import decode_decimal
from storage.mongo.sorting import DESCENDING, Sort
from storage.rebalances.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.rebalances.outcome_columns import decode_statuses
from storage.rebalances.outcome_reader import APART, OutcomeReader
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import build_id_range, parse_ordinal
from storage.rebalances.rebalance import Rebalance, RebalanceStatus, may_hold_outcome

SORT_FIELDS: Final = ("market_value", "cash_before", "cash_after", "objective")


@dataclass(frozen=True, slots=True)
class OutcomeFilter:
    """Outcomes that have one of these statuses, reasons and portfolios; empty matches all.

    ``codes`` name reasons why a portfolio has no plan (``Refusal.code``).
    """

    statuses: frozenset[Status] = frozenset()
    codes: frozenset[str] = frozenset()
    portfolio_ids: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether every outcome matches."""
        return not (self.statuses or self.codes or self.portfolio_ids)

    def admits(self, outcome: PortfolioOutcome) -> bool:
        """Whether an outcome matches."""
        code = outcome.refusal and outcome.refusal.code
        return (
            (not self.statuses or outcome.status in self.statuses)
            and (not self.codes or code in self.codes)
            and (not self.portfolio_ids or outcome.portfolio_id in self.portfolio_ids)
        )


@dataclass(frozen=True, slots=True)
class _Places:
    """Places of stored outcomes, with their sort keys; NaN for an outcome without the number.

    ``firsts`` are the first ordinals of the documents of columns that have them, or ``APART``.
    """

    ordinals: NDArray[np.int64]
    firsts: NDArray[np.int64]
    keys: NDArray[np.float64]

    @classmethod
    def concatenate(cls, parts: Sequence["_Places"]) -> "_Places":
        names = ("ordinals", "firsts", "keys")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def sort(self, *, descending: bool) -> NDArray[np.intp]:
        """Sort indices by key, equal keys by ordinal, outcomes without a key last."""
        keys = np.where(np.isnan(self.keys), inf, -self.keys if descending else self.keys)
        return np.lexsort((self.ordinals, keys))


class OutcomeSearch:
    """Search of the stored outcomes of one database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._reader = OutcomeReader(database)
        self._outcomes = database[OUTCOMES]
        self._chunks = database[OUTCOME_CHUNKS]

    async def read_page(
        self, rebalance: Rebalance, criteria: OutcomeFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[tuple[PortfolioOutcome, ...], int]:
        """Return a page of the outcomes that match, and the number of all that do.

        They are sorted by the first field of ``sort``, otherwise in the order of the model.
        """
        if criteria.portfolio_ids:
            outcomes = await self._reader.read_portfolios(rebalance, criteria.portfolio_ids)
            return _cut_page(outcomes, criteria, sort, slice(offset, offset + limit))
        if may_hold_outcome(rebalance):
            outcomes = await self._reader.read_ordinals(rebalance, range(1))
            return _cut_page(outcomes, criteria, sort, slice(offset, offset + limit))
        if criteria.is_empty and not sort and rebalance.status is RebalanceStatus.COMPLETED:
            # The places are known without a search, because each portfolio has an outcome.
            total = rebalance.number_of_portfolios
            page = range(min(offset, total), min(offset + limit, total))
            return await self._reader.read_ordinals(rebalance, page), total
        with timeout(WRITER_TIMEOUT_S):
            places = await self._find_places(rebalance, criteria, sort[0][0] if sort else None)
        order = places.sort(descending=_is_descending(sort))[offset : offset + limit]
        page = zip(places.ordinals[order].tolist(), places.firsts[order].tolist(), strict=True)
        return await self._reader.read_places(rebalance, tuple(page)), len(places.ordinals)

    async def _find_places(
        self, rebalance: Rebalance, criteria: OutcomeFilter, field: str | None
    ) -> _Places:
        documents = await self._find_documents(rebalance, criteria, field)
        # Columns have no reasons, because a portfolio with a reason has a document of its own.
        rows = [] if criteria.codes else await self._find_rows(rebalance, criteria, field)
        return _Places.concatenate([documents, *rows])

    async def _find_documents(
        self, rebalance: Rebalance, criteria: OutcomeFilter, field: str | None
    ) -> _Places:
        query: Document = {"_id": build_id_range(rebalance.rebalance_id)}
        if criteria.statuses:
            query["status"] = {"$in": _list_status_names(criteria)}
        if criteria.codes:
            query["problem.code"] = {"$in": sorted(criteria.codes)}
        fields = {"_id": 1} if field is None else {"_id": 1, field: 1}
        documents = await self._outcomes.find(query, fields).to_list()
        ordinals = [parse_ordinal(document["_id"]) for document in documents]
        keys = [
            float(decode_decimal(document[field])) if field in document else np.nan
            for document in documents
        ]
        return _Places(
            np.array(ordinals, np.int64), np.full(len(documents), APART), np.array(keys, np.float64)
        )

    async def _find_rows(
        self, rebalance: Rebalance, criteria: OutcomeFilter, field: str | None
    ) -> list[_Places]:
        query: Document = {"rebalance_id": ObjectId(rebalance.rebalance_id)}
        if criteria.statuses:  # because an index has the counts
            names = _list_status_names(criteria)
            query["$or"] = [{f"counts.{name}": {"$gt": 0}} for name in names]
        fields = {"status": 1} if field is None else {"status": 1, field: 1}
        places = [at for at, status in enumerate(STATUSES) if status in criteria.statuses]
        parts: list[_Places] = []
        async for document in self._chunks.find(query, fields):
            status = decode_statuses(document)
            rows = np.flatnonzero(np.isin(status, places) if places else status != BESIDE)
            first = parse_ordinal(document["_id"])
            keys = np.full(len(rows), np.nan)
            if field is not None and field in document:
                column = decode_column(document[field])
                keys = column.units[rows].astype(np.float64) / 10.0**column.decimals
            parts.append(_Places(rows + first, np.full(len(rows), first), keys))
        return parts


def _list_status_names(criteria: OutcomeFilter) -> list[str]:
    return sorted(status.value for status in criteria.statuses)


def _is_descending(sort: Sort) -> bool:
    return bool(sort) and sort[0][1] == DESCENDING


def _cut_page(
    outcomes: Sequence[PortfolioOutcome], criteria: OutcomeFilter, sort: Sort, page: slice
) -> tuple[tuple[PortfolioOutcome, ...], int]:
    """Cut a page of the matching outcomes, if the outcomes are few enough to be read whole."""
    matches = [outcome for outcome in outcomes if criteria.admits(outcome)]
    keys = np.array([_read_sort_key(outcome, sort[0][0] if sort else None) for outcome in matches])
    ordinals = np.arange(len(matches))
    order = _Places(ordinals, ordinals, keys).sort(descending=_is_descending(sort))
    return tuple([matches[at] for at in order[page]]), len(matches)


def _read_sort_key(outcome: PortfolioOutcome, field: str | None) -> float:
    source = outcome.certificate if field == "objective" else outcome
    value: Decimal | None = None if field is None else getattr(source, field, None)
    return np.nan if value is None else float(value)
