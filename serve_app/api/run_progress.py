"""State of a run, as the routes that begin and follow runs answer it."""

from typing import Annotated

from fastapi import Depends, Header
from starlette.responses import Response

from serve_app.api.responses import json_response
from serve_app.api.schemas.runs import MAX_LISTED_REBALANCES, RunAnswer, run_json
from serve_app.ports.runs import StoredRuns
from storage.run import Run

RESPOND_ASYNC = "respond-async"
PREFERENCE_APPLIED = {"Preference-Applied": RESPOND_ASYNC}
Prefer = Annotated[
    list[str] | None,
    Header(description="`respond-async` (RFC 7240) returns 202 before the work is done"),
]


def _responds_async(prefer: Prefer = None) -> bool:
    wanted = ",".join(prefer or ()).split(",")
    return any(each.split(";")[0].strip().lower() == RESPOND_ASYNC for each in wanted)


RespondAsync = Annotated[bool, Depends(_responds_async)]


async def answer_accepted(store: StoredRuns, run: Run, headers: dict[str, str]) -> Response:
    """Answer a request whose work continues in the background."""
    location = {"Location": f"/api/v1/runs/{run.run_id}"}
    return json_response(await progress_json(store, run), 202, location | headers)


async def progress_json(store: StoredRuns, run: Run) -> RunAnswer:
    """Read the state of a run with its first rebalances and errors."""
    ids = await store.list_run_rebalance_ids(run.run_id, MAX_LISTED_REBALANCES)
    errors = await store.list_run_errors(run.run_id, MAX_LISTED_REBALANCES)
    return run_json(run, ids, errors)
