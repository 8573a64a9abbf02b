"""Keeper of the audit log: seals the records of changes, and removes old entries."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from serve_app.resources import Resources
from serve_app.retries import repeat_for_ever
from serve_app.settings import Settings
from storage.audit.chain import START
from storage.mongo.connection import read_clock

logger = logging.getLogger(__name__)

SEAL_EVERY_S: Final = 1.0
CUT_EVERY_S: Final = 3600.0
BROKEN_OFF_AFTER: Final = timedelta(minutes=5)  # longer than any removal takes


class AuditKeeper:
    """Works on the audit log in the background; several replicas may do so at once."""

    def __init__(self, settings: Settings, resources: Resources) -> None:
        self._settings = settings
        self._resources = resources
        self._noted = START

    async def watch(self) -> None:
        """Seal records, and keep the log in order, for ever."""
        await asyncio.gather(
            repeat_for_ever(self.seal, SEAL_EVERY_S, "sealing of the audit log"),
            repeat_for_ever(self.tidy, CUT_EVERY_S, "care of the audit log"),
        )

    async def seal(self) -> None:
        """Seal the records that wait."""
        await self._resources.audit.seal()

    async def tidy(self) -> None:
        """Finish removals that broke off, remove old entries, and note the end of the chain.

        A note outside the database shows whether the whole chain was written anew.
        """
        now = await read_clock(self._resources.database)
        await self._resources.rebalances.finish_removals(now - BROKEN_OFF_AFTER)
        if self._settings.audit_retention_days:
            # The cut is at midnight, because each cut adds an entry: one a day, not one an hour.
            today = now.replace(hour=0, minute=0, second=0, microsecond=0)
            await self._resources.audit.cut(
                today - timedelta(days=self._settings.audit_retention_days)
            )
        last = (await self._resources.audit.read_head()).last
        if last != self._noted:
            logger.info("audit log: entry %d has the hash %s", last.seq, last.hash)
            self._noted = last
