"""Reader of outcomes, from columns of many portfolios and from documents of single outcomes.

Rows of columns become objects only where a caller needs objects. A database of an earlier release
has documents alone.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast

import numpy as np
from bson import ObjectId
from numpy.typing import NDArray
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.asynchronous.database import AsyncDatabase

from optimization import BESIDE, BlockOutcome, PortfolioOutcome
from storage.mongo.connection import Document
from storage.rebalances.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.rebalances.outcome_columns import build_covering_filter, decode_block, decode_statuses
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import (
    OUTCOME_BATCH_SIZE,
    build_id_range,
    build_outcome_id,
    decode_outcome,
    parse_ordinal,
)
from storage.rebalances.rebalance import COLLECTION as REBALANCES
from storage.rebalances.rebalance import OUTCOME, Rebalance, may_hold_outcome

PlacedOutcomes: TypeAlias = list[tuple[int, PortfolioOutcome]]
"""Outcomes with their ordinals."""

K = TypeVar("K", int, str)

EMBEDDED_PORTFOLIO: Final = f"{OUTCOME}.portfolio_id"
PAGE_POSITIONS: Final = 100_000  # because so many take 8 MB in the memory of an export
MAX_PAGE_ROWS: Final = 4_096
APART: Final = -1  # the place of an outcome that is not in a document of columns
MAX_PAGE_OBJECTS: Final = 250  # because more block an event loop for tenths of a second


@dataclass(frozen=True, slots=True, eq=False)
class OutcomePage:
    """Stored outcomes of consecutive portfolios, in columns where they are stored in columns.

    ``blocks`` are documents of columns with the ordinal of their first row, ``objects`` the other
    outcomes with their ordinals, both in order. A portfolio without an outcome is in neither.
    """

    ordinals: range
    blocks: tuple[tuple[int, BlockOutcome], ...]
    objects: tuple[tuple[int, PortfolioOutcome], ...]

    def find_rows(self, first: int, block: BlockOutcome) -> NDArray[np.intp]:
        """Find the rows of a block that are outcomes of the page."""
        ordinals = self.ordinals
        rows = slice(max(0, ordinals.start - first), max(0, ordinals.stop - first))
        return rows.start + np.flatnonzero(block.status[rows] != BESIDE)

    def count(self) -> int:
        """Count the outcomes of the page."""
        in_blocks = sum(len(self.find_rows(first, block)) for first, block in self.blocks)
        return in_blocks + len(self.objects)


def count_page_rows(securities: int) -> int:
    """Count the portfolios that a page covers.

    >>> count_page_rows(3), count_page_rows(50), count_page_rows(5_000)
    (4096, 2000, 20)
    """
    return max(1, min(MAX_PAGE_ROWS, PAGE_POSITIONS // max(1, securities)))


class OutcomeReader:
    """Reader of the outcomes of rebalances, by ordinal or by portfolio."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._rebalances = database[REBALANCES]
        self._outcomes = database[OUTCOMES]
        self._chunks = database[OUTCOME_CHUNKS]

    async def read_ordinals(
        self, rebalance: Rebalance, ordinals: range
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the stored outcomes with these ordinals, in order.

        Outcomes are looked up by id, because then the last page costs no more than the first.
        """
        outcomes: PlacedOutcomes = []
        for start in range(ordinals.start, ordinals.stop, OUTCOME_BATCH_SIZE):
            missing = set(range(start, min(start + OUTCOME_BATCH_SIZE, ordinals.stop)))
            for look_up in _order_look_ups(
                rebalance,
                self._read_embedded_by_ordinal,
                self._read_rows_by_ordinal,
                self._read_documents_by_ordinal,
            ):
                outcomes += await look_up(rebalance, missing) if missing else []
                missing.difference_update(ordinal for ordinal, _ in outcomes)
        return _sort_by_ordinal(outcomes)

    async def read_places(
        self, rebalance: Rebalance, places: Sequence[tuple[int, int]]
    ) -> tuple[PortfolioOutcome, ...]:
        """Return outcomes in the order of their places.

        A place is the ordinal, and the first ordinal of the document of columns that has it, or
        ``APART``. With both, distant outcomes are found without reading the columns between them.
        """
        apart = [at for at, first in places if first == APART]
        outcomes = dict(await self._read_documents_by_ordinal(rebalance, apart))
        in_columns = {at: first for at, first in places if first != APART}
        firsts = sorted(set(in_columns.values()))
        keys = [build_outcome_id(rebalance.rebalance_id, first) for first in firsts]
        async for document in self._chunks.find({"_id": {"$in": keys}}):
            ordinals = range(parse_ordinal(document["_id"]), document["end"])
            rows = [at - ordinals.start for at in ordinals if at in in_columns]
            outcomes |= _decode_rows(document, rebalance, rows)
        return tuple([outcomes[at] for at, _ in places if at in outcomes])

    async def iterate_pages(self, rebalance: Rebalance) -> AsyncIterator[OutcomePage]:
        """Iterate over all stored outcomes of a rebalance, a page at a time."""
        first = 0
        while first < rebalance.number_of_portfolios:
            page = await self.read_page(rebalance, first)
            yield page
            first = page.ordinals.stop

    async def read_page(self, rebalance: Rebalance, first: int) -> OutcomePage:
        """Return the stored outcomes from an ordinal on, as many as fit a page in memory.

        The page ends after a whole document of columns, because otherwise the next page would read
        the document again; or earlier, after ``MAX_PAGE_OBJECTS`` outcomes without columns.
        """
        rows = count_page_rows(len(rebalance.securities))
        stop = min(first + rows, rebalance.number_of_portfolios)
        if stop <= first:
            return OutcomePage(range(first, first), (), ())
        if may_hold_outcome(rebalance) and (within := await self._read_embedded(rebalance)):
            return OutcomePage(range(first, stop), (), tuple(within))
        query = build_covering_filter(rebalance.rebalance_id, range(first, stop))
        documents = self._chunks.find(query, sort=[("_id", 1)])
        blocks = [decode_block(document, rebalance.securities) async for document in documents]
        stop = max([stop, *(start + len(block) for start, block in blocks)])
        objects = await self._read_first_documents(
            rebalance, range(first, stop), min(MAX_PAGE_OBJECTS, rows)
        )
        if len(objects) == min(MAX_PAGE_OBJECTS, rows):
            stop = objects[-1][0] + 1
        in_columns = _list_column_ordinals(blocks) if objects else set[int]()
        return OutcomePage(
            range(first, stop),
            tuple((start, block) for start, block in blocks if start < stop),
            tuple((at, outcome) for at, outcome in objects if at not in in_columns),
        )

    async def read_portfolios(
        self, rebalance: Rebalance, portfolio_ids: Iterable[str]
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the stored outcomes of these portfolios in the rebalance, by ordinal."""
        outcomes: PlacedOutcomes = []
        missing = set(portfolio_ids)
        for look_up in _order_look_ups(
            rebalance,
            self._read_embedded_by_portfolio,
            self._read_rows_by_portfolio,
            self._read_documents_by_portfolio,
        ):
            outcomes += await look_up(rebalance, missing) if missing else []
            missing.difference_update(outcome.portfolio_id for _, outcome in outcomes)
        return _sort_by_ordinal(outcomes)

    async def read_portfolio_page(
        self, rebalance: Rebalance, portfolio_ids: Sequence[str], offset: int, limit: int
    ) -> tuple[PortfolioOutcome, ...]:
        """Return a page of the outcomes of these portfolios in the rebalance, by ordinal."""
        within = (
            await self._read_embedded_by_portfolio(rebalance, portfolio_ids)
            if may_hold_outcome(rebalance)
            else []
        )
        places = {ordinal: outcome.portfolio_id for ordinal, outcome in within}
        query = _build_document_filter(rebalance, portfolio_ids)
        async for document in self._outcomes.find(query, {"portfolio_id": 1}):
            places[parse_ordinal(document["_id"])] = document["portfolio_id"]
        ids = set(portfolio_ids)
        async for document in self._find_portfolio_chunks([rebalance.rebalance_id], portfolio_ids):
            first = parse_ordinal(document["_id"])
            places |= {first + row: document["ids"][row] for row in _find_rows(document, ids)}
        page = sorted(places)[offset : offset + limit]
        return await self.read_portfolios(rebalance, [places[ordinal] for ordinal in page])

    async def count_by_rebalance(self, portfolio_ids: Sequence[str]) -> Counter[str]:
        """Count the documents of these portfolios by rebalance; 0 if only columns have them."""
        in_documents = {"$match": {"portfolio_id": {"$in": list(portfolio_ids)}}}
        rebalance_id = {"$substrBytes": ["$_id", 0, 24]}
        count = {"$group": {"_id": rebalance_id, "count": {"$sum": 1}}}
        groups = await self._outcomes.aggregate([in_documents, count])
        counts = Counter({group["_id"]: group["count"] async for group in groups})
        # These rebalances count 0, because the index has neither the row nor the status of an id.
        in_columns = {"$match": {"ids": {"$in": list(portfolio_ids)}}}
        groups = await self._chunks.aggregate([in_columns, {"$group": {"_id": "$rebalance_id"}}])
        counts.update({str(group["_id"]): 0 async for group in groups})
        within = self._rebalances.find(
            {EMBEDDED_PORTFOLIO: {"$in": list(portfolio_ids)}}, {"_id": 1}
        )
        counts.update({str(document["_id"]): 1 async for document in within})
        return counts

    async def count_in_columns(
        self, rebalance_ids: Sequence[str], portfolio_ids: Sequence[str]
    ) -> Counter[str]:
        """Count these portfolios in the columns of each of these rebalances."""
        counts, ids = Counter[str](), set(portfolio_ids)
        async for document in self._find_portfolio_chunks(rebalance_ids, portfolio_ids):
            counts[str(document["rebalance_id"])] += len(_find_rows(document, ids))
        return counts

    def _find_portfolio_chunks(
        self, rebalance_ids: Sequence[str], portfolio_ids: Sequence[str]
    ) -> AsyncCursor[Document]:
        """Find which portfolios are in documents of columns, without reading the columns."""
        query = _build_column_filter(rebalance_ids, portfolio_ids)
        return self._chunks.find(query, {"rebalance_id": 1, "ids": 1, "status.data": 1})

    async def _read_embedded_by_ordinal(
        self, rebalance: Rebalance, ordinals: Collection[int]
    ) -> PlacedOutcomes:
        return await self._read_embedded(rebalance) if 0 in ordinals else []

    async def _read_embedded_by_portfolio(
        self, rebalance: Rebalance, portfolio_ids: Collection[str]
    ) -> PlacedOutcomes:
        outcomes = await self._read_embedded(rebalance)
        return [(at, row) for at, row in outcomes if row.portfolio_id in portfolio_ids]

    async def _read_embedded(self, rebalance: Rebalance) -> PlacedOutcomes:
        """Read the outcome that the document of the rebalance holds, if it holds one."""
        document = await self._rebalances.find_one(
            {"_id": ObjectId(rebalance.rebalance_id)}, {OUTCOME: 1}
        )
        if document is None or OUTCOME not in document:
            return []
        return [(0, decode_outcome(document[OUTCOME], rebalance.securities))]

    async def _read_documents_by_ordinal(
        self, rebalance: Rebalance, ordinals: Collection[int]
    ) -> PlacedOutcomes:
        keys = [build_outcome_id(rebalance.rebalance_id, ordinal) for ordinal in ordinals]
        return await self._read_documents(rebalance, {"_id": {"$in": keys}})

    async def _read_documents_by_portfolio(
        self, rebalance: Rebalance, portfolio_ids: Collection[str]
    ) -> PlacedOutcomes:
        query = _build_document_filter(rebalance, portfolio_ids)
        return await self._read_documents(rebalance, query)

    async def _read_first_documents(
        self, rebalance: Rebalance, ordinals: range, limit: int
    ) -> PlacedOutcomes:
        first = build_outcome_id(rebalance.rebalance_id, ordinals[0])
        last = build_outcome_id(rebalance.rebalance_id, ordinals[-1])
        within = {"_id": {"$gte": first, "$lte": last}}
        documents = self._outcomes.find(within, sort=[("_id", 1)], limit=limit)
        return await _read_placed(documents, rebalance)

    async def _read_documents(self, rebalance: Rebalance, query: Document) -> PlacedOutcomes:
        documents = self._outcomes.find(query, batch_size=OUTCOME_BATCH_SIZE)
        return await _read_placed(documents, rebalance)

    async def _read_rows_by_ordinal(
        self, rebalance: Rebalance, ordinals: Collection[int]
    ) -> PlacedOutcomes:
        first, end = min(ordinals), max(ordinals) + 1
        outcomes: PlacedOutcomes = []
        query = build_covering_filter(rebalance.rebalance_id, range(first, end))
        async for document in self._chunks.find(query):
            start = parse_ordinal(document["_id"])
            in_columns = np.flatnonzero(decode_statuses(document) != BESIDE).tolist()
            rows = [row for row in in_columns if start + row in ordinals]
            outcomes += _decode_rows(document, rebalance, rows)
        return outcomes

    async def _read_rows_by_portfolio(
        self, rebalance: Rebalance, portfolio_ids: Collection[str]
    ) -> PlacedOutcomes:
        outcomes: PlacedOutcomes = []
        query = _build_column_filter([rebalance.rebalance_id], portfolio_ids)
        async for document in self._chunks.find(query):
            outcomes += _decode_rows(document, rebalance, _find_rows(document, portfolio_ids))
        return outcomes


async def _read_placed(documents: AsyncCursor[Document], rebalance: Rebalance) -> PlacedOutcomes:
    return [
        (parse_ordinal(document["_id"]), decode_outcome(document, rebalance.securities))
        async for document in documents
    ]


def _list_column_ordinals(blocks: Iterable[tuple[int, BlockOutcome]]) -> set[int]:
    """Find the portfolios whose outcomes are in these columns."""
    return {
        start + row
        for start, block in blocks
        for row in np.flatnonzero(block.status != BESIDE).tolist()
    }


LookUp = Callable[[Rebalance, Collection[K]], Awaitable[PlacedOutcomes]]


def _order_look_ups(
    rebalance: Rebalance, within: LookUp[K], rows: LookUp[K], documents: LookUp[K]
) -> tuple[LookUp[K], ...]:
    """Order the look-ups, because a rebalance outside a run has no columns."""
    if rebalance.run_id is not None:
        return rows, documents
    return (within, documents, rows) if may_hold_outcome(rebalance) else (documents, rows)


def _sort_by_ordinal(outcomes: PlacedOutcomes) -> tuple[PortfolioOutcome, ...]:
    return tuple(outcome for _, outcome in sorted(outcomes, key=lambda place: place[0]))


def _build_document_filter(rebalance: Rebalance, portfolio_ids: Collection[str]) -> Document:
    return {
        "portfolio_id": {"$in": list(portfolio_ids)},
        "_id": build_id_range(rebalance.rebalance_id),
    }


def _build_column_filter(rebalance_ids: Sequence[str], portfolio_ids: Collection[str]) -> Document:
    rebalances = [ObjectId(rebalance_id) for rebalance_id in rebalance_ids]
    return {"ids": {"$in": list(portfolio_ids)}, "rebalance_id": {"$in": rebalances}}


def _find_rows(document: Document, portfolio_ids: Collection[str]) -> list[int]:
    """Find the rows of these portfolios whose outcomes are in the columns."""
    in_columns = np.flatnonzero(decode_statuses(document) != BESIDE).tolist()
    return [row for row in in_columns if document["ids"][row] in portfolio_ids]


def _decode_rows(document: Document, rebalance: Rebalance, rows: Sequence[int]) -> PlacedOutcomes:
    if not rows:
        return []
    first, block = decode_block(document, rebalance.securities)
    return [(first + row, cast("PortfolioOutcome", block.outcome(row))) for row in rows]
