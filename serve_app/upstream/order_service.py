"""OrderService: hands orders over in batches, reads back which of them are there, and cancels orders.

Neither route nor order has a key of ours, so a batch goes out once. Whoever has no answer, or an
answer that says too little, reads back by the batch's own orderTimestamp before anything is repeated:

- A 500 of a whole batch ("... System temporarily overloaded" among them) may come after some chunks
  of it were committed. It is an unknown outcome, whatever its text says; the time until the service
  wants to be asked again is that in which a late order arrives, so nothing is lost by waiting.
- A FAILURE of a single order is nearly always true. But "Failed to create order: unknown error" is also
  said of an order that is saved, when only its answer could not be made, and an order whose worker
  took over 30 s is reported with requestIndex -1 while the worker goes on.
- Filters by ticker or portfolio name that cannot be resolved are dropped, not refused; a filter by
  orderTimestamp is not.

There is no route to cancel. An order with the status NEW was not submitted to the trade service, and only NEW
orders are submitted: a PUT that makes it CNCLD keeps it from trading. An order that was submitted cannot be
called back here. DELETE is no way, because it removes an order in any status, and with one that was submitted
the only record of a trade that goes on. PUT compares no version: a submission at the same moment may overwrite
it or be overwritten, so an order counts as cancelled once it is read as CNCLD a while later.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from async_lru import alru_cache

from optimization import Side
from serve_app.concurrency import for_each
from serve_app.upstream.errors import OutcomeUnknownError, UpstreamContractError
from serve_app.upstream.exact_values import objects, text, whole
from serve_app.upstream.http_client import UNREADABLE, Client, UpstreamHealth
from serve_app.upstream.response_body import parse_json
from serve_app.upstream.retry_policy import Policy

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
# Filled, cancelled, cancelled after a part was filled, deleted: nothing more of it is traded.
OVER: Final = frozenset({"FULL", CANCELLED, "CPART", "DEL"})
REMOVED: Final = "DEL"
PARTLY_FILLED: Final = "PART"
NOT_FOUND: Final = 404
FOUND_OR_NOT: Final = frozenset({200, NOT_FOUND})
REQUEST_TIMEOUT: Final = 408  # said by proxies on the way, of requests that may have gone on


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What an order service needs to know of an order."""

    portfolio_id: str
    security_id: str
    side: Side
    quantity: int | Decimal


@dataclass(frozen=True, slots=True)
class Accepted:
    """The order is there, under this id."""

    order_id: int


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as the order service has it; ``status`` is the abbreviation."""

    order_id: int
    status: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The order service says that it did not take the order."""

    message: str


Answer = Accepted | Refused | None
"""What the order service says of one order; None where it says nothing."""


@dataclass(frozen=True, slots=True)
class References:
    """Ids of the order service's own lists."""

    blotter: int
    status: int
    types: Mapping[Side, int]


class OrderService:
    """The order service, with orders in one of its blotters."""

    def __init__(self, client: Client, blotter: str) -> None:
        self._client = client
        self._blotter = blotter
        self.references = alru_cache(maxsize=1, ttl=REFERENCES_TTL_S)(self._read_references)
        self._cancelled = alru_cache(maxsize=1, ttl=REFERENCES_TTL_S)(self._read_cancelled)

    async def place(self, orders: Sequence[NewOrder], timestamp: datetime) -> tuple[Answer, ...]:
        """Send a batch once; one answer per order.

        UpstreamUnavailableError, UpstreamContractError: nothing went out. OutcomeUnknownError: it did, and
        nothing is known.
        """
        references = await self.references()
        at = instant(timestamp)
        body = orjson.dumps([_body(order, references, at) for order in orders])
        response = await self._client.send_once("POST", "/api/v1/orders", body, POST_WITHIN_S)
        status = response.status_code
        if 400 <= status < 500 and status != REQUEST_TIMEOUT:
            message = f"the batch was refused with {status}{_message(response.content)}"
            return (Refused(message),) * len(orders)
        if status not in {200, 207}:
            detail = f"/api/v1/orders answered {status}"
            raise OutcomeUnknownError(self._client.upstream, detail)
        try:
            with self._client.reading("what became of a batch"):
                return _matched(objects(self._client.parsed(response)["orders"]), len(orders))
        except UpstreamContractError as error:
            raise OutcomeUnknownError(self._client.upstream, error.detail) from error

    async def placed(self, timestamp: datetime) -> Mapping[tuple[str, str], Placed]:
        """The orders of a batch that are there, by portfolio id and security id."""
        found: dict[tuple[str, str], Placed] = {}
        for offset in range(0, MAX_PLACED_ORDERS, PAGE):
            params = {"orderTimestamp": instant(timestamp), "limit": PAGE, "offset": offset}
            answer = await self._client.json("/api/v1/orders", params)
            with self._client.reading("a page of orders"):
                rows = objects(answer["content"])
                for row in rows:
                    portfolio_id = text(row["portfolio"]["portfolioId"])
                    security_id = text(row["security"]["securityId"])
                    there = Placed(whole(row["id"]), text(row["status"]["abbreviation"]))
                    found.setdefault((portfolio_id, security_id), there)
                more = answer["pagination"]["hasNext"] is True
                if more and not rows:  # an order that is overlooked would go out twice
                    raise ValueError("it is empty, and not the last one")
            if not more:
                return found
        detail = f"over {MAX_PLACED_ORDERS:,} orders have one orderTimestamp"
        raise UpstreamContractError(self._client.upstream, detail)

    async def health(self) -> UpstreamHealth:
        """Ask whether the service is ready."""
        return await self._client.health(HEALTH)

    async def cancel(self, order_ids: Sequence[int]) -> None:
        """Ask for the cancellation of orders that were not submitted to the trade service.

        Says nothing of what became of them: ``placed`` does, a while later.
        """
        cancelled = await self._cancelled()

        async def cancel_one(order_id: int) -> None:
            await self._cancel(order_id, cancelled)

        await for_each(order_ids, cancel_one, MAX_CONCURRENT_CANCELLATIONS)

    async def _cancel(self, order_id: int, cancelled: int) -> None:
        path = f"/api/v1/order/{order_id}"
        response = await self._client.get(path, accept=FOUND_OR_NOT)
        if response.status_code == NOT_FOUND:
            return
        order = self._client.parsed(response)
        with self._client.reading("an order"):
            if order["status"]["abbreviation"] != NEW or order.get("tradeOrderId") is not None:
                return
            body = orjson.dumps(_cancelled(order, cancelled))
        with suppress(OutcomeUnknownError):
            await self._client.send_once("PUT", path, body, POLICY.total_s)

    async def _read_cancelled(self) -> int:
        return await self._id("/api/v1/statuses", "abbreviation", CANCELLED)

    async def _read_references(self) -> References:
        return References(
            await self._id("/api/v1/blotters", "name", self._blotter),
            await self._id("/api/v1/statuses", "abbreviation", NEW),
            {side: await self._id("/api/v1/orderTypes", "abbreviation", side) for side in Side},
        )

    async def _id(self, path: str, member: str, wanted: str) -> int:
        rows = await self._client.json(path)
        with self._client.reading(f"the answer of {path}"):
            for row in objects(rows):
                if row[member] == wanted:
                    return whole(row["id"])
        detail = f"{path} has no {member} {wanted}"
        raise UpstreamContractError(self._client.upstream, detail)


def instant(moment: datetime) -> str:
    """A moment as the service's filter reads it back: UTC, milliseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _body(order: NewOrder, references: References, at: str) -> dict[str, object]:
    return {
        "blotterId": references.blotter,
        "statusId": references.status,
        "portfolioId": order.portfolio_id,
        "orderTypeId": references.types[order.side],
        "securityId": order.security_id,
        "quantity": _number(order.quantity),
        "orderTimestamp": at,
        "version": 1,
    }


def _cancelled(order: Any, status: int) -> dict[str, object]:
    """A whole order with another status: PUT replaces every field."""
    return {
        "id": order["id"],
        "blotterId": order["blotter"]["id"],
        "statusId": status,
        "portfolioId": order["portfolio"]["portfolioId"],
        "orderTypeId": order["orderType"]["id"],
        "securityId": order["security"]["securityId"],
        "quantity": _number(order["quantity"]),
        "limitPrice": _number(order.get("limitPrice")),
        "tradeOrderId": None,
        "orderTimestamp": order["orderTimestamp"],
        "version": order["version"],
    }


def _number(number: int | Decimal | None) -> object:
    return orjson.Fragment(f"{number:f}") if isinstance(number, Decimal) else number


def _matched(rows: Any, count: int) -> tuple[Answer, ...]:
    """The answers in the order of the request; results come in any order."""
    by_index: dict[Any, list[Any]] = {}
    for row in rows:
        by_index.setdefault(whole(row["requestIndex"]), []).append(row)
    return tuple(_answer(by_index.get(index, [])) for index in range(count))


def _answer(rows: Sequence[Any]) -> Answer:
    if len(rows) != 1:  # none, or several that may disagree
        return None
    (row,) = rows
    if row["status"] == "FAILURE":
        return Refused(_shortened(row.get("message")))
    order_id = row.get("orderId") or (row.get("order") or {}).get("id")
    if row["status"] == "SUCCESS" and isinstance(order_id, int):
        return Accepted(whole(order_id))
    return None


def _message(content: bytes) -> str:
    try:
        return f": {_shortened(parse_json(content)['message'])}"
    except UNREADABLE:
        return ""


def _shortened(message: Any) -> str:
    """What a person may want to read of a message, with control characters made visible."""
    written = str(message)[:MAX_MESSAGE_LENGTH]
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in written)
