"""Every route as a function that builds its Call, under the name that the route has in the service.

A ``version`` is sent as If-Match: a change of another version is refused. An ``idempotency_key`` is
made unless it is given: give one to repeat a request in another process.
"""

from serve_app.client.endpoints.audit import (
    export_audit,
    list_audit_entries,
    read_audit_head,
    stream_audit,
)
from serve_app.client.endpoints.drift import measure_portfolio, measure_portfolios
from serve_app.client.endpoints.health import live, ready
from serve_app.client.endpoints.keys import add_key, list_keys, revoke_key, rotate_key
from serve_app.client.endpoints.media_types import MEDIA_TYPES, Format
from serve_app.client.endpoints.models import (
    add_model,
    add_portfolios,
    add_position,
    delete_model,
    list_model_versions,
    list_models,
    read_model,
    read_model_version,
    remove_portfolios,
    remove_position,
    replace_model,
    replace_position,
)
from serve_app.client.endpoints.names import name_portfolios, name_securities
from serve_app.client.endpoints.orders import (
    export_transactions,
    hand_over,
    list_orders,
    list_transactions,
)
from serve_app.client.endpoints.proposals import (
    decide_proposal,
    list_holds,
    list_proposals,
    propose_orders,
    read_proposal,
    withdraw_proposal,
)
from serve_app.client.endpoints.rebalances import (
    delete_rebalance,
    list_causes,
    list_outcomes,
    list_portfolios,
    list_positions,
    list_rebalance_summaries,
    list_rebalances,
    list_rebalances_of_portfolios,
    list_run_causes,
    optimize,
    read_outcome,
    read_rebalance,
    read_rebalance_summary,
    rebalance_model,
    rebalance_portfolio,
)
from serve_app.client.endpoints.runs import (
    begin_run,
    cancel_run,
    export_outcomes,
    follow_run,
    list_runs,
    read_run,
    stream_outcomes,
)

__all__ = [
    "MEDIA_TYPES",
    "Format",
    "add_key",
    "add_model",
    "add_portfolios",
    "add_position",
    "begin_run",
    "cancel_run",
    "decide_proposal",
    "delete_model",
    "delete_rebalance",
    "export_audit",
    "export_outcomes",
    "export_transactions",
    "follow_run",
    "hand_over",
    "list_audit_entries",
    "list_causes",
    "list_holds",
    "list_keys",
    "list_model_versions",
    "list_models",
    "list_orders",
    "list_outcomes",
    "list_portfolios",
    "list_positions",
    "list_proposals",
    "list_rebalance_summaries",
    "list_rebalances",
    "list_rebalances_of_portfolios",
    "list_run_causes",
    "list_runs",
    "list_transactions",
    "live",
    "measure_portfolio",
    "measure_portfolios",
    "name_portfolios",
    "name_securities",
    "optimize",
    "propose_orders",
    "read_audit_head",
    "read_model",
    "read_model_version",
    "read_outcome",
    "read_proposal",
    "read_rebalance",
    "read_rebalance_summary",
    "read_run",
    "ready",
    "rebalance_model",
    "rebalance_portfolio",
    "remove_portfolios",
    "remove_position",
    "replace_model",
    "replace_position",
    "revoke_key",
    "rotate_key",
    "stream_audit",
    "stream_outcomes",
    "withdraw_proposal",
]
