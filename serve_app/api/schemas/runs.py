"""Runs over a book: the request that begins a run, and the state of a run."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from optimization import OptionOverrides, Proof, RebalanceOptions, Status
from optimization.errors import RuleError
from serve_app.api.schemas.fields import (
    MODEL,
    DocumentedAs,
    InstantText,
    ObjectIdentifier,
    document_counts,
    inline_enum,
)
from serve_app.api.schemas.options import (
    OPTIONS,
    RebalanceOptionsBody,
    build_options,
    overrides_json,
)
from serve_app.api.schemas.stored_fields import Identifier, several_ids
from serve_app.api.schemas.stored_rebalances import PortfolioResult
from serve_app.json_text import encode
from serve_app.problems.documents import ProblemInAnswer
from serve_app.problems.error_table import build_problem
from storage.instants import format_instant
from storage.runs.chunk_store import Event
from storage.runs.run import HoldingsRef, Run, RunStatus, Selection

MAX_MODELS = 10_000
MAX_PORTFOLIOS = 100_000
MAX_LISTED_REBALANCES = 100
MAX_CODES = 20
CODE = r"^[a-z-]{1,40}$"  # the last part of the type of a problem
# The number is bounded, because the document of the run stores these options.
MAX_PORTFOLIOS_WITH_OPTIONS = 10_000
MAX_NAMED_SECURITIES = 100_000  # securities in all these options together


class HoldingsBody(BaseModel):
    """Source of the holdings: the accounting service, or a file in HOLDINGS_DIRECTORY."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["summaries", "pages", "file"]
    file: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,254}$",
            description="for the source `file`: Parquet or Arrow, one row per holding",
            examples=["2026-11-23.parquet"],
        ),
    ] = None

    @model_validator(mode="after")
    def _file_with_its_source(self) -> Self:
        if (self.source == "file") != (self.file is not None):
            raise ValueError(
                "file is required with the source file, and refused with every other source"
            )
        return self


class RunRequest(BaseModel):
    """Portfolios to rebalance, each once, to the newest model that it follows.

    ``models`` selects all their followers; ``portfolios`` selects these, but only followers of
    ``models`` if both are given; ``whole_book`` selects all. ``retry_of`` selects the portfolios
    that an earlier run left without a plan, with its options and source of holdings unless others
    are given.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"models": [MODEL], "options": OPTIONS}, {"whole_book": True}]
        },
    )

    models: Annotated[list[ObjectIdentifier] | None, Field(min_length=1, max_length=MAX_MODELS)] = (
        None
    )
    portfolios: (
        Annotated[list[str], several_ids(min_length=1, max_length=MAX_PORTFOLIOS)] | None
    ) = None
    whole_book: bool = False
    retry_of: ObjectIdentifier | None = None
    codes: Annotated[
        list[Annotated[str, Field(pattern=CODE)]] | None,
        Field(
            min_length=1,
            max_length=MAX_CODES,
            description="for `retry_of`: only portfolios with these reasons, the last part of "
            "their `type`",
            examples=[["prices-missing"]],
        ),
    ] = None
    options: RebalanceOptionsBody | None = None
    options_by_portfolio: Annotated[
        dict[Identifier, RebalanceOptionsBody] | None,
        Field(
            max_length=MAX_PORTFOLIOS_WITH_OPTIONS,
            description="options of single portfolios, each in place of the run's",
        ),
    ] = None
    holdings: HoldingsBody | None = None

    @model_validator(mode="after")
    def _some_selection(self) -> Self:
        # The whole book has to be asked for, otherwise an empty body would rebalance everything.
        named = self.models is not None or self.portfolios is not None
        if self.whole_book + named + (self.retry_of is not None) != 1:
            rule = "select either whole_book, or models, portfolios or both, or retry_of"
            raise ValueError(rule)
        if self.codes is not None and self.retry_of is None:
            raise ValueError("codes are for retry_of alone")
        return self


class Progress(TypedDict):
    """Number done, and the total."""

    done: int
    total: int | None


class HoldingsSource(TypedDict):
    """Source of the holdings of a run."""

    source: str
    file: str | None


class ChunkError(TypedDict):
    """Consecutive portfolios that failed for the same reason."""

    rebalance_id: ObjectIdentifier
    first: Annotated[int, Field(description="place of the first portfolio in the rebalance")]
    portfolios: int
    detail: str


class SelectionAnswer(TypedDict):
    """Portfolios that a run was asked for; ``models`` lists the first 100."""

    models: list[ObjectIdentifier]
    number_of_models: int
    number_of_portfolios: Annotated[
        int | None, Field(description="portfolios that were named; 0 if none")
    ]
    whole_book: bool


class RunAnswer(TypedDict):
    """State of a run; null is not known yet. ``rebalances`` and ``errors`` list the first 100."""

    run_id: ObjectIdentifier
    status: Annotated[RunStatus, DocumentedAs(inline_enum(RunStatus))]
    number_of_rebalances: int | None
    portfolios: Progress
    chunks: Progress
    counts: Annotated[dict[str, int], document_counts(Status)]
    methods: Annotated[dict[str, int], Field(description="portfolios by solution method")]
    proofs: Annotated[
        dict[str, int],
        document_counts(Proof),
        Field(description="portfolios by the proof of their plan"),
    ]
    seconds: Annotated[
        dict[str, float], Field(description="work by stage, summed over all processors")
    ]
    portfolios_per_second: float | None
    remaining_seconds: float | None
    selection: SelectionAnswer
    options: Annotated[dict[str, Any], Field(description="the options that were given")]
    begun_by: Annotated[str | None, Field(description="the principal; null if nobody is known")]
    correlation_id: str
    retry_of: ObjectIdentifier | None
    holdings: Annotated[HoldingsSource, DocumentedAs(HoldingsBody)]
    rebalances: list[ObjectIdentifier]
    errors: list[ChunkError]
    unmatched: Annotated[
        list[str],
        Field(
            description="ids that options name and nobody has; known once all portfolios are done"
        ),
    ]
    error: ProblemInAnswer | None
    created_at: InstantText
    started_at: InstantText | None
    updated_at: InstantText | None
    finished_at: InstantText | None


class ChunkDone(TypedDict):
    """A chunk of a run that is done, as the stream of events tells it."""

    number: int
    rebalance_id: str
    first: int
    portfolios: int
    counts: dict[str, int]
    methods: dict[str, int]
    error: str | None
    done_at: str


def build_selection(body: RunRequest) -> Selection:
    """Convert the selection, without repetitions."""
    # Ids of models are lower case, because an id in capitals names the same model.
    models = tuple(dict.fromkeys(model.lower() for model in body.models or ()))
    return Selection(models, tuple(dict.fromkeys(body.portfolios or ())))


def build_own_options(body: RunRequest) -> dict[str, OptionOverrides]:
    """Convert the options of single portfolios, each checked as merged over those of the run.

    Raises RuleError with the place in the body, and OptionsConflictError.
    """
    common, named = build_options(body.options), 0
    selected = None if body.models or not body.portfolios else frozenset(body.portfolios)
    own: dict[str, OptionOverrides] = {}
    for portfolio_id, options_body in (body.options_by_portfolio or {}).items():
        place = ("options_by_portfolio", portfolio_id)
        if selected is not None and portfolio_id not in selected:
            raise RuleError(place, portfolio_id, "the run does not select this portfolio")
        own[portfolio_id] = build_options(options_body)
        try:
            options = common.override_by(own[portfolio_id]).apply_to(RebalanceOptions())
        except RuleError as error:
            raise RuleError((*place, *error.field), error.value, error.rule) from error
        named += sum(1 for _ in options.named_ids())
        if named > MAX_NAMED_SECURITIES:
            most = f"at most {MAX_NAMED_SECURITIES:,} securities in total"
            rule = f"options of single portfolios may name {most}"
            raise RuleError(place, named, rule)
    return own


def build_holdings_ref(body: HoldingsBody | None) -> HoldingsRef | None:
    """Convert the source of the holdings, if given."""
    return None if body is None else HoldingsRef(body.source, body.file)


def run_json(
    run: Run,
    rebalances: tuple[str, ...],
    errors: tuple[Event, ...],
) -> RunAnswer:
    """Build the state of a run."""
    done = run.totals.portfolios
    rate = _rate(run)
    left = None if run.number_of_portfolios is None else run.number_of_portfolios - done
    remaining = left / rate if left is not None and rate and not run.status.is_over else None
    return {
        "run_id": run.run_id,
        "status": run.status,
        "number_of_rebalances": run.number_of_rebalances,
        "portfolios": {"done": done, "total": run.number_of_portfolios},
        "chunks": {"done": run.totals.chunks, "total": run.number_of_chunks},
        "counts": {str(status): count for status, count in run.totals.counts.items()},
        "methods": dict(run.totals.methods),
        "proofs": dict(run.totals.proofs),
        "seconds": {stage: round(seconds, 3) for stage, seconds in run.totals.seconds.items()},
        "portfolios_per_second": None if rate is None else round(rate, 1),
        "remaining_seconds": None if remaining is None else round(remaining, 1),
        "selection": _selection_json(run.selection),
        "options": dict(sorted(overrides_json(run.overrides).items())),
        "begun_by": run.begun_by,
        "correlation_id": run.correlation_id,
        "retry_of": run.retry_of,
        "holdings": {"source": run.holdings.source, "file": run.holdings.file},
        "rebalances": list(rebalances),
        "errors": [_error_json(event) for event in errors],
        "unmatched": list(run.totals.unmatched),
        "error": run.problem and build_problem(run.problem),
        "created_at": format_instant(run.created_at),
        "started_at": format_instant(run.started_at),
        "updated_at": format_instant(run.updated_at),
        "finished_at": format_instant(run.finished_at),
    }


def _selection_json(selection: Selection) -> SelectionAnswer:
    models, portfolios = selection.model_ids, selection.count_portfolios()
    return {
        "models": list(models[:MAX_LISTED_REBALANCES]),
        "number_of_models": len(models),
        "number_of_portfolios": portfolios,
        "whole_book": not models and portfolios == 0,
    }


def event_json(event: Event) -> ChunkDone:
    """Build the event of a chunk that is done."""
    return {
        "number": event.number,
        "rebalance_id": event.rebalance_id,
        "first": event.first,
        "portfolios": event.portfolios,
        "counts": {str(status): count for status, count in event.report.counts.items()},
        "methods": dict(event.report.methods),
        "error": event.report.error,
        "done_at": format_instant(event.done_at),
    }


def outcome_line(rebalance_id: str, portfolio: PortfolioResult) -> bytes:
    """Write one JSON line of a run's outcomes: a portfolio, and the id of its rebalance."""
    return encode({"rebalance_id": rebalance_id, **portfolio}) + b"\n"


def _error_json(event: Event) -> ChunkError:
    return {
        "rebalance_id": event.rebalance_id,
        "first": event.first,
        "portfolios": event.portfolios,
        "detail": event.report.error or "",
    }


def _rate(run: Run) -> float | None:
    """Portfolios per second, from the start of the first chunk to the end of the last."""
    if run.started_at is None or run.updated_at is None:
        return None
    seconds = (run.updated_at - run.started_at).total_seconds()
    return run.totals.portfolios / seconds if seconds > 0 else None
