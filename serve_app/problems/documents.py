"""Documents of problems: the JSON of an error, as a whole answer or in one."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from serve_app.json_text import Json
from serve_app.problems.catalogue import ProblemKind


class ProblemInAnswer(TypedDict, extra_items=object):
    """Reason why a portfolio has no plan."""

    type: str
    title: str
    status: int
    detail: str


def problem(
    kind: ProblemKind, detail: str, members: Mapping[str, Any] | None = None
) -> ProblemInAnswer:
    """Build the document of a problem; its own members cannot replace the standard ones."""
    standard: Json = {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }
    return ProblemInAnswer(**{**standard, **(members or {}), **standard})
