"""Chunks of a run: slices of its portfolios, each with a report once the chunk is done.

The open chunks are the remaining work of a run, for any process that continues the run. The
numbered reports of the done chunks are the events of the run.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Final

from bson import ObjectId
from pymongo import UpdateOne, timeout
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from optimization import Status
from storage.errors import LeaseLostError
from storage.mongo.connection import WRITER_TIMEOUT_S, Document, translate_failures
from storage.rebalances.outcome_columns import MAX_ROWS
from storage.rebalances.outcomes import allow_repetition, build_outcome_id, is_repetition

COLLECTION = "chunks"
OPEN: Final = "OPEN"
DONE: Final = "DONE"
CHUNK_BATCH_SIZE: Final = 25  # chunks in one insert or page, up to 350 kB of portfolio ids each


@dataclass(frozen=True, slots=True)
class Chunk:
    """Portfolios of one rebalance that have the ordinals ``first``, ``first + 1`` ..."""

    rebalance_id: str
    first: int
    portfolio_ids: tuple[str, ...]
    rows: int = MAX_ROWS  # portfolios in a document of columns
    part_of: range | None = None  # ordinals of the stored chunk that this is a part of

    @property
    def chunk_id(self) -> str:
        """The id of the chunk, which is the id of its first outcome."""
        return build_outcome_id(self.rebalance_id, self.first)

    @property
    def ordinals(self) -> range:
        """The ordinals of the chunk's portfolios in the rebalance."""
        return range(self.first, self.first + len(self.portfolio_ids))

    @property
    def grid(self) -> range:
        """First ordinals of the documents of columns; the stored chunk and its parts have one."""
        ordinals = self.part_of or self.ordinals
        return range(ordinals.start, ordinals.stop, self.rows)

    def part(self, rows: slice) -> "Chunk":
        """Make the part of the chunk with these rows.

        >>> chunk = Chunk("6" * 24, 100, ("P", "Q", "R"), rows=2)
        >>> chunk.part(slice(1, 3)).ordinals, chunk.part(slice(1, 3)).grid
        (range(101, 103), range(100, 103, 2))
        """
        first = self.first + (rows.start or 0)
        ids, whole = self.portfolio_ids[rows], self.part_of or self.ordinals
        return Chunk(self.rebalance_id, first, ids, self.rows, whole)


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a chunk: portfolios by outcome, method and proof, and seconds by stage of work."""

    counts: Mapping[Status, int]
    methods: Mapping[str, int]
    seconds: Mapping[str, float]
    error: str | None = None  # reason why the chunk was given up
    proofs: Mapping[str, int] = field(default_factory=dict[str, int])

    def __add__(self, other: "Report") -> "Report":
        """Add the reports of two parts of a chunk."""
        return Report(
            Counter(self.counts) + Counter(other.counts),
            Counter(self.methods) + Counter(other.methods),
            add_seconds(self.seconds, other.seconds),
            self.error or other.error,
            Counter(self.proofs) + Counter(other.proofs),
        )


def sum_reports(reports: Iterable[Report]) -> Report:
    """Sum the reports of the parts of a chunk."""
    return reduce(Report.__add__, reports)


def add_seconds(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Add the seconds of both by stage."""
    return {stage: one.get(stage, 0) + other.get(stage, 0) for stage in one.keys() | other.keys()}


@dataclass(frozen=True, slots=True)
class Event:
    """A done chunk; ``number`` counts the done chunks of a run from 1, in order of completion."""

    number: int
    rebalance_id: str
    first: int
    portfolios: int
    report: Report
    done_at: datetime


class ChunkStore:
    """The chunks of all runs of one database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._chunks = database[COLLECTION]

    @translate_failures
    async def add(self, run_id: str, chunks: Sequence[Chunk]) -> None:
        """Store open chunks; a chunk that is stored already stays as it is."""
        for start in range(0, len(chunks), CHUNK_BATCH_SIZE):
            documents = [
                _encode_chunk(run_id, chunk) for chunk in chunks[start : start + CHUNK_BATCH_SIZE]
            ]
            with allow_repetition(), timeout(WRITER_TIMEOUT_S):
                await self._chunks.insert_many(documents, ordered=False)

    async def stream_open(self, run_id: str) -> AsyncIterator[Chunk]:
        """Yield the open chunks in order, with one page of chunks in memory at a time."""
        last = ""
        while page := await self._list_open_after(run_id, last):
            for document in page:
                yield _decode_chunk(document)
            last = page[-1]["_id"]

    @translate_failures
    async def _list_open_after(self, run_id: str, last: str) -> list[Document]:
        query = {"run_id": ObjectId(run_id), "state": OPEN, "_id": {"$gt": last}}
        # The hint is needed, because by the index of ids the query reads the chunks of all runs.
        cursor = self._chunks.find(query, sort=[("_id", 1)], limit=CHUNK_BATCH_SIZE, hint="open")
        return await cursor.to_list()

    @translate_failures
    async def count_open_by_rebalance(self, run_id: str) -> dict[str, int]:
        """Count the open chunks of each rebalance of the run; a rebalance without any is absent."""
        pipeline = [
            {"$match": {"run_id": ObjectId(run_id), "state": OPEN}},
            {"$group": {"_id": "$rebalance_id", "chunks": {"$sum": 1}}},
        ]
        with timeout(WRITER_TIMEOUT_S):
            groups = await self._chunks.aggregate(pipeline)
            return {str(group["_id"]): group["chunks"] async for group in groups}

    @translate_failures
    async def record_reports(
        self,
        run_id: str,
        first_number: int,
        reports: Sequence[tuple[Chunk, Report]],
        done_at: datetime,
    ) -> None:
        """Store the reports of chunks under ascending numbers; the first report of a chunk stands.

        The writes are ordered, because a reader of events must not see a number before the lower
        numbers. Raises LeaseLostError if a number is taken, because another process then works on
        the run.
        """
        updates = [
            UpdateOne(
                {"_id": chunk.chunk_id, "state": OPEN},
                {
                    "$set": _encode_report(number, report, done_at),
                    "$unset": {"portfolio_ids": ""},
                },
            )
            for number, (chunk, report) in enumerate(reports, first_number)
        ]
        try:
            await self._chunks.bulk_write(updates, ordered=True)
        except BulkWriteError as error:
            if not is_repetition(error):
                raise
            raise LeaseLostError(run_id) from error

    @translate_failures
    async def list_events(self, run_id: str, after: int = 0, limit: int = 0) -> tuple[Event, ...]:
        """Return the chunks that were done after the event with this number, in order."""
        query = {"run_id": ObjectId(run_id), "number": {"$gt": after}}
        cursor = self._chunks.find(query, sort=[("number", 1)], limit=limit)
        return tuple([_decode_event(document) async for document in cursor])

    @translate_failures
    async def list_errors(self, run_id: str, limit: int) -> tuple[Event, ...]:
        """Return the first chunks that were given up."""
        query = {"run_id": ObjectId(run_id), "number": {"$gt": 0}, "error": {"$ne": None}}
        cursor = self._chunks.find(query, sort=[("number", 1)], limit=limit)
        return tuple([_decode_event(document) async for document in cursor])

    @translate_failures
    async def forget(self, run_id: str) -> None:
        """Remove the chunks of a run."""
        with timeout(WRITER_TIMEOUT_S):
            await self._chunks.delete_many({"run_id": ObjectId(run_id)})


def _encode_chunk(run_id: str, chunk: Chunk) -> Document:
    return {
        "_id": chunk.chunk_id,
        "run_id": ObjectId(run_id),
        "rebalance_id": ObjectId(chunk.rebalance_id),
        "first": chunk.first,
        "portfolios": len(chunk.portfolio_ids),
        "portfolio_ids": list(chunk.portfolio_ids),
        "rows": chunk.rows,
        "state": OPEN,
    }


def _encode_report(number: int, report: Report, done_at: datetime) -> Document:
    return {
        "state": DONE,
        "number": number,
        "counts": {status.value: count for status, count in report.counts.items()},
        "methods": dict(report.methods),
        "proofs": dict(report.proofs),
        "seconds": dict(report.seconds),
        "error": report.error,
        "done_at": done_at,
    }


def _decode_chunk(document: Document) -> Chunk:
    ids = tuple(document["portfolio_ids"])
    rows = document.get("rows", MAX_ROWS)  # an earlier release did not store the number
    return Chunk(str(document["rebalance_id"]), document["first"], ids, rows)


def _decode_event(document: Document) -> Event:
    report = Report(
        {Status(status): count for status, count in document["counts"].items()},
        document["methods"],
        document["seconds"],
        document["error"],
        document.get("proofs", {}),  # an earlier release did not count them
    )
    return Event(
        document["number"],
        str(document["rebalance_id"]),
        document["first"],
        document["portfolios"],
        report,
        document["done_at"],
    )
