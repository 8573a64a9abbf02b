"""Modules that a rebalance of ten portfolios enters: the files to know to follow a request.

Run it with ``python benchmarks/count_modules.py``. The service is the real one in a single process,
on a real database: ingress, optimizer and solver with nothing between them but the calls that Ray
would carry. Only the upstreams are faked, and the few lines that Serve itself calls in each replica
are not seen. A module counts if a function of its own is entered. The body of a module or of a
class does not count, because it runs at import; nor does a method that ``dataclass`` generates, nor
what FastAPI calls once to set its routes up, because that is done before the request.
"""

import asyncio
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import CO_NEWLOCALS, CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.settings import read_settings
from storage.embedded.server import start, stop
from storage.mongo.connection import connect, disconnect, ping
from storage.schema import ensure_indexes
from tests.support.fakes import PRICE, A, Stored, make_model_body, render_no_metrics
from tests.support.in_process import Upstreams, build_optimizer

ROOT = Path(__file__).parents[1]
PACKAGES = ("serve_app", "storage", "optimization")
PORTFOLIOS = tuple(f"{number:024}" for number in range(10))
FUNCTION = CO_NEWLOCALS | CO_OPTIMIZED


@dataclass
class Entries:
    """Entered modules by their entered functions, with the callers of the first functions."""

    functions: dict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    called_by_ours: set[str] = field(default_factory=set[str])
    _names: dict[str, str | None] = field(default_factory=dict[str, str | None])

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        """Record the entry of a function: a hook for sys.setprofile."""
        code = frame.f_code
        if event != "call" or code.co_flags & FUNCTION != FUNCTION:
            return
        name = self._name(code.co_filename)
        if name is None:
            return
        self.functions[name].add(code.co_qualname)
        caller = frame.f_back and self._name(frame.f_back.f_code.co_filename)
        # Middleware counts as called by a library, because Starlette wraps it around the app.
        is_asgi = code.co_varnames[1:4] == ("scope", "receive", "send")
        if caller not in (None, name) and not is_asgi:
            self.called_by_ours.add(name)

    def _name(self, file: str) -> str | None:
        if file not in self._names:
            path = Path(file)
            is_ours = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PACKAGES
            self._names[file] = str(path.relative_to(ROOT)) if is_ours else None
        return self._names[file]


@contextmanager
def record_entries(entries: Entries) -> Iterator[None]:
    """Record every entry in this thread and in threads that begin inside the block."""
    threading.setprofile(entries.note)
    sys.setprofile(entries.note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def rebalance(uri: str) -> Entries:
    """Rebalance a model with ten followers over HTTP, for the first time in this process."""
    upstreams = Upstreams({A: PRICE})
    for portfolio_id in PORTFOLIOS:
        upstreams.set_balance(portfolio_id, 1000, **{A: 2})
    database = connect(uri, "modules", 20_000)
    await ensure_indexes(database)
    settings = read_settings({})
    stored, optimizer = Stored(database), build_optimizer(settings, database, upstreams)
    checks = {"database": lambda: ping(database)}
    app = api_app(settings, Ports(stored.port, optimizer, checks, render_no_metrics))
    transport = httpx.ASGITransport(app)
    entries = Entries()
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        (await http.get("/openapi.json")).raise_for_status()  # so that the routes are set up
        body = {**make_model_body(), "portfolios": [*PORTFOLIOS]}
        model = (await http.post("/api/v1/models", json=body)).raise_for_status().json()
        with record_entries(entries):
            answer = await http.post(f"/api/v1/model/{model['model_id']}/rebalance", json={})
        assert len(answer.raise_for_status().json()) == len(PORTFOLIOS), answer.text
    await disconnect(database)
    return entries


def table(entries: Entries) -> Table:
    """Build a row for each module; modules that only a library calls are last."""
    grid = Table(title="a rebalance of ten portfolios, upstreams faked")
    for heading in ("module", "entered by", "functions"):
        grid.add_column(heading)
    for name in sorted(
        entries.functions, key=lambda module: (module not in entries.called_by_ours, module)
    ):
        ours = name in entries.called_by_ours
        functions = sorted(entries.functions[name])
        more = f" and {len(functions) - 3} more" if len(functions) > 3 else ""
        grid.add_row(name, "ours" if ours else "a library", ", ".join(functions[:3]) + more)
    return grid


def main() -> None:
    """Start a database, rebalance, print the list and the counts."""
    with tempfile.TemporaryDirectory(prefix="modules-") as directory:
        uri = start(Path(directory), None).uri
        try:
            entries = asyncio.run(rebalance(uri))
        finally:
            stop(Path(directory))
    console = Console(width=160)
    console.print(table(entries))
    by_library = len(entries.functions) - len(entries.called_by_ours)
    console.print(
        f"{len(entries.functions)} modules: {len(entries.called_by_ours)} entered by a module"
        f" of ours, {by_library} by a library alone"
    )


if __name__ == "__main__":
    main()
