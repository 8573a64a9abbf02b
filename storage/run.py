"""Run: a rebalance of one or many models under one price snapshot, and its document."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from bson import ObjectId

from optimization import Refusal, Status
from storage.idempotency_store import IdempotencyClaim
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import exact, storable, to_milliseconds
from storage.options import (
    OwnOverrides,
    overrides_document,
    overrides_from,
    own_document,
    own_from,
)


class RunStatus(StrEnum):
    """Where a book run stands."""

    QUEUED = "QUEUED"  # accepted; its portfolios and prices are being looked up
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"  # nothing new begins; what is under way is finished
    DISCARDING = (
        "DISCARDING"  # nobody waits for it: what is under way ends, what was done is removed
    )
    COMPLETED = "COMPLETED"  # every portfolio has its outcome
    CANCELLED = "CANCELLED"  # what was done before stays
    STOPPED = "STOPPED"  # could not go on; the problem says why, what was done before stays

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self not in UNFINISHED


UNFINISHED: Final = (
    RunStatus.QUEUED,
    RunStatus.RUNNING,
    RunStatus.CANCELLING,
    RunStatus.DISCARDING,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which portfolios: the followers of these models, or these portfolios, or both, or all.

    Each is rebalanced once, to the newest model that it follows (of those that are named, if any are).
    """

    model_ids: tuple[str, ...] = ()
    portfolio_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HoldingsRef:
    """Where a run takes its holdings from: a source by name, and the file of a bulk source.

    ``fingerprint`` tells the file as it was when the run began.
    """

    source: str
    file: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The prices of a run by ticker, as they were at one moment."""

    snapshot_id: str
    taken_at: datetime
    prices: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do in a run, and at which prices; None where there were none to be had."""

    snapshot: Snapshot | None
    holdings: HoldingsRef
    rebalances: int
    portfolios: int
    chunks: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the chunks that are done."""

    chunks: int = 0
    counts: Mapping[Status, int] = field(default_factory=dict[Status, int])
    methods: Mapping[str, int] = field(default_factory=dict[str, int])
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    unmatched: tuple[str, ...] = ()  # what options name and nobody has, once all is done

    @property
    def portfolios(self) -> int:
        """The portfolios that have their outcome."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Run:
    """A run over a book. What is None is not known before the run was planned, or ended."""

    run_id: str
    selection: Selection
    overrides: Mapping[str, Any]  # options of the request by name
    holdings: HoldingsRef
    created_at: datetime
    overrides_by_portfolio: OwnOverrides = field(default_factory=dict[str, Mapping[str, Any]])
    correlation_id: str = ""
    stops_on_outage: bool = False  # else the portfolios that could not be fetched are FAILED
    status: RunStatus = RunStatus.QUEUED
    number_of_rebalances: int | None = None
    number_of_portfolios: int | None = None
    number_of_chunks: int | None = None
    totals: Totals = field(default_factory=Totals)
    problem: Refusal | None = None  # why it stopped
    takeovers: int = 0  # since it last came further
    started_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    claim: IdempotencyClaim | None = None  # the idempotency key that the run settles when it ends


def run_document(run: Run) -> Document:
    """What is stored of a run that was accepted."""
    claim = {} if run.claim is None else {"claim": asdict(run.claim)}
    return {
        **claim,
        "_id": ObjectId(run.run_id),
        "selection": {
            "model_ids": [ObjectId(model_id) for model_id in run.selection.model_ids],
            "portfolio_ids": list(run.selection.portfolio_ids),
        },
        "overrides": storable(overrides_document(run.overrides)),
        **own_document(run.overrides_by_portfolio),
        "holdings": _holdings_document(run.holdings),
        "correlation_id": run.correlation_id,
        "stops_on_outage": run.stops_on_outage,
        "status": run.status.value,
        "totals": totals_document(run.totals),
        "created_at": to_milliseconds(run.created_at),
    }


def run_from(document: Document) -> Run:
    """The run a document holds."""
    selection, problem = document["selection"], document.get("problem")
    claim = document.get("claim")
    return Run(
        run_id=str(document["_id"]),
        selection=Selection(
            tuple(str(model_id) for model_id in selection["model_ids"]),
            tuple(selection.get("portfolio_ids", ())),
        ),
        overrides=overrides_from(document["overrides"]),
        overrides_by_portfolio=own_from(document),
        holdings=HoldingsRef(**document["holdings"]),
        created_at=document["created_at"],
        correlation_id=document["correlation_id"],
        stops_on_outage=document["stops_on_outage"],
        status=RunStatus(document["status"]),
        number_of_rebalances=document.get("number_of_rebalances"),
        number_of_portfolios=document.get("number_of_portfolios"),
        number_of_chunks=document.get("number_of_chunks"),
        totals=_totals_from(document["totals"]),
        problem=None if problem is None else Refusal(**problem),
        takeovers=document.get("takeovers", 0),
        started_at=document.get("started_at"),
        updated_at=document.get("updated_at"),
        finished_at=document.get("finished_at"),
        claim=None if claim is None else IdempotencyClaim(**claim),
    )


def plan_document(plan: Plan) -> Document:
    """What is stored of a plan, beside the fields of its run."""
    return {
        "holdings": _holdings_document(plan.holdings),
        "number_of_rebalances": plan.rebalances,
        "number_of_portfolios": plan.portfolios,
        "number_of_chunks": plan.chunks,
        "started_at": plan.started_at,
        "snapshot": None if plan.snapshot is None else _snapshot_document(plan.snapshot),
    }


def snapshot_from(document: Document) -> Snapshot | None:
    """The prices that the document of a run holds, if it was planned with any."""
    stored = document.get("snapshot")
    if stored is None:
        return None
    prices = {ticker: exact(price) for ticker, price in stored["prices"]}
    return Snapshot(stored["snapshot_id"], stored["taken_at"], prices)


def _holdings_document(holdings: HoldingsRef) -> Document:
    return {
        "source": holdings.source,
        "file": holdings.file,
        "fingerprint": holdings.fingerprint,
    }


def _snapshot_document(snapshot: Snapshot) -> Document:
    return {
        "snapshot_id": snapshot.snapshot_id,
        "taken_at": snapshot.taken_at,
        # pairs: a ticker may have a dot, which a field name should not
        "prices": [[ticker, price] for ticker, price in snapshot.prices.items()],
    }


def totals_document(totals: Totals) -> Document:
    """What is stored of totals."""
    return {
        "chunks": totals.chunks,
        "counts": {status.value: count for status, count in totals.counts.items()},
        "methods": dict(totals.methods),
        "seconds": dict(totals.seconds),
        **({"unmatched": list(totals.unmatched)} if totals.unmatched else {}),
    }


def _totals_from(document: Document) -> Totals:
    counts = {Status(status): count for status, count in document["counts"].items()}
    unmatched = tuple(document.get("unmatched", ()))
    return Totals(document["chunks"], counts, document["methods"], document["seconds"], unmatched)
