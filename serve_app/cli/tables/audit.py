"""Table of changes."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.output import make_table
from serve_app.client.audit_models import AuditEntry


def tabulate_audit(found: Iterable[AuditEntry]) -> Table:
    """Tabulate entries of the audit log."""
    columns = ("entry", "time", "principal", "action", "object", "version", "correlation id")
    rows = [
        (
            each.seq,
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            each.principal,
            each.action,
            each.object_id,
            each.version,
            each.correlation_id,
        )
        for each in found
    ]
    return make_table("Changes", columns, rows)
