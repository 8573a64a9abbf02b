"""The pages that the type of a problem leads to, made from the table of the kinds."""

import json
from html import escape

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from serve_app.api.openapi.examples import example_of
from serve_app.problems.catalogue import KINDS, Kind

router = APIRouter(prefix="/problems", include_in_schema=False)


@router.get("")
async def list_problems() -> HTMLResponse:
    """Every kind of problem."""
    rows = "".join(
        f'<li><a href="{kind.uri}">{kind.status} {escape(kind.title)}</a></li>'
        for kind in sorted(KINDS.values(), key=lambda kind: (kind.status, kind.slug))
    )
    return _page("Problems", f"<ul>{rows}</ul>")


@router.get("/{slug}")
async def explain_problem(slug: str) -> HTMLResponse:
    """One kind of problem and what to do about it."""
    if slug not in KINDS:
        raise HTTPException(404)
    return _page(KINDS[slug].title, _explained(KINDS[slug]))


def _explained(kind: Kind) -> str:
    example = json.dumps(example_of(kind), indent=2, ensure_ascii=False)
    return (
        f"<p>HTTP status {kind.status}, type <code>{kind.uri}</code></p>"
        f"<p>{escape(kind.advice)}</p><p>For example:</p><pre>{escape(example)}</pre>"
        '<p><a href="/problems">All problems</a></p>'
    )


def _page(title: str, body: str) -> HTMLResponse:
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return HTMLResponse(f"{head}<body><h1>{escape(title)}</h1>{body}</body></html>")
