"""Ports of the runs over a book: their store, and the control of their work."""

from abc import abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from optimization import NO_OVERRIDES, OptionOverrides, OverridesByPortfolio
from serve_app.ports.port import broadcast, repeatable
from storage.idempotency_store import IdempotencyClaim
from storage.rebalances.rebalance import Rebalance
from storage.runs.chunk_store import Event
from storage.runs.run import HoldingsRef, Run, RunStatus, Selection


class StoredRuns(Protocol):
    """Runs over a book, their rebalances and their events."""

    @repeatable
    @abstractmethod
    async def read_run(self, run_id: str) -> Run:
        """Return the run; raise NotFoundError if it is not stored."""
        ...

    @repeatable
    @abstractmethod
    async def read_whole_run(self, run_id: str) -> Run:
        """Return the run with its portfolios and their options, which ``read_run`` leaves out."""
        ...

    @repeatable
    @abstractmethod
    async def list_runs(
        self,
        offset: int,
        limit: int,
        statuses: frozenset[RunStatus] = frozenset(),
        since: datetime | None = None,
    ) -> tuple[tuple[Run, ...], int]:
        """Return one page of the runs that match, the newest first, and their number."""
        ...

    @repeatable
    @abstractmethod
    async def cancel_run(self, run_id: str) -> Run:
        """Record that a run starts no more work; a run that is over stays as it is."""
        ...

    @repeatable
    @abstractmethod
    async def list_run_rebalances(
        self, run_id: str, after: str | None, limit: int
    ) -> tuple[Rebalance, ...]:
        """Return the rebalances of a run in the order of their ids, after this id."""
        ...

    @repeatable
    @abstractmethod
    async def list_run_rebalance_ids(self, run_id: str, limit: int) -> tuple[str, ...]:
        """Return the ids of the first rebalances of a run."""
        ...

    @repeatable
    @abstractmethod
    async def list_run_events(self, run_id: str, after: int, limit: int) -> tuple[Event, ...]:
        """Return the events of a run after the event of this number."""
        ...

    @repeatable
    @abstractmethod
    async def list_run_errors(self, run_id: str, limit: int) -> tuple[Event, ...]:
        """Return the first chunks of a run that were given up."""
        ...


@dataclass(frozen=True, slots=True)
class BeginRun:
    """Command: begin a run over a book; without ``holdings`` a setting names their source."""

    run_id: str
    selection: Selection
    overrides: OptionOverrides = NO_OVERRIDES
    overrides_by_portfolio: OverridesByPortfolio = field(default_factory=dict[str, OptionOverrides])
    holdings: HoldingsRef | None = None
    claim: IdempotencyClaim | None = None
    retry_of: str | None = None


class RunControl(Protocol):
    """Start of runs over a book, and news for the replicas that work on them."""

    @repeatable  # because every attempt names the same run, which begins once
    @abstractmethod
    async def begin_run(self, command: BeginRun) -> Run:
        """Store a run and return it; the work goes on without its caller."""
        ...

    @broadcast
    @abstractmethod
    async def check_cancellation(self, run_id: str) -> None:
        """Make the replica that works on a run read its state from the database at once."""
        ...
