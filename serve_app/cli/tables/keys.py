"""Table of API keys."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import format_moment
from serve_app.client.responses.keys import ApiKey


def tabulate_keys(keys: Iterable[ApiKey]) -> Table:
    """Tabulate API keys."""
    columns = ("key", "owner", "rights", "limited to", "created", "last used", "ends")
    rows = [
        (
            key.key_id,
            key.owner,
            _format_rights(key),
            _format_limits(key),
            format_moment(key.created_at),
            format_moment(key.last_used_at),
            _format_end(key),
        )
        for key in keys
    ]
    return make_table("API keys", columns, rows)


def _format_rights(key: ApiKey) -> str:
    level = (f"level {key.approver_level}",) if key.approver_level > 1 else ()
    return ", ".join((*key.roles, *key.scopes, *level))


def _format_limits(key: ApiKey) -> str:
    limits = {"model": key.models, "portfolio": key.portfolios}
    parts = (
        f"{len(ids)} {noun}" if len(ids) == 1 else f"{len(ids)} {noun}s"
        for noun, ids in limits.items()
        if ids is not None
    )
    return ", ".join(parts)


def _format_end(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {format_moment(key.revoked_at)}"
    return format_moment(key.expires_at)
