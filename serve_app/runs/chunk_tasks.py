"""The Ray tasks of runs: one chunk of portfolios each, in worker processes.

Every outcome is written under a key made of the rebalance and the portfolio's place in it, so a
task that runs twice changes nothing.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from serve_app.ray_calls import StoredText, await_result, count_parallel_tasks, fan_out
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
    shared: RebalanceInput, chunk: Chunk, resources: Resources, write: WriteOutcomes
) -> tuple[ChunkPreview, bytes]:
    """Fetch and solve one chunk and write its outcomes, but store nothing."""
    outcomes, _ = await solve_in_arrays(shared, chunk, resources)
    unmatched = shared.rebalance.unmatched
    held_ids = set(list_other_holdings(outcomes)).intersection(unmatched) if unmatched else ()
    written_outcomes = await write(
        shared.rebalance, outcomes, shared.settings.time_zone, is_stored=False
    )
    refused_outcomes = _list_outcomes(outcomes) if written_outcomes.are_refused else ()
    text = written_outcomes.text
    return ChunkPreview(len(text), refused_outcomes, frozenset(held_ids)), text


@dataclass(frozen=True, slots=True)
class RecordedChunk:
    """Report of a chunk; its outcomes as text if there is a writer and all outcomes are new."""

    report: Report
    written_outcomes: WrittenOutcomes | None = None


async def record_chunk(
    shared: RebalanceInput,
    chunk: Chunk,
    resources: Resources,
    write: WriteOutcomes | None = None,
) -> RecordedChunk | None:
    """Fetch, solve and record one chunk; None if its run may begin no more chunks."""
    run_id = shared.rebalance.run_id
    if run_id is not None and not await resources.runs.begin_chunk(run_id):
        return None
    # A text is not divided, because its readers expect all portfolios of the chunk.
    pieces = [chunk] if write else divide(chunk, len(shared.rebalance.securities))
    recorder = _Recorder(shared, resources, write)
    portfolios = len(chunk.portfolio_ids)
    chunk_span = span("chunk", rebalance_id=chunk.rebalance_id, portfolios=portfolios)
    with reserve_time(portfolios), chunk_span:
        return await _record_pieces(recorder, pieces)


def divide(chunk: Chunk, securities: int) -> list[Chunk]:
    """Divide a chunk into pieces that a processor works on at a time, at bounds of its grid."""
    grid, size = chunk.grid, len(chunk.portfolio_ids)
    documents = MAX_POSITIONS_PER_PIECE // max(1, securities * grid.step)
    step = grid.step * max(1, min(MAX_DOCUMENTS_PER_PIECE, documents))
    bounds = [bound - chunk.first for bound in range(grid.start, grid.stop, step)]
    cuts = [0, *(bound for bound in bounds if 0 < bound < size), size]
    return [chunk.part(slice(*bound)) for bound in pairwise(cuts)]


async def _record_pieces(recorder: "_Recorder", pieces: Sequence[Chunk]) -> RecordedChunk:
    """Solve one piece after the other, each while the outcomes of the one before are written."""
    time_split = TimeSplit(len(pieces), 1)
    writing: asyncio.Task[RecordedChunk] | None = None
    reports: list[Report] = []
    try:
        for piece in pieces:
            with set_deadline(time_split.next_s()):
                outcomes_and_seconds = await solve_in_arrays(
                    recorder.shared, piece, recorder.resources
                )
            if writing is not None:
                reports.append((await writing).report)
            writing = asyncio.create_task(recorder.record(piece, *outcomes_and_seconds))
        assert writing is not None
        last = await writing
        return RecordedChunk(sum_reports([*reports, last.report]), last.written_outcomes)
    finally:
        # The write is awaited in any case, because nothing may be written after the task ends.
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
        self, piece: Chunk, outcomes: BlockOutcome | list[PortfolioOutcome], seconds: Seconds
    ) -> RecordedChunk:
        """Store the outcomes of a piece, and write their text if there is a writer."""
        begin = time.perf_counter()
        store, key = self.resources.rebalances, (piece.rebalance_id, piece.ordinals)
        if isinstance(outcomes, BlockOutcome):
            counts = await store.record_block(*key, outcomes, piece.grid)
        else:
            counts = await store.record(*key, outcomes, piece.grid)
        await match(self.shared.rebalance, outcomes, store)
        report = summarize_chunk(
            outcomes, counts, {**seconds, "write": time.perf_counter() - begin}
        )
        # Outcomes that an earlier attempt stored stay, and may differ from these.
        if self.write is None or not counts.are_new:
            return RecordedChunk(report)
        zone = self.shared.settings.time_zone
        written_outcomes = await self.write(self.shared.rebalance, outcomes, zone, is_stored=True)
        return RecordedChunk(report, written_outcomes)


def _list_outcomes(outcomes: BlockOutcome | list[PortfolioOutcome]) -> list[PortfolioOutcome]:
    return list_all_outcomes(outcomes) if isinstance(outcomes, BlockOutcome) else outcomes


# Ray retries after a lost worker or node only, because an error of our own code would repeat.
@ray.remote(num_cpus=1, num_returns=2, max_retries=3, retry_exceptions=False)
def chunk_task(
    shared: RebalanceInput,
    chunk: Chunk,
    write: WriteOutcomes | None,
    context: CallContext,
) -> tuple[ChunkSummary | None, Text]:
    """Fetch, solve and record one chunk in a worker process; also return its text."""

    async def record(resources: Resources) -> RecordedChunk | None:
        with context.activate():
            return await record_chunk(shared, chunk, resources, write)

    recorded_chunk = run_in_worker(shared.settings, record)
    if recorded_chunk is None:
        return None, NO_TEXT
    written_outcomes = recorded_chunk.written_outcomes
    # An array, because its readers share it without a copy.
    text = NO_TEXT if written_outcomes is None else np.frombuffer(written_outcomes.text, np.uint8)
    has_plans = written_outcomes is not None and not written_outcomes.are_refused
    return ChunkSummary(recorded_chunk.report, text.size, has_plans), text


class TaskRunner:
    """OutcomeRunner that works on each chunk in a Ray task."""

    def __init__(self, settings: Settings, write: WriteOutcomes | None = None) -> None:
        self._settings = settings
        self._write = write
        self._inputs: dict[str, ObjectRef[RebalanceInput]] = {}  # key: rebalance id
        self._tasks: set[ObjectRef[ChunkSummary | None]] = set()
        self._texts = ChunkTexts()

    async def count_at_a_time(self) -> int:
        """Return the number of tasks that the cluster runs at a time for one call."""
        return await count_parallel_tasks(self._settings)

    async def run(self, shared: RebalanceInput, chunk: Chunk) -> Report | None:
        """Run the task of a chunk; the input of a rebalance goes to the object store once."""
        if chunk.rebalance_id not in self._inputs:
            self._inputs[chunk.rebalance_id] = ray.put(shared)
        start: Any = chunk_task  # because its type has one result only
        reference = self._inputs[chunk.rebalance_id]
        task, text = start.remote(reference, chunk, self._write, CallContext.capture())
        self._tasks.add(task)
        try:
            # The task is awaited although the run may be cancelled, because the end of the run
            # counts the stored outcomes: nothing may be written afterwards.
            summary: ChunkSummary | None = await await_result(task, is_awaited=True)
        finally:
            self._tasks.discard(task)
        if summary is None:
            return None
        if summary.text_bytes:
            stored_text = StoredText(text, summary.text_bytes)
            self._texts.add(chunk, stored_text, has_plans=summary.has_plans)
        return summary.report

    def elements(self, portfolios: int) -> RemoteElements | None:
        """Return what the tasks wrote; None unless it is the answer for so many portfolios."""
        return self._texts.elements(portfolios)

    async def preview(self, shared: RebalanceInput, whole: Chunk) -> Preview:
        """Solve all portfolios by tasks that store nothing; the first error cancels the others."""
        reference, settings = ray.put(shared), shared.settings
        texts: dict[int, ObjectRef[Text]] = {}

        def submit(first: int, ids: Sequence[str]) -> ObjectRef[list[ChunkPreview]]:
            part = Chunk(whole.rebalance_id, first, tuple(ids))
            start: Any = _preview_task  # because its type has one result only
            context = CallContext.capture()
            preview, texts[first] = start.remote(reference, part, self._write, context)
            return preview

        at_a_time = await count_parallel_tasks(settings)
        previews = await fan_out(whole.portfolio_ids, settings.run_chunk_size, submit, at_a_time)
        sizes = (preview.text_bytes for preview in previews)
        stored_texts = [
            StoredText(texts[first], size) for first, size in zip(sorted(texts), sizes, strict=True)
        ]
        return join_previews(previews, stored_texts)

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
    shared: RebalanceInput, chunk: Chunk, write: WriteOutcomes, context: CallContext
) -> tuple[list[ChunkPreview], Text]:
    """Fetch and solve one chunk in a worker process; store nothing."""

    async def preview(resources: Resources) -> tuple[ChunkPreview, bytes]:
        with context.activate():
            return await preview_chunk(shared, chunk, resources, write)

    summary, text = run_in_worker(shared.settings, preview)
    return [summary], np.frombuffer(text, np.uint8)


def summarize_chunk(
    outcomes: BlockOutcome | list[PortfolioOutcome],
    counts: Mapping[Status, int],
    seconds: Mapping[str, float],
) -> Report:
    """Summarize a chunk whose outcomes are stored."""
    separate_outcomes = (
        list_separate_outcomes(outcomes) if isinstance(outcomes, BlockOutcome) else outcomes
    )
    certificates = [outcome.certificate for outcome in separate_outcomes if outcome.certificate]
    methods = Counter(certificate.method.value for certificate in certificates)
    proofs = Counter(certificate.proof.value for certificate in certificates)
    if isinstance(outcomes, BlockOutcome):
        plain = {method.value: count for method, count in outcomes.count_methods().items()}
        methods.update(plain)
        proofs.update({Proof.OPTIMAL.value: sum(plain.values())})  # plain rows are optimal
    return Report(counts, methods, seconds, proofs=+proofs)


@ray.remote(num_cpus=1)
def _warm_task(settings: Settings, _: WriteOutcomes) -> None:
    """Load the libraries and connections of a worker, so that the first run need not wait."""
    load_worker(settings)


def warm_workers(settings: Settings, count: int, write: WriteOutcomes) -> None:
    """Start ``count`` worker processes in the background, with what ``write`` imports."""
    for _ in range(count):
        _warm_task.remote(settings, write)
