"""Answers of the service about runs over a book, and the events of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from serve_app.client.responses.problems import Problem

OVER = frozenset({"COMPLETED", "CANCELLED", "STOPPED"})


@dataclass(frozen=True, slots=True)
class Progress:
    """Number done, and the total, which is not known from the beginning."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """The source of the holdings."""

    source: Literal["summaries", "pages", "file"]
    file: str | None = None


@dataclass(frozen=True, slots=True)
class ChunkError:
    """Consecutive portfolios that failed for the same reason."""

    rebalance_id: str
    first: int
    portfolios: int
    detail: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The portfolios that a run selects; ``models`` are the first 100."""

    models: tuple[str, ...]
    number_of_models: int
    number_of_portfolios: int | None
    whole_book: bool


@dataclass(frozen=True, slots=True)
class Run:
    """The state of a run over a book; a field that is not known yet is None."""

    run_id: str
    status: Literal[
        "QUEUED", "RUNNING", "CANCELLING", "DISCARDING", "COMPLETED", "CANCELLED", "STOPPED"
    ]
    number_of_rebalances: int | None
    portfolios: Progress
    chunks: Progress
    counts: Mapping[str, int]
    methods: Mapping[str, int]
    seconds: Mapping[str, float]
    portfolios_per_second: float | None
    remaining_seconds: float | None
    holdings: Holdings
    rebalances: tuple[str, ...]
    errors: tuple[ChunkError, ...]
    error: Problem | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime | None
    finished_at: datetime | None
    unmatched: tuple[str, ...] = ()
    selection: Selection | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    begun_by: str | None = None
    correlation_id: str = ""
    retry_of: str | None = None
    proofs: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def is_over(self) -> bool:
        """True if the run is over, so that its state no longer changes."""
        return self.status in OVER


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """Portfolios of a run that are done; ``number`` counts up through the run."""

    number: int
    rebalance_id: str
    first: int
    portfolios: int
    counts: Mapping[str, int]
    methods: Mapping[str, int]
    error: str | None
    done_at: datetime


RunEvent = ChunkDone | Run
"""An event of a run: a chunk that is done, or the state of the run; the last state is final."""
