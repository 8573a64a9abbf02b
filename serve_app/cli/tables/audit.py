"""Table of changes."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.output import make_table
from serve_app.client.responses.audit import AuditEntry


def tabulate_audit(entries: Iterable[AuditEntry]) -> Table:
    """Tabulate entries of the audit log."""
    columns = ("entry", "time", "principal", "action", "object", "version", "correlation id")
    rows = [
        (
            entry.seq,
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.principal,
            entry.action,
            entry.object_id,
            entry.version,
            entry.correlation_id,
        )
        for entry in entries
    ]
    return make_table("Changes", columns, rows)
