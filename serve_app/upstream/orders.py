"""OrderService: hands orders over in batches, and reads back which of them are there.

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
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from async_lru import alru_cache

from optimization.result import Side
from serve_app.upstream.client import UNREADABLE, Client, UpstreamHealth
from serve_app.upstream.errors import OutcomeUnknownError, UpstreamContractError
from serve_app.upstream.exact import objects, text, whole
from serve_app.upstream.policy import Policy
from serve_app.upstream.reading import parse_json

POLICY = Policy(total_s=10.0, concurrency=16)
HEALTH: Final = "/api/v1/system/health"
POST_WITHIN_S: Final = 60.0  # 1,000 orders cost the service at least 2 s of pauses
MOST_IN_BATCH: Final = 1000
PAGE: Final = 1000
MOST_PLACED: Final = 100_000
LONGEST_MESSAGE: Final = 300
REFERENCES_TTL_S: Final = 3600.0
NEW: Final = "NEW"
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

    async def place(self, orders: Sequence[NewOrder], timestamp: datetime) -> tuple[Answer, ...]:
        """Send a batch once; one answer per order.

        UpstreamUnavailableError: nothing went out. OutcomeUnknownError: it did, and nothing is known.
        """
        references = await self.references()
        at = instant(timestamp)
        body = orjson.dumps([_body(order, references, at) for order in orders])
        response = await self._client.post_once("/api/v1/orders", body, POST_WITHIN_S)
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

    async def placed(self, timestamp: datetime) -> Mapping[tuple[str, str], int]:
        """The ids of the orders of a batch that are there, by portfolio id and security id."""
        found: dict[tuple[str, str], int] = {}
        for offset in range(0, MOST_PLACED, PAGE):
            params = {"orderTimestamp": instant(timestamp), "limit": PAGE, "offset": offset}
            answer = await self._client.json("/api/v1/orders", params)
            with self._client.reading("a page of orders"):
                rows = objects(answer["content"])
                for row in rows:
                    portfolio_id = text(row["portfolio"]["portfolioId"])
                    security_id = text(row["security"]["securityId"])
                    found.setdefault((portfolio_id, security_id), whole(row["id"]))
                more = answer["pagination"]["hasNext"] is True
                if more and not rows:  # an order that is overlooked would go out twice
                    raise ValueError("it is empty, and not the last one")
            if not more:
                return found
        detail = f"over {MOST_PLACED:,} orders have one orderTimestamp"
        raise UpstreamContractError(self._client.upstream, detail)

    async def health(self) -> UpstreamHealth:
        """Ask whether the service is ready."""
        return await self._client.health(HEALTH)

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
        "quantity": orjson.Fragment(f"{order.quantity:f}")
        if isinstance(order.quantity, Decimal)
        else order.quantity,
        "orderTimestamp": at,
        "version": 1,
    }


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
    written = str(message)[:LONGEST_MESSAGE]
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in written)
