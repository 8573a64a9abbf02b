"""A process that is killed between a change and the sealing of its record."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.audit.trail import COLLECTION, IS_PENDING
from storage.audit_log import AuditLog
from storage.audit_outboxes import OUTBOXES
from storage.embedded import engines
from storage.embedded.server import start, stop
from storage.mongo.connection import Document
from tests.support.audit import seal_and_list
from tests.support.dying_sealer import CHANGES, STEPS

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.mongo


@pytest.fixture
def mongodb_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that aborts the transaction of a dead process within seconds."""
    monkeypatch.setattr(engines, "MAX_TRANSACTION_S", 1)
    yield start(tmp_path, os.environ.get("MONGOD")).uri
    stop(tmp_path)


@pytest.mark.parametrize("step", STEPS)
async def test_a_process_that_is_killed_while_it_seals_loses_and_doubles_no_entry(
    database: AsyncDatabase[Document], mongodb_uri: str, step: str
) -> None:
    await change_and_be_killed(mongodb_uri, database.name, step)

    entries = await seal_and_list(AuditLog(database))

    assert tuple(sorted(entry["action"] for entry in entries)) == CHANGES
    assert [entry["seq"] for entry in entries] == list(range(1, len(CHANGES) + 1))
    assert await database[COLLECTION].count_documents({}) == 0
    for name in OUTBOXES:
        assert await database[name].count_documents(IS_PENDING) == 0


async def change_and_be_killed(uri: str, database_name: str, step: str) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.dying_sealer", uri, database_name, step), cwd=ROOT
    )
    assert await child.wait() == -signal.SIGKILL
