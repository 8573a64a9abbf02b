"""JSON pointers (RFC 6901) into the body of a request."""

from collections.abc import Mapping, Sequence
from typing import Final

JSON_NAMES: Final[Mapping[str, str]] = {
    "targets": "positions",
    "portfolio_ids": "portfolios",
    "weight": "target",
}
JSON_NAMES_IN_BAND: Final[Mapping[str, str]] = {"low": "low_drift", "high": "high_drift"}


def format_pointer(field: Sequence[str | int]) -> str:
    """Translate the path of a value in the domain into its JSON pointer.

    >>> format_pointer(("targets", 3, "band", "low"))
    '/positions/3/low_drift'
    """
    steps: list[str] = []
    for before, step in zip(("", *field), field, strict=False):
        if step == "band":
            continue  # because the JSON has both widths beside the target
        names = JSON_NAMES_IN_BAND if before == "band" else JSON_NAMES
        steps.append(names.get(str(step), str(step)))
    return json_pointer(steps)


def json_pointer(steps: Sequence[str]) -> str:
    """Join names and indices to a JSON pointer.

    >>> json_pointer(["lots", "a/b"])
    '/lots/a~1b'
    """
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
