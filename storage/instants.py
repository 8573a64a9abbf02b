"""Points in time as text, alike in answers, requests to the order service and the audit log."""

from datetime import UTC, datetime
from typing import overload


@overload
def format_instant(value: datetime) -> str: ...
@overload
def format_instant(value: datetime | None) -> str | None: ...
def format_instant(value: datetime | None) -> str | None:
    """Format a time as ISO 8601 in UTC, with milliseconds and ``Z``.

    >>> format_instant(datetime(2026, 11, 23, 9, 30, tzinfo=UTC))
    '2026-11-23T09:30:00.000Z'
    """
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
