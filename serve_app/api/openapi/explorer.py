"""Pages that show the OpenAPI document in a browser, with scripts from this service alone."""

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

FILES = Path(str(files(fastapi_offline))) / "static"
FILES_URL = "/docs-files"
DOCUMENT_URL = "/openapi.json"
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def add_explorer(app: FastAPI) -> None:
    """Serve the document, /docs (Swagger UI) and /redoc."""
    icon = f"{FILES_URL}/favicon.png"
    swagger = get_swagger_ui_html(
        openapi_url=DOCUMENT_URL,
        title=app.title,
        swagger_js_url=f"{FILES_URL}/swagger-ui-bundle.js",
        swagger_css_url=f"{FILES_URL}/swagger-ui.css",
        swagger_favicon_url=icon,
        # The validator is off, because the page would ask an external server about the document.
        swagger_ui_parameters={"validatorUrl": None},
    )
    redoc = get_redoc_html(
        openapi_url=DOCUMENT_URL,
        title=app.title,
        redoc_js_url=f"{FILES_URL}/redoc.standalone.js",
        redoc_favicon_url=icon,
        # Google's fonts are off, because the page would load them from an external server.
        with_google_fonts=False,
    )

    app.add_api_route(DOCUMENT_URL, _answer_document, include_in_schema=False)
    app.mount(FILES_URL, StaticFiles(directory=FILES), name="docs-files")
    for path, page in (("/docs", swagger), ("/redoc", redoc)):
        _add_page(app, path, bytes(page.body).decode())


async def _answer_document(request: Request) -> JSONResponse:
    # The function does not close over the application, because FastAPI caches each route's function
    # and would keep every application alive.
    return JSONResponse(request.app.openapi())


def _add_page(app: FastAPI, path: str, html: str) -> None:
    headers = {"Content-Security-Policy": _policy(html)}

    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

    app.add_api_route(path, page, include_in_schema=False)


def _policy(html: str) -> str:
    """Build the strictest policy of a page: its own script by hash, and the styles of its library.

    ReDoc searches in a worker that it makes from a blob.
    """
    hashes = "".join(
        f" 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in SCRIPT.findall(html)
    )
    return (
        f"default-src 'none'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
