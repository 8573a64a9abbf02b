"""Client of the order service: places batches of orders, reads them back, and cancels orders.

The service accepts no idempotency key, so a batch is sent only once. After a missing or unclear
answer the batch is read back by its own orderTimestamp before any order is repeated:

- A 500 for a whole batch (such as "... System temporarily overloaded") may come after parts of the
  batch were committed. Its outcome is unknown, whatever its text says; nothing is lost by waiting
  for the retry, because late orders arrive in that time.
- A FAILURE of a single order is nearly always true. But "Failed to create order: unknown error" may
  also stand for a saved order whose answer failed, and an order whose worker takes over 30 s is
  reported with requestIndex -1 while the worker continues.
- Filters by a ticker or portfolio name that cannot be resolved are dropped, not refused; a filter
  by orderTimestamp is never dropped.

The service has no route to cancel. Only orders with the status NEW are submitted to the trade
service, so a PUT that changes NEW to CNCLD keeps an order from trading. A submitted order cannot be
called back here. DELETE is unsuitable, because it removes an order in any status, and thereby the
only record of a submitted trade. PUT compares no version: a submission at the same moment may
overwrite it or be overwritten, so an order counts as cancelled once a later read shows CNCLD.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from async_lru import alru_cache

from optimization import Side
from serve_app.concurrency import for_each
from serve_app.upstream.errors import OutcomeUnknownError, UpstreamContractError
from serve_app.upstream.exact_values import read_integer, read_objects, read_text
from serve_app.upstream.http_client import UNREADABLE, Client, UpstreamHealth
from serve_app.upstream.response_body import parse_json
from serve_app.upstream.retry_policy import Policy
from storage.instants import format_instant

POLICY = Policy(total_s=10.0, concurrency=16)
HEALTH: Final = "/api/v1/system/health"
POST_WITHIN_S: Final = 60.0  # 1,000 orders cost the service at least 2 s of pauses
MAX_ORDERS_PER_BATCH: Final = 1000
PAGE: Final = 1000
MAX_PLACED_ORDERS: Final = 100_000
MAX_MESSAGE_LENGTH: Final = 300
REFERENCES_TTL_S: Final = 3600.0
MAX_CONCURRENT_CANCELLATIONS: Final = 8
NEW: Final = "NEW"
CANCELLED: Final = "CNCLD"
# Filled, cancelled, cancelled after a partial fill, deleted: these orders trade no further.
OVER: Final = frozenset({"FULL", CANCELLED, "CPART", "DEL"})
REMOVED: Final = "DEL"
PARTLY_FILLED: Final = "PART"
NOT_FOUND: Final = 404
FOUND_OR_NOT: Final = frozenset({200, NOT_FOUND})
REQUEST_TIMEOUT: Final = 408  # unclear, because a proxy sends it for requests that may go on


@dataclass(frozen=True, slots=True)
class NewOrder:
    """Order to place: the fields that the order service needs."""

    portfolio_id: str
    security_id: str
    side: Side
    quantity: int | Decimal


@dataclass(frozen=True, slots=True)
class Accepted:
    """Answer for a saved order: its id at the order service."""

    order_id: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Order at the order service; ``status`` is the abbreviation."""

    order_id: int
    status: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer for a refused order."""

    message: str


Answer = Accepted | Refused | None
"""Answer of the order service for one order; None if it has none."""


@dataclass(frozen=True, slots=True)
class References:
    """Ids from the order service's own lists."""

    blotter: int
    status: int
    types: Mapping[Side, int]


class OrderService:
    """Order service, with all orders in one blotter."""

    def __init__(self, client: Client, blotter: str) -> None:
        self._client = client
        self._blotter = blotter
        self.references = alru_cache(maxsize=1, ttl=REFERENCES_TTL_S)(self._read_references)
        self._cancelled = alru_cache(maxsize=1, ttl=REFERENCES_TTL_S)(self._read_cancelled)

    async def place(self, orders: Sequence[NewOrder], timestamp: datetime) -> tuple[Answer, ...]:
        """Send a batch once; return one answer per order.

        Raises UpstreamUnavailableError or UpstreamContractError if nothing was sent, and
        OutcomeUnknownError if the batch was sent without a clear answer.
        """
        references = await self.references()
        at = format_instant(timestamp)
        body = orjson.dumps([_build_body(order, references, at) for order in orders])
        response = await self._client.send_once("POST", "/api/v1/orders", body, POST_WITHIN_S)
        status = response.status_code
        if 400 <= status < 500 and status != REQUEST_TIMEOUT:
            message = f"the batch was refused with {status}{_read_message(response.content)}"
            return (Refused(message),) * len(orders)
        if status not in {200, 207}:
            detail = f"/api/v1/orders answered {status}"
            raise OutcomeUnknownError(self._client.upstream, detail)
        try:
            with self._client.translate_read_errors("what became of a batch"):
                return _sort_answers(
                    read_objects(self._client.parse(response)["orders"]), len(orders)
                )
        except UpstreamContractError as error:
            raise OutcomeUnknownError(self._client.upstream, error.detail) from error

    async def read_placed(self, timestamp: datetime) -> Mapping[tuple[str, str], Placed]:
        """Read the orders of a batch at the service, by portfolio id and security id."""
        placed_orders: dict[tuple[str, str], Placed] = {}
        for offset in range(0, MAX_PLACED_ORDERS, PAGE):
            params = {"orderTimestamp": format_instant(timestamp), "limit": PAGE, "offset": offset}
            answer = await self._client.get_json("/api/v1/orders", params)
            with self._client.translate_read_errors("a page of orders"):
                rows = read_objects(answer["content"])
                for row in rows:
                    portfolio_id = read_text(row["portfolio"]["portfolioId"])
                    security_id = read_text(row["security"]["securityId"])
                    placed_order = Placed(
                        read_integer(row["id"]), read_text(row["status"]["abbreviation"])
                    )
                    placed_orders.setdefault((portfolio_id, security_id), placed_order)
                more = answer["pagination"]["hasNext"] is True
                if more and not rows:  # because an overlooked order would be sent twice
                    raise ValueError("it is empty, and not the last one")
            if not more:
                return placed_orders
        detail = f"over {MAX_PLACED_ORDERS:,} orders have one orderTimestamp"
        raise UpstreamContractError(self._client.upstream, detail)

    async def check_health(self) -> UpstreamHealth:
        """Check whether the service is ready."""
        return await self._client.check_health(HEALTH)

    async def cancel(self, order_ids: Sequence[int]) -> None:
        """Request the cancellation of orders not yet submitted to the trade service.

        The result is not returned: ``read_placed`` shows it later.
        """
        status_id = await self._cancelled()

        async def cancel_one(order_id: int) -> None:
            await self._cancel(order_id, status_id)

        await for_each(order_ids, cancel_one, MAX_CONCURRENT_CANCELLATIONS)

    async def _cancel(self, order_id: int, status_id: int) -> None:
        path = f"/api/v1/order/{order_id}"
        response = await self._client.get(path, accept=FOUND_OR_NOT)
        if response.status_code == NOT_FOUND:
            return
        order = self._client.parse(response)
        with self._client.translate_read_errors("an order"):
            if order["status"]["abbreviation"] != NEW or order.get("tradeOrderId") is not None:
                return
            body = orjson.dumps(_build_cancelled_body(order, status_id))
        with suppress(OutcomeUnknownError):
            await self._client.send_once("PUT", path, body, POLICY.total_s)

    async def _read_cancelled(self) -> int:
        return await self._find_id("/api/v1/statuses", "abbreviation", CANCELLED)

    async def _read_references(self) -> References:
        return References(
            await self._find_id("/api/v1/blotters", "name", self._blotter),
            await self._find_id("/api/v1/statuses", "abbreviation", NEW),
            {
                side: await self._find_id("/api/v1/orderTypes", "abbreviation", side)
                for side in Side
            },
        )

    async def _find_id(self, path: str, member: str, value: str) -> int:
        rows = await self._client.get_json(path)
        with self._client.translate_read_errors(f"the answer of {path}"):
            for row in read_objects(rows):
                if row[member] == value:
                    return read_integer(row["id"])
        detail = f"{path} has no {member} {value}"
        raise UpstreamContractError(self._client.upstream, detail)


def _build_body(order: NewOrder, references: References, at: str) -> dict[str, object]:
    return {
        "blotterId": references.blotter,
        "statusId": references.status,
        "portfolioId": order.portfolio_id,
        "orderTypeId": references.types[order.side],
        "securityId": order.security_id,
        "quantity": _format_number(order.quantity),
        "orderTimestamp": at,
        "version": 1,
    }


def _build_cancelled_body(order: Any, status: int) -> dict[str, object]:
    """Copy a whole order with another status, because PUT replaces every field."""
    return {
        "id": order["id"],
        "blotterId": order["blotter"]["id"],
        "statusId": status,
        "portfolioId": order["portfolio"]["portfolioId"],
        "orderTypeId": order["orderType"]["id"],
        "securityId": order["security"]["securityId"],
        "quantity": _format_number(order["quantity"]),
        "limitPrice": _format_number(order.get("limitPrice")),
        "tradeOrderId": None,
        "orderTimestamp": order["orderTimestamp"],
        "version": order["version"],
    }


def _format_number(number: int | Decimal | None) -> object:
    return orjson.Fragment(f"{number:f}") if isinstance(number, Decimal) else number


def _sort_answers(rows: Any, count: int) -> tuple[Answer, ...]:
    """Sort the results, which come in any order, into the order of the request."""
    by_index: dict[Any, list[Any]] = {}
    for row in rows:
        by_index.setdefault(read_integer(row["requestIndex"]), []).append(row)
    return tuple(_read_answer(by_index.get(index, [])) for index in range(count))


def _read_answer(rows: Sequence[Any]) -> Answer:
    if len(rows) != 1:  # because several results may disagree
        return None
    (row,) = rows
    if row["status"] == "FAILURE":
        return Refused(_shorten(row.get("message")))
    order_id = row.get("orderId") or (row.get("order") or {}).get("id")
    if row["status"] == "SUCCESS" and isinstance(order_id, int):
        return Accepted(read_integer(order_id))
    return None


def _read_message(content: bytes) -> str:
    try:
        return f": {_shorten(parse_json(content)['message'])}"
    except UNREADABLE:
        return ""


def _shorten(message: Any) -> str:
    """Shorten a message and escape its control characters."""
    characters = str(message)[:MAX_MESSAGE_LENGTH]
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in characters
    )
