"""Sort orders that a caller may request."""

from collections.abc import Mapping

from optimization.errors import RuleError

ASCENDING = 1
DESCENDING = -1

Sort = tuple[tuple[str, int], ...]
"""Fields by their public names, each with +1 (ascending) or -1."""


def build_sort_order(sort: Sort, fields: Mapping[str, str], default: Sort) -> list[tuple[str, int]]:
    """Build the order by stored fields, with ``_id`` last to keep equal values in place."""
    order: dict[str, int] = {}
    for name, direction in sort or default:
        if name not in fields:
            raise RuleError(("sort_by",), name, f"the fields are {', '.join(fields)}")
        order.setdefault(fields[name], direction)
    last = next(reversed(order.values()))
    order.setdefault("_id", last)
    return list(order.items())
