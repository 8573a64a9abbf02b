"""Run: the rebalances of one or more models at one price snapshot, and its document."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from bson import ObjectId

from optimization import OptionOverrides, OverridesByPortfolio, Refusal, Status
from storage.idempotency_store import IdempotencyClaim
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import decode_decimal, to_milliseconds, to_storable
from storage.options import (
    decode_overrides,
    decode_own_overrides,
    encode_overrides,
    encode_own_overrides,
)


class RunStatus(StrEnum):
    """State of a run."""

    QUEUED = "QUEUED"  # accepted; portfolios and prices are being looked up
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"  # no new chunk begins; begun chunks are finished
    DISCARDING = "DISCARDING"  # the caller hung up; begun chunks are finished, outcomes removed
    COMPLETED = "COMPLETED"  # every portfolio has its outcome
    CANCELLED = "CANCELLED"  # earlier outcomes stay
    STOPPED = "STOPPED"  # failed for the reason in ``problem``; earlier outcomes stay

    @property
    def is_over(self) -> bool:
        """Whether the run has reached a final state."""
        return self not in UNFINISHED


UNFINISHED: Final = (
    RunStatus.QUEUED,
    RunStatus.RUNNING,
    RunStatus.CANCELLING,
    RunStatus.DISCARDING,
)


UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Selection:
    """The portfolios of a run: followers of these models, these portfolios, both, or all.

    Each portfolio is rebalanced once, to the newest model that it follows. If models are named,
    only these models count.
    """

    model_ids: tuple[str, ...] = ()
    portfolio_ids: tuple[str, ...] = ()
    # The number is stored, because the ids may be unread; UNKNOWN for a run of an earlier release.
    stored_count: int | None = field(default=None, compare=False)

    def count_portfolios(self) -> int | None:
        """Count the portfolios that are named, read or not; None if the number is unknown."""
        if self.stored_count is None or self.portfolio_ids:
            return len(self.portfolio_ids)
        return None if self.stored_count == UNKNOWN else self.stored_count


@dataclass(frozen=True, slots=True)
class HoldingsRef:
    """Reference to the holdings of a run: a source by name, and the file of a bulk source.

    ``fingerprint`` identifies the content of the file when the run began.
    """

    source: str
    file: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The prices of a run by ticker, at one moment."""

    snapshot_id: str
    taken_at: datetime
    prices: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The work of a run and its prices; ``snapshot`` is None if no prices were available."""

    snapshot: Snapshot | None
    holdings: HoldingsRef
    rebalances: int
    portfolios: int
    chunks: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the done chunks of a run."""

    chunks: int = 0
    counts: Mapping[Status, int] = field(default_factory=dict[Status, int])
    methods: Mapping[str, int] = field(default_factory=dict[str, int])
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    unmatched: tuple[str, ...] = ()  # securities that options name and no portfolio has
    proofs: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def portfolios(self) -> int:
        """The number of portfolios with an outcome."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Run:
    """A run; a field is None until the run was planned, or has ended."""

    run_id: str
    selection: Selection
    overrides: OptionOverrides
    holdings: HoldingsRef
    created_at: datetime
    overrides_by_portfolio: OverridesByPortfolio = field(default_factory=dict[str, OptionOverrides])
    correlation_id: str = ""
    retry_of: str | None = None  # the run whose portfolios without a plan this one selects
    stops_on_outage: bool = False  # otherwise portfolios that could not be fetched are FAILED
    status: RunStatus = RunStatus.QUEUED
    number_of_rebalances: int | None = None
    number_of_portfolios: int | None = None
    number_of_chunks: int | None = None
    totals: Totals = field(default_factory=Totals)
    problem: Refusal | None = None  # reason why the run stopped
    takeovers: int = 0  # since the last progress of the run
    started_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    claim: IdempotencyClaim | None = None  # the idempotency key that the run settles when it ends
    begun_by: str | None = None  # principal that began it and chose its options; None if unknown


def encode_run(run: Run) -> Document:
    """Convert an accepted run to a document."""
    claim = {} if run.claim is None else {"claim": asdict(run.claim)}
    begun_by = {} if run.begun_by is None else {"begun_by": run.begun_by}
    return {
        **claim,
        **begun_by,
        "_id": ObjectId(run.run_id),
        "selection": {
            "model_ids": [ObjectId(model_id) for model_id in run.selection.model_ids],
            "portfolio_ids": list(run.selection.portfolio_ids),
            "number_of_portfolios": len(run.selection.portfolio_ids),
        },
        "overrides": to_storable(encode_overrides(run.overrides)),
        **encode_own_overrides(run.overrides_by_portfolio),
        "holdings": _encode_holdings(run.holdings),
        "correlation_id": run.correlation_id,
        "retry_of": run.retry_of and ObjectId(run.retry_of),
        "stops_on_outage": run.stops_on_outage,
        "status": run.status.value,
        "totals": encode_totals(run.totals),
        "created_at": to_milliseconds(run.created_at),
    }


def decode_run(document: Document) -> Run:
    """Convert a document to a run."""
    selection, problem = document["selection"], document.get("problem")
    claim = document.get("claim")
    return Run(
        run_id=str(document["_id"]),
        selection=Selection(
            tuple(str(model_id) for model_id in selection["model_ids"]),
            tuple(selection.get("portfolio_ids", ())),
            selection.get("number_of_portfolios", UNKNOWN),
        ),
        overrides=decode_overrides(document["overrides"]),
        overrides_by_portfolio=decode_own_overrides(document),
        holdings=HoldingsRef(**document["holdings"]),
        created_at=document["created_at"],
        correlation_id=document["correlation_id"],
        retry_of=str(document["retry_of"]) if document.get("retry_of") else None,
        stops_on_outage=document["stops_on_outage"],
        status=RunStatus(document["status"]),
        number_of_rebalances=document.get("number_of_rebalances"),
        number_of_portfolios=document.get("number_of_portfolios"),
        number_of_chunks=document.get("number_of_chunks"),
        totals=_decode_totals(document["totals"]),
        problem=None if problem is None else Refusal(**problem),
        takeovers=document.get("takeovers", 0),
        started_at=document.get("started_at"),
        updated_at=document.get("updated_at"),
        finished_at=document.get("finished_at"),
        claim=None if claim is None else IdempotencyClaim(**claim),
        begun_by=document.get("begun_by"),
    )


def encode_plan(plan: RunPlan) -> Document:
    """Convert a plan to the fields that it adds to the document of its run."""
    return {
        "holdings": _encode_holdings(plan.holdings),
        "number_of_rebalances": plan.rebalances,
        "number_of_portfolios": plan.portfolios,
        "number_of_chunks": plan.chunks,
        "started_at": plan.started_at,
        "snapshot": None if plan.snapshot is None else _encode_snapshot(plan.snapshot),
    }


def decode_snapshot(document: Document) -> Snapshot | None:
    """Convert the document of a run to its prices; None if the run has no prices."""
    snapshot = document.get("snapshot")
    if snapshot is None:
        return None
    prices = {ticker: decode_decimal(price) for ticker, price in snapshot["prices"]}
    return Snapshot(snapshot["snapshot_id"], snapshot["taken_at"], prices)


def _encode_holdings(holdings: HoldingsRef) -> Document:
    return {
        "source": holdings.source,
        "file": holdings.file,
        "fingerprint": holdings.fingerprint,
    }


def _encode_snapshot(snapshot: Snapshot) -> Document:
    return {
        "snapshot_id": snapshot.snapshot_id,
        "taken_at": snapshot.taken_at,
        # Pairs, because a ticker may contain a dot and a field name should not.
        "prices": [[ticker, price] for ticker, price in snapshot.prices.items()],
    }


def encode_totals(totals: Totals) -> Document:
    """Convert totals to a document."""
    return {
        "chunks": totals.chunks,
        "counts": {status.value: count for status, count in totals.counts.items()},
        "methods": dict(totals.methods),
        "proofs": dict(totals.proofs),
        "seconds": dict(totals.seconds),
        **({"unmatched": list(totals.unmatched)} if totals.unmatched else {}),
    }


def _decode_totals(document: Document) -> Totals:
    counts = {Status(status): count for status, count in document["counts"].items()}
    unmatched = tuple(document.get("unmatched", ()))
    return Totals(
        document["chunks"],
        counts,
        document["methods"],
        document["seconds"],
        unmatched,
        document.get("proofs", {}),  # an earlier release did not count them
    )
