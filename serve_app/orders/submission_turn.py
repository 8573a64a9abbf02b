"""Turn of one request to submit orders: it lasts while it has the lease, time and a caller."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from storage.audit.trail import Action
from storage.orders.submission_store import OrderSubmissionStore


class TurnOverError(Exception):
    """The time of the request is up, or its caller hung up; the next request continues."""


class Turn:
    """Turn of one request, under a lease of its own."""

    def __init__(self, leases: OrderSubmissionStore, rebalance_id: str, lasts_s: float) -> None:
        self.rebalance_id = rebalance_id.lower()
        self.owner = uuid4().hex
        self._leases = leases
        self._until = time.monotonic() + lasts_s
        self._is_abandoned = False

    @property
    def left_s(self) -> float:
        """Seconds left; zero once the caller has hung up."""
        return 0.0 if self._is_abandoned else max(0.0, self._until - time.monotonic())

    def abandon(self) -> None:
        """Let no further step begin, because the caller hung up."""
        self._is_abandoned = True

    async def keep(self) -> None:
        """Renew the lease regardless of time; HandOverInProgressError if another request has it."""
        await self._leases.keep(self.rebalance_id, self.owner)

    async def announce(self, action: Action, what: Mapping[str, Any]) -> None:
        """Renew the lease, and record what is sent to the order service next."""
        await self._leases.announce(self.rebalance_id, self.owner, action, {**what})

    async def begin_step(self) -> None:
        """Renew the lease for another step; TurnOverError if no step may begin."""
        if self.left_s <= 0:
            raise TurnOverError
        await self.keep()
