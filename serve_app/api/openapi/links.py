"""Links of the OpenAPI document: operations that take the ids of an answer."""

from serve_app.json_text import Json

OF_ID = {
    "model_id": ("read_model", "rebalance_model", "measure_portfolios", "list_model_versions"),
    "rebalance_id": (
        "read_rebalance",
        "list_portfolios",
        "list_transactions",
        "hand_over",
        "list_orders",
    ),
    "run_id": ("read_run", "stream_outcomes", "cancel_run"),
}
# Operation, status of its answer, and pointer to the id in the answer.
ANSWERED = (
    ("add_model", "201", "/model_id"),
    ("list_models", "200", "/0/model_id"),
    ("rebalance_model", "200", "/0/rebalance_id"),
    ("rebalance_model", "202", "/run_id"),
    ("rebalance_portfolio", "200", "/rebalance_id"),
    ("rebalance_portfolio", "202", "/run_id"),
    ("list_rebalances", "200", "/0/rebalance_id"),
    ("begin_run", "202", "/run_id"),
    ("list_runs", "200", "/0/run_id"),
)


def add_links(operation: Json) -> None:
    """Add the operations that take the ids in an operation's answer."""
    for name, status, pointer in ANSWERED:
        if operation["operationId"] == name:
            operation["responses"][status]["links"] = _links(pointer)


def _links(pointer: str) -> Json:
    parameter = pointer.rpartition("/")[2]
    parameters = {parameter: f"$response.body#{pointer}"}
    return {name: {"operationId": name, "parameters": parameters} for name in OF_ID[parameter]}
