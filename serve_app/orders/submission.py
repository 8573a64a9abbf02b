"""Submission of a rebalance's transactions to the order service: each becomes one order, never two.

An order is stored before it is sent, and claimed for one request. An order sent without a clear
answer is looked up at the order service, and sent again only once it can no longer arrive there.
"""

import asyncio
import logging
import time
from collections import Counter as Tally
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import Final
from uuid import uuid4

from optimization import PortfolioOutcome, Side
from serve_app.observability.events import log_event
from serve_app.observability.metrics import count_orders
from serve_app.orders.admission import Admission
from serve_app.orders.open_orders import ARRIVE_WITHIN, ReadBack, look_up_batch, read_back
from serve_app.orders.submission_turn import Turn, TurnOverError
from serve_app.resources import Resources
from serve_app.upstream.errors import FAILURES, OutcomeUnknownError, UpstreamError
from serve_app.upstream.order_service import (
    MAX_ORDERS_PER_BATCH,
    Accepted,
    Answer,
    NewOrder,
    Refused,
)
from storage.audit.trail import Action
from storage.errors import (
    NotCompletedError,
    NotFoundError,
    OrdersInDoubtError,
    OrdersSentError,
    RunGoesOnError,
    StorageError,
)
from storage.orders.order import Batch, OpenOrdersRule, Order, OrderState, Settlement
from storage.orders.submission_store import OrderSubmission
from storage.rebalances.rebalance import Rebalance, RebalanceStatus

OUTCOME_BATCH_SIZE: Final = 200  # portfolios whose orders are stored at once
MAX_CONCURRENT_BATCHES: Final = 4  # batches of different submissions sent at a time
SEND_FOR_S: Final = 240.0  # per request; the next request sends the rest
GO_OUT_WITHIN_S: Final = 10.0  # an older claim is given back instead of sent
FOUND: Final = "FOUND"  # an outcome for metrics: found at the order service after all
UNCLEAR: Final = Settlement(OrderState.UNKNOWN, message="the answer does not say what became of it")

logger = logging.getLogger(__name__)


class OrderSubmitter:
    """Submits the orders of rebalances, in one process and its event loop."""

    def __init__(
        self,
        resources: Resources,
        arrive_within: timedelta = ARRIVE_WITHIN,
        send_for_s: float = SEND_FOR_S,
        count: Callable[[Mapping[str, int]], None] = count_orders,
        admission: Admission | None = None,
    ) -> None:
        self._resources = resources
        self._admission = admission or Admission(resources, arrive_within)
        self._arrive_within = arrive_within
        self._send_for_s = send_for_s
        self._count = count
        self._at_once = asyncio.Semaphore(MAX_CONCURRENT_BATCHES)
        self._under_way = set[asyncio.Task[None]]()

    async def submit(
        self,
        rebalance_id: str,
        open_orders: OpenOrdersRule = OpenOrdersRule.REFUSE,
        before_sending: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Send the orders that are not at the order service yet, for the time of one request.

        ``before_sending`` may hold orders back, and is called once no other request may send.

        Raises UpstreamUnavailableError or OrdersInDoubtError if the order service does not respond;
        orders sent before stay sent, and the next call continues. Raises the errors of
        ``Admission`` if other rebalances block the portfolios.
        """
        turn = Turn(self._resources.submissions, rebalance_id, self._send_for_s)
        work = asyncio.create_task(self._submit(turn, open_orders, before_sending))
        self._under_way.add(work)
        work.add_done_callback(partial(self._log_end, rebalance_id))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            turn.abandon()  # and not cancel the work, because a batch that was sent must be settled
            raise

    async def read_page(
        self, rebalance_id: str, offset: int, limit: int, states: tuple[OrderState, ...] = ()
    ) -> OrderSubmission:
        """Read a page of the orders of a rebalance and their counts; empty before submission."""
        rebalance = await self._resources.rebalances.read(rebalance_id)
        orders = self._resources.orders
        counts = await orders.count_by_state(rebalance.rebalance_id)
        page = await orders.read_page(rebalance.rebalance_id, offset, limit, states)
        total = sum(counts[state] for state in states or OrderState)
        transactions = sum(counts.values())
        prepared = await self._resources.submissions.is_prepared(rebalance.rebalance_id)
        if not prepared:
            transactions = await self._resources.rebalances.count_transactions(
                rebalance.rebalance_id
            )
        return OrderSubmission(rebalance.rebalance_id, counts, transactions, page, total, prepared)

    async def delete(self, rebalance_id: str, version: int) -> None:
        """Delete a rebalance; OrdersSentError if any of its orders was ever sent."""
        rebalance_id, owner = rebalance_id.lower(), uuid4().hex
        await self._require_over(rebalance_id)
        leases = self._resources.submissions
        await leases.begin(rebalance_id, owner)  # because otherwise orders could be sent meanwhile
        try:
            counts = await self._resources.orders.count_by_state(rebalance_id)
            sent = sum(counts.values()) - counts[OrderState.PENDING]
            if sent:
                raise OrdersSentError(rebalance_id, sent)
            await self._resources.rebalances.delete(rebalance_id, version)
            await self._resources.orders.delete(rebalance_id)
            await leases.forget(rebalance_id, owner)
        finally:
            await asyncio.shield(leases.end(rebalance_id, owner))

    async def _require_over(self, rebalance_id: str) -> None:
        rebalance = await self._resources.rebalances.read(rebalance_id)
        if rebalance.status is not RebalanceStatus.RUNNING or rebalance.run_id is None:
            return
        with suppress(NotFoundError):  # because the run may be deleted by retention
            run = await self._resources.runs.read(rebalance.run_id)
            if not run.status.is_over:
                raise RunGoesOnError(rebalance_id, run.run_id)

    def _log_end(self, rebalance_id: str, work: asyncio.Task[None]) -> None:
        self._under_way.discard(work)
        if not work.cancelled() and (error := work.exception()):
            logger.info("order submission of rebalance %s ended: %s", rebalance_id, error)

    async def _submit(
        self,
        turn: Turn,
        open_orders: OpenOrdersRule,
        before_sending: Callable[[], Awaitable[None]] | None,
    ) -> None:
        leases = self._resources.submissions
        prepared = await leases.begin(turn.rebalance_id, turn.owner)
        try:
            rebalance = await self._resources.rebalances.read(turn.rebalance_id)
            if rebalance.status is not RebalanceStatus.COMPLETED:
                raise NotCompletedError(turn.rebalance_id, rebalance.status)
            # References are read first, because that fails at once if the order service is down.
            await self._resources.order_service.references()
            if not prepared:
                await self._prepare(rebalance, turn)
            await self._look_up(turn)
            await self._admission.admit(rebalance, turn, open_orders)
            if before_sending is not None:
                await before_sending()  # called last, because the admission releases held orders
            while await self._send_batch(turn):
                pass
        except TurnOverError:
            logger.info("rebalance %s: the next request submits the rest", turn.rebalance_id)
        finally:
            await asyncio.shield(leases.end(turn.rebalance_id, turn.owner))

    async def _prepare(self, rebalance: Rebalance, turn: Turn) -> None:
        """Store all orders of a rebalance as pending; resume where an earlier request ended."""
        last = await self._resources.orders.read_last_place(rebalance.rebalance_id)
        # The last batch is stored again, because it alone may be stored in part.
        first = last - last % OUTCOME_BATCH_SIZE
        for offset in range(first, rebalance.number_of_portfolios, OUTCOME_BATCH_SIZE):
            if offset > first:
                await turn.begin_step()
            outcomes = await self._resources.rebalances.list_outcomes(
                rebalance, offset, OUTCOME_BATCH_SIZE
            )
            await self._resources.orders.add(tuple(_list_orders(rebalance, offset, outcomes)))
        await self._resources.submissions.mark_prepared(rebalance.rebalance_id, turn.owner)

    async def _look_up(self, turn: Turn) -> None:
        """Settle the orders that earlier requests left unsettled, batch by batch."""
        rebalance_id = turn.rebalance_id
        for timestamp in await self._resources.orders.list_unsettled_timestamps(rebalance_id):
            await turn.begin_step()
            batch = rebalance_id, timestamp
            self._count_found(await look_up_batch(self._resources, batch, self._arrive_within))
        await self._require_certainty(rebalance_id)

    async def _send_batch(self, turn: Turn) -> bool:
        """Send the next batch; return whether to continue with another."""
        rebalance_id, owner = turn.rebalance_id, turn.owner
        async with self._at_once:
            if turn.left_s <= 0:  # here, because the wait for the semaphore may use up the time
                return False
            # References are read before the claim, because claimed orders must be sent at once.
            await self._resources.order_service.references()
            timestamp = await self._resources.submissions.next_batch(rebalance_id, owner)
            claimed_at = time.monotonic()
            batch = await self._resources.orders.claim(
                rebalance_id, MAX_ORDERS_PER_BATCH, timestamp, datetime.now(UTC)
            )
            if not batch.orders:
                return False
            async with self._give_back_if_unsent(batch):
                # The lease is renewed after the claim, because a request that took the lease before
                # the claim saw no open order and sends.
                sent = {"orders": len(batch.orders), "timestamp": timestamp}
                await turn.announce(Action.ORDERS_SENT, sent)
                if time.monotonic() - claimed_at > GO_OUT_WITHIN_S:
                    await self._resources.orders.give_back(batch)
                    return True
                settlements = await self._place(batch)
        states = Tally(settlement.state.value for settlement in settlements.values())
        self._count(states)
        settled = await self._resources.orders.settle(batch, settlements)
        log_event(Action.ORDERS_SENT, rebalance_id, states=states)
        if settled < len(settlements):
            logger.error("%d orders were settled by another process", len(settlements) - settled)
        sent = sum(settlement.state is OrderState.SENT for settlement in settlements.values())
        if sent < len(settlements):
            with suppress(UpstreamError):  # because the next request looks the orders up again
                sent += self._count_found(
                    await read_back(self._resources, (rebalance_id, timestamp))
                )
            await self._require_certainty(rebalance_id)
        # The submission stops if no order was accepted, because more batches would only add load.
        return sent > 0

    async def _place(self, batch: Batch) -> dict[str, Settlement]:
        """Send a claimed batch; return the settlement of each of its orders, by key."""
        orders = [
            NewOrder(order.portfolio_id, order.security_id, order.side, order.quantity)
            for order in batch.orders
        ]
        try:
            answers = await self._resources.order_service.place(orders, batch.timestamp)
        except OutcomeUnknownError as error:
            unknown = Settlement(OrderState.UNKNOWN, message=error.detail)
            return {order.key: unknown for order in batch.orders}
        pairs = zip(batch.orders, answers, strict=True)
        return {order.key: _build_settlement(answer) for order, answer in pairs}

    @asynccontextmanager
    async def _give_back_if_unsent(self, batch: Batch) -> AsyncGenerator[None]:
        """Make a claimed batch pending again after an error raised before it was sent."""
        try:
            yield
        except (StorageError, *FAILURES):
            await self._resources.orders.give_back(batch)
            raise

    def _count_found(self, reading: ReadBack) -> int:
        """Count the orders of a batch that were found at the order service; return the number."""
        if reading.settled:
            self._count({FOUND: reading.settled})
        return reading.settled

    async def _require_certainty(self, rebalance_id: str) -> None:
        count, last = await self._resources.orders.count_in_doubt(rebalance_id)
        if last is not None:
            waiting_time = last + self._arrive_within - datetime.now(UTC)
            raise OrdersInDoubtError(
                rebalance_id, count, max(1, ceil(waiting_time.total_seconds()))
            )


def _list_orders(
    rebalance: Rebalance, offset: int, outcomes: Iterable[PortfolioOutcome]
) -> Iterator[Order]:
    """Yield the orders of consecutive portfolios, the first at place ``offset``."""
    for place, outcome in enumerate(outcomes, offset):
        for transaction in outcome.transactions:
            yield Order(
                rebalance.rebalance_id,
                place,
                outcome.portfolio_id,
                transaction.security_id,
                Side(transaction.side),
                transaction.quantity,
                rebalance.started_at,
            )


def _build_settlement(answer: Answer) -> Settlement:
    match answer:
        case Accepted(order_id):
            return Settlement(OrderState.SENT, order_id)
        case Refused(message):
            return Settlement(OrderState.FAILED, message=message)
        case None:
            return UNCLEAR
