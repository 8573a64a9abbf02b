"""Pages of the problems: HTML under the type of each, and markdown for docs/problems."""

import json
from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from serve_app.api.openapi.examples import build_example
from serve_app.problems.catalogue import KINDS, ProblemKind

TEMPLATES: Final = Environment(
    loader=PackageLoader("serve_app.api.routes"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",)),
    undefined=StrictUndefined,  # because a misspelt member would otherwise print nothing
    trim_blocks=True,
    keep_trailing_newline=True,  # because the pages in docs/problems are files of lines
)

router = APIRouter(prefix="/problems", include_in_schema=False)


@router.get("")
async def list_problems() -> HTMLResponse:
    """List every kind of problem."""
    return HTMLResponse(index_page("problems.html.j2"))


@router.get("/{slug}")
async def explain_problem(slug: str) -> HTMLResponse:
    """Explain one kind of problem and its remedy."""
    if slug not in KINDS:
        raise HTTPException(404)
    return HTMLResponse(problem_page("problem.html.j2", KINDS[slug]))


def index_page(template: str) -> str:
    """Render the list of all kinds, by status and code."""
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.status, kind.code))
    return TEMPLATES.get_template(template).render(kinds=kinds)


def problem_page(template: str, kind: ProblemKind, routes: Sequence[str] = ()) -> str:
    """Render the page of one kind, with the routes that answer it."""
    example = json.dumps(build_example(kind), indent=2, ensure_ascii=False)
    return TEMPLATES.get_template(template).render(kind=kind, example=example, routes=routes)
