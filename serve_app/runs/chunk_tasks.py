"""The Ray tasks of runs: one chunk of portfolios each, in worker processes.

Every outcome is written under a key made of the rebalance and the portfolio's place in it, so a
task that runs twice changes nothing.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import ray
from numpy.typing import NDArray
from ray import ObjectRef

from optimization import BlockOutcome, PortfolioOutcome, Proof, Status
from serve_app.call_context import CallContext, TimeSplit, reserve_time, set_deadline
from serve_app.chunks.blocks import list_all_outcomes, list_separate_outcomes
from serve_app.chunks.unmatched_ids import list_other_holdings
from serve_app.chunks.work import RebalanceInput, Seconds, match, solve_in_arrays
from serve_app.observability.traces import span
from serve_app.ports.rebalances import RemoteElements, WriteOutcomes, WrittenOutcomes
from serve_app.ray_calls import StoredText, fan_out, result_of, tasks_at_a_time
from serve_app.resources import Resources
from serve_app.runs.chunk_texts import ChunkPreview, ChunkTexts, Preview, join_previews
from serve_app.runs.task_worker import load_worker, run_in_worker
from serve_app.settings import Settings
from storage.runs.chunk_store import Chunk, Report, sum_reports

MAX_DOCUMENTS_PER_PIECE = 5  # because larger arrays leave the cache of a processor
MAX_POSITIONS_PER_PIECE = 256_000

Text: TypeAlias = NDArray[np.uint8]
NO_TEXT: Final[Text] = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class ChunkSummary:
    """Report of a chunk, the length of its text, and whether any of its portfolios has a plan."""

    report: Report
    text_bytes: int
    has_plans: bool


async def preview_chunk(
    shared: RebalanceInput,
    chunk: Chunk,
    resources: Resources,
    within_s: float | None,
    write: WriteOutcomes,
) -> tuple[ChunkPreview, bytes]:
    """Fetch and solve one chunk and write its outcomes, but store nothing."""
    with set_deadline(within_s):
        solved, _ = await solve_in_arrays(shared, chunk, resources)
    unmatched = shared.rebalance.unmatched
    held = set(list_other_holdings(solved)).intersection(unmatched) if unmatched else ()
    written = await write(shared.rebalance, solved, shared.settings.time_zone, is_stored=False)
    refused = _objects(solved) if written.are_refused else ()
    return ChunkPreview(len(written.text), refused, frozenset(held)), written.text


@dataclass(frozen=True, slots=True)
class RecordedChunk:
    """Report of a chunk; its outcomes as text if a writer was given and all of them are new."""

    report: Report
    written: WrittenOutcomes | None = None


async def record_chunk(
    shared: RebalanceInput,
    chunk: Chunk,
    resources: Resources,
    within_s: float | None,
    write: WriteOutcomes | None = None,
) -> RecordedChunk | None:
    """Fetch, solve and record one chunk; None if its run may begin no more chunks."""
    run_id = shared.rebalance.run_id
    if run_id is not None and not await resources.runs.begin_chunk(run_id):
        return None
    # Whole, because a text is of all portfolios of the chunk.
    pieces = [chunk] if write else divide(chunk, len(shared.rebalance.securities))
    recorder = _Recorder(shared, resources, write)
    portfolios = len(chunk.portfolio_ids)
    opened = span("chunk", rebalance_id=chunk.rebalance_id, portfolios=portfolios)
    with set_deadline(within_s), reserve_time(portfolios), opened:
        return await _record_pieces(recorder, pieces)


def divide(chunk: Chunk, securities: int) -> list[Chunk]:
    """Divide a chunk into pieces that a processor works on at a time, at bounds of its grid."""
    grid, size = chunk.grid, len(chunk.portfolio_ids)
    documents = MAX_POSITIONS_PER_PIECE // max(1, securities * grid.step)
    step = grid.step * max(1, min(MAX_DOCUMENTS_PER_PIECE, documents))
    bounds = [each - chunk.first for each in range(grid.start, grid.stop, step)]
    cuts = [0, *(each for each in bounds if 0 < each < size), size]
    return [chunk.part(slice(*each)) for each in pairwise(cuts)]


async def _record_pieces(recorder: "_Recorder", pieces: Sequence[Chunk]) -> RecordedChunk:
    """Solve one piece after the other, each while the outcomes of the one before are written."""
    time_split = TimeSplit(len(pieces), 1)
    writing: asyncio.Task[RecordedChunk] | None = None
    reports: list[Report] = []
    try:
        for piece in pieces:
            with set_deadline(time_split.next_s()):
                solved = await solve_in_arrays(recorder.shared, piece, recorder.resources)
            if writing is not None:
                reports.append((await writing).report)
            writing = asyncio.create_task(recorder.record(piece, *solved))
        assert writing is not None
        last = await writing
        return RecordedChunk(sum_reports([*reports, last.report]), last.written)
    finally:
        # Awaited in any case, because nothing may be written after the end of the task.
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Recorder:
    """Recorder of the outcomes of a chunk, piece by piece."""

    shared: RebalanceInput
    resources: Resources
    write: WriteOutcomes | None

    async def record(
        self, piece: Chunk, solved: BlockOutcome | list[PortfolioOutcome], seconds: Seconds
    ) -> RecordedChunk:
        """Store the outcomes of a piece, and write their text if a writer was given."""
        begin = time.perf_counter()
        store, key = self.resources.rebalances, (piece.rebalance_id, piece.ordinals)
        if isinstance(solved, BlockOutcome):
            counts = await store.record_block(*key, solved, piece.grid)
        else:
            counts = await store.record(*key, solved, piece.grid)
        await match(self.shared.rebalance, solved, store)
        report = report_of(solved, counts, {**seconds, "write": time.perf_counter() - begin})
        # Outcomes that an earlier attempt stored stay, and may differ from these.
        if self.write is None or not counts.are_new:
            return RecordedChunk(report)
        zone = self.shared.settings.time_zone
        written = await self.write(self.shared.rebalance, solved, zone, is_stored=True)
        return RecordedChunk(report, written)


def _objects(solved: BlockOutcome | list[PortfolioOutcome]) -> list[PortfolioOutcome]:
    return list_all_outcomes(solved) if isinstance(solved, BlockOutcome) else solved


# Retried after a lost worker or node only, because an error of our own code would repeat.
@ray.remote(num_cpus=1, num_returns=2, max_retries=3, retry_exceptions=False)
def chunk_task(
    shared: RebalanceInput,
    chunk: Chunk,
    within_s: float | None,
    write: WriteOutcomes | None,
    context: CallContext,
) -> tuple[ChunkSummary | None, Text]:
    """Fetch, solve and record one chunk in a worker process; also return its text."""

    async def record(resources: Resources) -> RecordedChunk | None:
        with context.activate():
            return await record_chunk(shared, chunk, resources, within_s, write)

    recorded = run_in_worker(shared.settings, record)
    if recorded is None:
        return None, NO_TEXT
    written = recorded.written
    # An array, because its readers share it without a copy.
    text = NO_TEXT if written is None else np.frombuffer(written.text, np.uint8)
    has_plans = written is not None and not written.are_refused
    return ChunkSummary(recorded.report, text.size, has_plans), text


class TaskRunner:
    """OutcomeRunner that works on each chunk in a Ray task."""

    def __init__(self, settings: Settings, write: WriteOutcomes | None = None) -> None:
        self._settings = settings
        self._write = write
        self._inputs: dict[str, ObjectRef[RebalanceInput]] = {}  # by rebalance id
        self._tasks: set[ObjectRef[ChunkSummary | None]] = set()
        self._texts = ChunkTexts()

    async def count_at_a_time(self) -> int:
        """Return the number of tasks that the cluster runs at a time for one call."""
        return await tasks_at_a_time(self._settings)

    async def run(
        self, shared: RebalanceInput, chunk: Chunk, within_s: float | None
    ) -> Report | None:
        """Run the task of a chunk; the input of a rebalance goes to the object store once."""
        if chunk.rebalance_id not in self._inputs:
            self._inputs[chunk.rebalance_id] = ray.put(shared)
        start: Any = chunk_task  # because its type knows of one result alone
        # Without its deadline, because ``within_s`` is the part of it that is this chunk's.
        context = replace(CallContext.capture(), within_s=None)
        reference = self._inputs[chunk.rebalance_id]
        task, text = start.remote(reference, chunk, within_s, self._write, context)
        self._tasks.add(task)
        try:
            # Awaited although the run may be cancelled, because its end counts the stored outcomes:
            # nothing may be written afterwards.
            summary: ChunkSummary | None = await result_of(task, is_awaited=True)
        finally:
            self._tasks.discard(task)
        if summary is None:
            return None
        if summary.text_bytes:
            stored = StoredText(text, summary.text_bytes)
            self._texts.add(chunk, stored, has_plans=summary.has_plans)
        return summary.report

    def elements(self, portfolios: int) -> RemoteElements | None:
        """Return what the tasks wrote; None unless it is the answer for so many portfolios."""
        return self._texts.elements(portfolios)

    async def preview(self, shared: RebalanceInput, whole: Chunk) -> Preview:
        """Solve all portfolios by tasks that store nothing; the first error cancels the others."""
        reference, settings = ray.put(shared), shared.settings
        texts: dict[int, ObjectRef[Text]] = {}

        def submit(
            first: int, ids: Sequence[str], within_s: float | None
        ) -> ObjectRef[list[ChunkPreview]]:
            part = Chunk(whole.rebalance_id, first, tuple(ids))
            start: Any = _preview_task  # because its type knows of one result alone
            preview, texts[first] = start.remote(reference, part, within_s, self._write)
            return preview

        at_a_time = await tasks_at_a_time(settings)
        previews = await fan_out(whole.portfolio_ids, settings.run_chunk_size, submit, at_a_time)
        sizes = (preview.text_bytes for preview in previews)
        stored = [
            StoredText(texts[first], size) for first, size in zip(sorted(texts), sizes, strict=True)
        ]
        return join_previews(previews, stored)

    def interrupt(self) -> None:
        """Cancel the running tasks."""
        for task in self._tasks:
            ray.cancel(task, force=False)

    def forget(self, rebalance_id: str) -> None:
        """Release the input of a rebalance from the object store."""
        self._inputs.pop(rebalance_id, None)


def open_task_runner(
    settings: Settings, _: Resources, write: WriteOutcomes | None = None
) -> TaskRunner:
    """Open the runner of one run; its tasks open resources of their own."""
    return TaskRunner(settings, write)


@ray.remote(num_cpus=1, num_returns=2, max_retries=3, retry_exceptions=False)
def _preview_task(
    shared: RebalanceInput, chunk: Chunk, within_s: float | None, write: WriteOutcomes
) -> tuple[list[ChunkPreview], Text]:
    """Fetch and solve one chunk in a worker process; store nothing."""
    preview, text = run_in_worker(
        shared.settings, lambda resources: preview_chunk(shared, chunk, resources, within_s, write)
    )
    return [preview], np.frombuffer(text, np.uint8)


def report_of(
    solved: BlockOutcome | list[PortfolioOutcome],
    counts: Mapping[Status, int],
    seconds: Mapping[str, float],
) -> Report:
    """Summarize a chunk whose outcomes are stored."""
    outcomes = list_separate_outcomes(solved) if isinstance(solved, BlockOutcome) else solved
    certificates = [one.certificate for one in outcomes if one.certificate]
    methods = Counter(one.method.value for one in certificates)
    proofs = Counter(one.proof.value for one in certificates)
    if isinstance(solved, BlockOutcome):
        plain = {one.value: count for one, count in solved.count_methods().items()}
        methods.update(plain)
        proofs.update({Proof.OPTIMAL.value: sum(plain.values())})  # as every plain row is
    return Report(counts, methods, seconds, proofs=+proofs)


@ray.remote(num_cpus=1)
def _warm_task(settings: Settings, _: WriteOutcomes) -> None:
    """Load the libraries and connections of a worker, so that the first run need not wait."""
    load_worker(settings)


def warm_workers(settings: Settings, count: int, write: WriteOutcomes) -> None:
    """Start ``count`` worker processes in the background, with what ``write`` imports."""
    for _ in range(count):
        _warm_task.remote(settings, write)
