"""Two services on one machine, of which one loses its ingress."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve_app.settings import Settings
from storage.embedded.free_port import free_port
from tests.drills.drill import INGRESS, WITHIN_S, Drill, list_processes
from tests.end_to_end.book import Book
from tests.end_to_end.calls import add_model, make_model
from tests.end_to_end.test_command import READY, Command

pytestmark = [pytest.mark.cluster, pytest.mark.apart]


@pytest.fixture
def neighbour(service: Settings, tmp_path: Path) -> Iterator[str]:
    """Start another service with a database of its own; return its URL."""
    assert service.mongodb_uri is not None
    port = str(free_port())
    command = Command(tmp_path, "serve", PORT=port, DATA_DIRECTORY=str(tmp_path / "data"))
    assert command.prints(READY), command.lines
    yield f"http://127.0.0.1:{port}"
    command.stop()
    command.wait_until_over()


@pytest.fixture
def ours(service: Settings) -> set[int]:
    """List the processes of our ingress before the neighbour starts."""
    assert service.mongodb_uri is not None
    return set(list_processes(INGRESS))


async def test_a_service_without_its_ingress_is_never_answered_for_by_its_neighbour(
    ours: set[int], neighbour: str, drill: Drill, book: Book
) -> None:
    model_id = (await add_model(drill.http, make_model(book, ["P" * 24])))["model_id"]
    async with httpx.AsyncClient(base_url=neighbour, timeout=5, trust_env=False) as other:
        assert (await other.get(f"/api/v1/model/{model_id}")).status_code == 404
        killed = set(list_processes(INGRESS)) - ours
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        statuses: list[int] = []
        async with asyncio.timeout(WITHIN_S):
            while statuses[-1:] != [404]:
                try:
                    answer = await other.get(f"/api/v1/model/{model_id}")
                    statuses.append(answer.status_code)
                except httpx.TransportError:
                    statuses.append(0)
                await asyncio.sleep(0.02)
    assert 200 not in statuses
    assert len(statuses) > 1, "its ingress was never away"
