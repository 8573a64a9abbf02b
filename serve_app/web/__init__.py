"""The operator's page: static files under /console, built from the source in console/."""

from importlib.resources import files
from mimetypes import guess_type
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

CONSOLE: Final = "/console"
# Paths of the page's files, which need no credentials because they hold no data.
OPEN_PATHS: Final = rf"/|{CONSOLE}(/.*)?"
PAGE: Final = Path(str(files(__name__))) / "page"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
INDEX_HEADERS: Final = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
# The name of an asset has a hash of its content.
ASSET_HEADERS: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


def is_built(directory: Path = PAGE) -> bool:
    """True if the page is there; a source tree has the page once make has built it."""
    return (directory / "index.html").is_file()


def add_console(app: Starlette, directory: Path = PAGE) -> None:
    """Serve the built page, if there is one, and lead ``/`` to it.

    Every path below /console answers the index, because the page reads its path itself.
    """
    if not is_built(directory):
        return
    index = (directory / "index.html").read_bytes()

    async def answer_index(_: Request) -> Response:
        return Response(index, media_type="text/html", headers=INDEX_HEADERS)

    async def lead_to_console(_: Request) -> Response:
        return RedirectResponse(CONSOLE, 307)

    app.mount(f"{CONSOLE}/assets", Assets(directory / "assets"), name="console-assets")
    app.add_route(CONSOLE, answer_index, include_in_schema=False)
    app.add_route(f"{CONSOLE}/{{path:path}}", answer_index, include_in_schema=False)
    app.add_route("/", lead_to_console, include_in_schema=False)


class Assets:
    """Files of one directory, read once: a page has a few of them, and they never change."""

    def __init__(self, directory: Path) -> None:
        self.files = {path.name: path.read_bytes() for path in directory.iterdir()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].rpartition("/")[2]
        content = self.files.get(name)
        if content is None:
            answer = Response("Not found", 404, media_type="text/plain")
        else:
            kind = guess_type(name)[0]
            answer = Response(content, media_type=kind, headers=ASSET_HEADERS)
        await answer(scope, receive, send)
