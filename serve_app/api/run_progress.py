"""State of a run in the answers of the routes that begin and follow runs."""

from starlette.responses import Response

from serve_app.api.dependencies import RESPOND_ASYNC
from serve_app.api.responses import json_response
from serve_app.api.schemas.runs import MAX_LISTED_REBALANCES, RunAnswer, run_json
from serve_app.ports.runs import StoredRuns
from storage.runs.run import Run

PREFERENCE_APPLIED = {"Preference-Applied": RESPOND_ASYNC}


async def answer_accepted(store: StoredRuns, run: Run, headers: dict[str, str]) -> Response:
    """Answer a request whose work continues in the background."""
    location = {"Location": f"/api/v1/runs/{run.run_id}"}
    return json_response(await progress_json(store, run), 202, location | headers)


async def progress_json(store: StoredRuns, run: Run) -> RunAnswer:
    """Read the state of a run with its first rebalances and errors."""
    ids = await store.list_run_rebalance_ids(run.run_id, MAX_LISTED_REBALANCES)
    errors = await store.list_run_errors(run.run_id, MAX_LISTED_REBALANCES)
    return run_json(run, ids, errors)
