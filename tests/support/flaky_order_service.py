"""The simulated order service behind a connection that a test can break, request by request."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from serve_app.simulator import Market, market_app

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
Fault = Callable[[Send, httpx.Request], Awaitable[httpx.Response]]

OVERLOADED = (
    "Internal server error processing batch request: "
    "System temporarily overloaded - please retry in a few minutes"
)


class OrderDesk(httpx.AsyncBaseTransport):
    """Transport to the order service: each POST takes the next of ``faults``, GETs pass."""

    def __init__(self, market: Market) -> None:
        self._market = httpx.ASGITransport(market_app(market))
        self.faults: list[Fault] = []
        self.posted: list[list[dict[str, Any]]] = []
        self.is_down = False
        self.has_blotters = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            return httpx.Response(503, request=request)
        if request.url.path == "/api/v1/blotters" and not self.has_blotters:
            return unread_response(httpx.Response(200, json=[], request=request))
        if request.method == "POST":
            self.posted.append(json.loads(request.content))
            if self.faults:
                return unread_response(
                    await self.faults.pop(0)(self._market.handle_async_request, request)
                )
        return await self._market.handle_async_request(request)

    async def read_orders(self) -> list[dict[str, Any]]:
        """Return all orders of the order service."""
        orders: list[dict[str, Any]] = []
        async with httpx.AsyncClient(transport=self._market, base_url="http://desk") as http:
            while True:
                params = {"limit": 1000, "offset": len(orders)}
                page = (await http.get("/api/v1/orders", params=params)).json()
                orders += page["content"]
                if not page["pagination"]["hasNext"]:
                    return orders

    async def read_status(self, order_id: int) -> str:
        """Return the status of an order."""
        statuses = {
            order["id"]: order["status"]["abbreviation"] for order in await self.read_orders()
        }
        return statuses[order_id]

    async def update(self, order_id: int, status: str) -> None:
        """Change the status of an order, as a trader does."""
        async with httpx.AsyncClient(transport=self._market, base_url="http://desk") as http:
            path = f"/api/v1/order/{order_id}"
            order = (await http.get(path)).json()
            statuses = (await http.get("/api/v1/statuses")).json()
            (number,) = [row["id"] for row in statuses if row["abbreviation"] == status]
            body = {
                "statusId": number,
                "blotterId": order["blotter"]["id"],
                "orderTypeId": order["orderType"]["id"],
                "portfolioId": order["portfolio"]["portfolioId"],
                "securityId": order["security"]["securityId"],
            }
            (await http.put(path, json={**order, **body})).raise_for_status()

    async def submit(self, order_id: int) -> None:
        """Send an order to trade."""
        async with httpx.AsyncClient(transport=self._market, base_url="http://desk") as http:
            (await http.post(f"/api/v1/orders/{order_id}/submit")).raise_for_status()

    async def remove(self, order_id: int) -> None:
        """Delete an order."""
        async with httpx.AsyncClient(transport=self._market, base_url="http://desk") as http:
            answer = await http.delete(f"/api/v1/order/{order_id}", params={"version": 1})
            assert answer.status_code == 204

    async def read_keys(self) -> list[tuple[str, str]]:
        """Return portfolio and security of all orders, sorted."""
        return sorted(
            (order["portfolio"]["portfolioId"], order["security"]["securityId"])
            for order in await self.read_orders()
        )


def unread_response(response: httpx.Response) -> httpx.Response:
    """Convert a response to the form that a connection gives, with an unread body."""
    if not response.is_stream_consumed:
        return response
    stream = httpx.ByteStream(response.content)
    return httpx.Response(response.status_code, stream=stream, request=response.request)


async def refuse_connection(_: Send, request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


async def lose_request(_: Send, request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset", request=request)


async def lose_answer(send: Send, request: httpx.Request) -> httpx.Response:
    await send(request)
    raise httpx.ReadTimeout("no answer", request=request)


async def report_overload(_: Send, request: httpx.Request) -> httpx.Response:
    return httpx.Response(500, json={"status": "FAILURE", "message": OVERLOADED}, request=request)


async def reverse_answers(send: Send, request: httpx.Request) -> httpx.Response:
    body = await _fetch_answer(send, request)
    body["orders"].reverse()
    return httpx.Response(200, json=body, request=request)


async def save_but_report_failure(send: Send, request: httpx.Request) -> httpx.Response:
    """Save the order but respond with an error, as the real service may do."""
    body = await _fetch_answer(send, request)
    first = body["orders"][0]
    message = "Failed to create order: unknown error"
    body["orders"][0] = {
        "status": "FAILURE",
        "message": message,
        "requestIndex": first["requestIndex"],
    }
    return httpx.Response(207, json=body, request=request)


async def save_without_index(send: Send, request: httpx.Request) -> httpx.Response:
    """Save the order but respond with index -1, as the real service does for a busy worker."""
    body = await _fetch_answer(send, request)
    message = "Future execution failed: null"
    body["orders"][0] = {"status": "FAILURE", "message": message, "requestIndex": -1}
    return httpx.Response(207, json=body, request=request)


def save_first_only(count: int, status: int = 500) -> Fault:
    """Fault of a service that saves some orders of a batch and responds with an error."""

    async def cut(send: Send, request: httpx.Request) -> httpx.Response:
        orders = json.loads(request.content)[:count]
        shorter = httpx.Request("POST", request.url, json=orders)
        await send(shorter)
        return httpx.Response(status, json={"message": "out of memory"}, request=request)

    return cut


def refuse_first(count: int, message: str = "Blotter ID is required") -> Fault:
    """Fault of a service that refuses the first orders of a batch and accepts the others."""

    async def refuse(send: Send, request: httpx.Request) -> httpx.Response:
        orders = json.loads(request.content)
        answer = await _fetch_answer(send, httpx.Request("POST", request.url, json=orders[count:]))
        accepted_rows = [
            {**row, "requestIndex": row["requestIndex"] + count} for row in answer["orders"]
        ]
        failed = [
            {"status": "FAILURE", "message": message, "requestIndex": index}
            for index in range(min(count, len(orders)))
        ]
        return httpx.Response(207, json={"orders": failed + accepted_rows}, request=request)

    return refuse


async def _fetch_answer(send: Send, request: httpx.Request) -> dict[str, Any]:
    response = await send(request)
    await response.aread()
    return response.json() if "orders" in response.json() else {"orders": []}
