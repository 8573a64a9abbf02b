"""Runs over a book."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from serve_app.client.call import Call, Options, change, get, work
from serve_app.client.endpoints.media_types import MEDIA_TYPES
from serve_app.client.responses.rebalances import PortfolioResult
from serve_app.client.responses.runs import Run
from serve_app.client.streaming import Events, Lines, Pieces


def begin_run(
    *,
    models: Sequence[str] | None = None,
    portfolios: Sequence[str] | None = None,
    whole_book: bool = False,
    retry_of: str | None = None,
    codes: Sequence[str] | None = None,
    options: Options | None = None,
    options_by_portfolio: Mapping[str, Options] | None = None,
    holdings: dict[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[Run]:
    """Begin to rebalance several models, a list of portfolios or the whole book.

    ``retry_of`` selects the portfolios that an earlier run left without a plan, ``codes`` only
    those with one of these reasons.
    """
    members = {
        "models": models,
        "portfolios": portfolios,
        "retry_of": retry_of,
        "codes": codes,
        "options": options,
        "options_by_portfolio": options_by_portfolio,
        "holdings": holdings,
    }
    body = {name: value for name, value in members.items() if value is not None}
    return work(Run, ("runs",), {**body, "whole_book": whole_book}, idempotency_key)


def list_runs(
    *, status: Sequence[str] = (), since: datetime | None = None, limit: int = 10
) -> Call[tuple[Run, ...]]:
    """List runs in these states and begun since then, the newest first, ``limit`` in a request."""
    query = {"status": list(status) or None, "since": since and since.isoformat()}
    return get(tuple[Run, ...], "runs", **query, limit=limit)


def read_run(run_id: str) -> Call[Run]:
    """Read the state of a run."""
    return get(Run, "runs", run_id)


def cancel_run(run_id: str) -> Call[Run]:
    """Stop a run from starting more work; finished portfolios stay."""
    return change(Run, "DELETE", ("runs", run_id), None, None)


def follow_run(run_id: str, *, after: int = 0) -> Events:
    """Follow a run to its end, beginning after the chunk ``after``, over broken connections."""
    call = get(None, "runs", run_id, "events")
    return Events(call.with_headers({"Last-Event-ID": str(after)}), after)


def stream_outcomes(run_id: str) -> Lines[PortfolioResult]:
    """Stream the known outcomes of a run, in the order of rebalances and portfolios."""
    return Lines(get(None, "runs", run_id, "outcomes"), PortfolioResult)


def export_outcomes(run_id: str, kind: Literal["parquet", "arrows", "jsonl"]) -> Pieces:
    """Export the outcomes of a run as a file, piece by piece."""
    call = get(None, "runs", run_id, "outcomes")
    return Pieces(call.with_headers({"Accept": MEDIA_TYPES[kind]}))
