"""Tables of the commands, a module for each noun; formats.py has their amounts and times."""

from serve_app.cli.tables.audit import tabulate_audit
from serve_app.cli.tables.drifts import (
    tabulate_book,
    tabulate_drift,
    tabulate_drifts,
    tabulate_histogram,
    tabulate_scans,
)
from serve_app.cli.tables.keys import tabulate_keys
from serve_app.cli.tables.models import tabulate_model, tabulate_models, tabulate_versions
from serve_app.cli.tables.orders import (
    tabulate_all_orders,
    tabulate_orders,
    tabulate_submission,
)
from serve_app.cli.tables.outcomes import (
    tabulate_outcome_summaries,
    tabulate_outcome_totals,
    tabulate_outcomes,
    tabulate_outside_bands,
    tabulate_planned_trades,
    tabulate_trades,
)
from serve_app.cli.tables.portfolios import (
    tabulate_found_portfolios,
    tabulate_last_outcomes,
)
from serve_app.cli.tables.proposals import tabulate_holds, tabulate_proposals
from serve_app.cli.tables.rebalances import (
    tabulate_portfolios,
    tabulate_positions,
    tabulate_rebalances,
)
from serve_app.cli.tables.rules import tabulate_rules
from serve_app.cli.tables.runs import tabulate_causes, tabulate_runs
from serve_app.cli.tables.system import tabulate_settings, tabulate_system
from serve_app.cli.tables.trades import tabulate_reviewed_trades

__all__ = [
    "tabulate_all_orders",
    "tabulate_audit",
    "tabulate_book",
    "tabulate_causes",
    "tabulate_drift",
    "tabulate_drifts",
    "tabulate_found_portfolios",
    "tabulate_histogram",
    "tabulate_holds",
    "tabulate_keys",
    "tabulate_last_outcomes",
    "tabulate_model",
    "tabulate_models",
    "tabulate_orders",
    "tabulate_outcome_summaries",
    "tabulate_outcome_totals",
    "tabulate_outcomes",
    "tabulate_outside_bands",
    "tabulate_planned_trades",
    "tabulate_portfolios",
    "tabulate_positions",
    "tabulate_proposals",
    "tabulate_rebalances",
    "tabulate_reviewed_trades",
    "tabulate_rules",
    "tabulate_runs",
    "tabulate_scans",
    "tabulate_settings",
    "tabulate_submission",
    "tabulate_system",
    "tabulate_trades",
    "tabulate_versions",
]
