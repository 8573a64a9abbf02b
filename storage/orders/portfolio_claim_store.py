"""Claims on portfolios: the right of one order submission at a time to send a portfolio's orders.

A claim belongs to the lease of a submission and ends with the lease, so nothing has to release the
claim, and a dead process holds its claims no longer than its lease. A submission that takes a claim
with a lapsed lease also removes the lease, because otherwise the old submission could renew it and
send orders for the portfolio at the same time as the new submission.
"""

from collections.abc import Sequence
from typing import Final

import stamina
from pymongo import UpdateOne, timeout
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from storage.errors import HandOverInProgressError
from storage.mongo.connection import WRITER_TIMEOUT_S, Document, translate_failures
from storage.orders.submission_store import OrderSubmissionStore
from storage.rebalances.outcomes import is_repetition

COLLECTION = "portfolio_claims"
MAX_TRIES: Final = 10


class _ClaimsChangedError(Exception):
    """Another submission changed a claim after its owner was read."""


class PortfolioClaimStore:
    """The portfolio claims of one database."""

    def __init__(
        self, database: AsyncDatabase[Document], submissions: OrderSubmissionStore
    ) -> None:
        self._claims = database[COLLECTION]
        self._submissions = submissions

    @translate_failures
    async def take(self, portfolio_ids: Sequence[str], rebalance_id: str, owner: str) -> None:
        """Claim portfolios for the owner of a submission.

        Raises HandOverInProgressError if an active submission has a claim on any of them. The ids
        must ascend, also from call to call, because then one of the concurrent submissions gets all
        its portfolios.
        """
        try:
            await self._take(portfolio_ids, rebalance_id, owner)
        except _ClaimsChangedError:
            raise HandOverInProgressError(rebalance_id, 1) from None

    @stamina.retry(on=_ClaimsChangedError, attempts=MAX_TRIES, timeout=None, wait_max=0)
    async def _take(self, portfolio_ids: Sequence[str], rebalance_id: str, owner: str) -> None:
        owners = await self._require_free(portfolio_ids, owner)
        await self._replace(portfolio_ids, owners, rebalance_id, owner)

    async def _require_free(self, portfolio_ids: Sequence[str], owner: str) -> dict[str, str]:
        """Return the owners of the claims; HandOverInProgressError if an owner is active."""
        cursor = self._claims.find({"_id": {"$in": list(portfolio_ids)}})
        claims = [document async for document in cursor]
        others = {claim["owner"]: claim["rebalance_id"] for claim in claims}
        others.pop(owner, None)
        active = await self._submissions.end_lapsed(set(others.values())) if others else {}
        for holder in others.keys() & active.keys():
            raise HandOverInProgressError(others[holder], active[holder])
        return {claim["_id"]: claim["owner"] for claim in claims}

    async def _replace(
        self, portfolio_ids: Sequence[str], owners: dict[str, str], rebalance_id: str, owner: str
    ) -> None:
        """Replace the claims of these owners; _ClaimsChangedError if an owner changed meanwhile."""
        claim = {"$set": {"rebalance_id": rebalance_id, "owner": owner}}
        # A claim whose owner changed does not match, and cannot be inserted a second time.
        changes = [
            UpdateOne({"_id": portfolio_id, "owner": owners.get(portfolio_id)}, claim, upsert=True)
            for portfolio_id in portfolio_ids
            if owners.get(portfolio_id) != owner
        ]
        if not changes:
            return
        try:
            with timeout(WRITER_TIMEOUT_S):
                await self._claims.bulk_write(changes, ordered=True)
        except BulkWriteError as error:
            if not is_repetition(error):
                raise
            raise _ClaimsChangedError from error
