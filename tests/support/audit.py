"""Helpers of the tests of the audit log: an author, a run, and the entries of a whole chain."""

from typing import Any, Final

from optimization.domain.options import NO_OVERRIDES
from storage.audit.author import Author
from storage.audit_log import AuditFilter, AuditLog
from storage.models.model_store import ModelStore
from storage.runs.run import HoldingsRef, Run, Selection
from tests.support.samples import NOON, make_model

EVERYTHING: Final = AuditFilter()
RUN_ID: Final = "6" * 24


def anna() -> Author:
    return Author("anna", "desk", "request-1")


def new_run() -> Run:
    return Run(RUN_ID, Selection(("7" * 24,)), NO_OVERRIDES, HoldingsRef("summaries"), NOON)


async def seal_and_list(log: AuditLog) -> list[Any]:
    """Seal the pending records, require a whole chain, and return all entries, the oldest first."""
    await log.seal()
    assert await log.verify() == ()
    entries, _ = await log.read_page(EVERYTHING, 0, 1000)
    return list(reversed(entries))


def steps(entries: list[Any]) -> list[tuple[str, str, int | None]]:
    return [(entry["action"], entry["object_id"], entry["version"]) for entry in entries]


async def add_ten_entries(models: ModelStore, log: AuditLog) -> None:
    for number in range(10):
        await models.add(make_model(f"Model {number}"))
    assert len(await seal_and_list(log)) == 10
