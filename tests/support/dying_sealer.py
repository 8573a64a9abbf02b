"""Process that makes changes, starts to seal their records, and kills itself midway."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from storage.audit.trail import COLLECTION, Action
from storage.audit_log import AuditLog
from storage.audit_outboxes import Outboxes, WaitingRecords
from storage.models.model_store import ModelStore
from storage.mongo.connection import connect
from storage.orders.submission_store import OrderSubmissionStore
from storage.rebalances.rebalance import RebalanceStatus
from storage.rebalances.rebalance_store import RebalanceStore
from storage.runs.run_store import RunStore
from tests.support.audit import RUN_ID, anna, new_run
from tests.support.samples import NOON, make_model, make_outcomes, make_rebalance

CHANGES: Final = (
    "model.create",
    "model.edit",
    "orders.send",
    "rebalance.store",
    "run.begin",
    "run.cancel",
)
"""Actions of the changes, in the order of their names."""
STEPS: Final = ("before the chain", "in the transaction", "after the chain")


async def change_and_die(uri: str, database_name: str, step: str) -> None:
    """Make every kind of change, and die at a step of their sealing."""
    database = connect(uri, database_name)
    models, runs = ModelStore(database, find_author=anna), RunStore(database, anna)
    model = await models.add(make_model())
    await models.replace(replace(model, name="Income"))
    whole = replace(make_rebalance(1), status=RebalanceStatus.COMPLETED, finished_at=NOON)
    await RebalanceStore(database, anna).store(whole, make_outcomes(whole))
    await runs.add(new_run(), "token", 60)
    await runs.cancel(RUN_ID)
    submissions = OrderSubmissionStore(database, find_author=anna)
    await submissions.begin(whole.rebalance_id, "me")
    await submissions.announce(whole.rebalance_id, "me", Action.ORDERS_SENT, {"orders": 1})
    log_database: Any = DyingDatabase(database) if step == "in the transaction" else database
    await AuditLog(log_database, DyingOutboxes(database, step)).seal()


class DyingOutboxes(Outboxes):
    """Outboxes whose process dies before or after the chain grows."""

    def __init__(self, database: Any, step: str) -> None:
        super().__init__(database)
        self._step = step

    async def find_waiting(self, limit: int) -> list[WaitingRecords]:
        """Find records, and die if the step is before the chain."""
        waiting = await super().find_waiting(limit)
        if self._step == "before the chain":
            await die()
        return waiting

    async def clear(self, places: Sequence[WaitingRecords]) -> None:
        """Die instead, because the records are in the chain by now."""
        await die(places)


class DyingDatabase:
    """Database whose process dies at the last step of the sealing's transaction."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def __getitem__(self, name: str) -> Any:
        return _DyingCollection() if name == COLLECTION else self._database[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class _DyingCollection:
    """Collection of waiting records whose removal, the last step of the transaction, kills."""

    async def delete_many(self, *_: Any, **__: Any) -> None:
        await die()


async def die(*_: Any, **__: Any) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


if __name__ == "__main__":
    asyncio.run(change_and_die(*sys.argv[1:]))
