"""The simulated order service: orders in memory."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serve_app.simulator.http import MAX_BODY_BYTES, constant_endpoint, json_response, read_page
from serve_app.simulator.services.portfolios import portfolio_name
from serve_app.simulator.world import Market

MAX_ORDERS_PER_BATCH = 1000
MAX_ORDERS = 100_000
OVERLOADED = (
    "Internal server error processing batch request: System temporarily overloaded"
    " - please retry in a few minutes"
)
BLOTTERS = ("Default", "Equity", "Fixed Income", "Hold", "Crypto")
ORDER_TYPES = {
    "BUY": "Buy",
    "SELL": "Sell",
    "SHORT": "Sell to Open",
    "COVER": "Buy to Close",
    "EXRC": "Exercise",
}
STATUSES = {
    "NEW": "New",
    "SENT": "Sent",
    "WORK": "In progress",
    "FULL": "Filled",
    "PART": "Partial fill",
    "HOLD": "Hold",
    "CNCL": "Cancel",
    "CNCLD": "Cancelled",
    "CPART": "Cancelled with partial fill",
    "DEL": "Delete",
}
MAY_TRADE = frozenset({"NEW", "SENT", "WORK"})
# member of an order -> its reference list; ids are places in the list, from 1
REFERENCES: Mapping[str, tuple[str, list[dict[str, Any]]]] = {
    "blotterId": (
        "Blotter",
        [{"id": place, "name": name, "version": 1} for place, name in enumerate(BLOTTERS, 1)],
    ),
    "statusId": (
        "Status",
        [
            {"id": place, "abbreviation": short, "description": text, "version": 1}
            for place, (short, text) in enumerate(STATUSES.items(), 1)
        ],
    ),
    "orderTypeId": (
        "Order Type",
        [
            {"id": place, "abbreviation": short, "description": text, "version": 1}
            for place, (short, text) in enumerate(ORDER_TYPES.items(), 1)
        ],
    ),
}
LABELS = {
    "blotterId": "Blotter ID",
    "statusId": "Status ID",
    "portfolioId": "Portfolio ID",
    "orderTypeId": "Order Type ID",
    "securityId": "Security ID",
}
FILTERS = (
    "security.ticker",
    "portfolio.name",
    "blotter.name",
    "status.abbreviation",
    "orderType.abbreviation",
    "orderTimestamp",
)


class Orders:
    """All orders that were posted, by id from 1."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._tickers = {listing.security_id: listing.ticker for listing in market.listings()}
        self._all: dict[int, dict[str, Any]] = {}
        # A counter, because the id of a deleted order is not used again.
        self._last_id = 0

    def open_orders(self) -> list[dict[str, Any]]:
        """List the orders that may still trade, oldest first."""
        return [
            order for order in self._all.values() if order["status"]["abbreviation"] in MAY_TRADE
        ]

    def mark_filled(self, order: dict[str, Any]) -> None:
        """Give an order the status of one that has traded whole."""
        order |= {"status": REFERENCES["statusId"][1][list(STATUSES).index("FULL")]}

    def routes(self) -> list[Route]:
        """List the routes."""
        order = "/api/v1/order/{order_id}"
        limit = MAX_BODY_BYTES
        return [
            Route("/api/v1/orders", self._post, methods=["POST"], max_body_size=limit),
            Route("/api/v1/orders", self._search),
            Route(order, self._read),
            Route(order, self._replace, methods=["PUT"], max_body_size=limit),
            Route(order, self._delete, methods=["DELETE"]),
            Route("/api/v1/orders/{order_id}/submit", self._submit, methods=["POST"]),
            Route("/api/v1/blotters", constant_endpoint(REFERENCES["blotterId"][1])),
            Route("/api/v1/statuses", constant_endpoint(REFERENCES["statusId"][1])),
            Route("/api/v1/orderTypes", constant_endpoint(REFERENCES["orderTypeId"][1])),
            Route("/api/v1/system/health", constant_endpoint({"status": "UP"})),
        ]

    async def _post(self, request: Request) -> Response:
        try:
            batch = json.loads(await request.body(), parse_float=Decimal)
        except ValueError:
            return json_response({"code": "RUNTIME_ERROR", "message": "JSON parse error"}, 500)
        if not isinstance(batch, list):
            return json_response({"code": "RUNTIME_ERROR", "message": "JSON parse error"}, 500)
        if not batch:
            return json_response(_build_refusal("No orders provided for processing"), 400)
        if len(batch) > MAX_ORDERS_PER_BATCH:
            text = f"Batch size {len(batch)} exceeds maximum allowed size of {MAX_ORDERS_PER_BATCH}"
            return json_response(_build_refusal(text), 413)
        if len(self._all) + len(batch) > MAX_ORDERS:
            # The real service means 503 and says 500.
            return json_response(_build_refusal(OVERLOADED), 500)
        results = [self._build_result(order, index) for index, order in enumerate(batch)]
        return _build_response(results)

    def _build_result(self, order: Any, index: int) -> dict[str, Any]:
        complaint = _find_complaint(order)
        if complaint:
            return {"status": "FAILURE", "message": complaint, "requestIndex": index}
        saved_order = self._save(order)
        self._all[saved_order["id"]] = saved_order
        return {
            "status": "SUCCESS",
            "message": "Order created successfully",
            "order": saved_order,
            "orderId": saved_order["id"],
            "requestIndex": index,
        }

    def _save(self, order: dict[str, Any]) -> dict[str, Any]:
        self._last_id += 1
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        fields = self._build_fields(order)
        fields["orderTimestamp"] = fields["orderTimestamp"] or now
        return {"id": self._last_id, **fields}

    def _build_fields(self, order: dict[str, Any]) -> dict[str, Any]:
        number = self._market.number(str(order["portfolioId"]))
        name = None if number is None else portfolio_name(number)
        ticker = self._tickers.get(str(order["securityId"]))
        return {
            "blotter": REFERENCES["blotterId"][1][order["blotterId"] - 1],
            "status": REFERENCES["statusId"][1][order["statusId"] - 1],
            "portfolio": {"portfolioId": order["portfolioId"], "name": name},
            "orderType": REFERENCES["orderTypeId"][1][order["orderTypeId"] - 1],
            "security": {"securityId": order["securityId"], "ticker": ticker},
            "quantity": order["quantity"],
            "limitPrice": order.get("limitPrice"),
            "tradeOrderId": order.get("tradeOrderId"),
            "orderTimestamp": order.get("orderTimestamp"),
            "version": order.get("version") or 1,
        }

    async def _search(self, request: Request) -> Response:
        filters = {
            key: request.query_params[key]
            for key in request.query_params
            if key not in ("limit", "offset", "sort")
        }
        if unknown := sorted(filters.keys() - set(FILTERS)):
            text = f"Invalid filter fields: {', '.join(unknown)}"
            body = {
                "error": "Invalid filter parameter",
                "message": text,
                "validFilterFields": FILTERS,
            }
            return json_response(body, 400)
        matches = [order for order in self._all.values() if _passes(order, filters)]
        try:
            limit, offset, pagination = read_page(request.query_params, len(matches))
        except ValueError as error:
            return json_response({"error": "Invalid limit parameter", "message": str(error)}, 400)
        return json_response(
            {"content": matches[offset : offset + limit], "pagination": pagination}
        )

    async def _read(self, request: Request) -> Response:
        order = self._all.get(_id(request))
        return Response(status_code=404) if order is None else json_response(order)

    async def _replace(self, request: Request) -> Response:
        """Replace every field whatever the version and status, as the real service does."""
        order = self._all.get(_id(request))
        if order is None:
            return Response(status_code=404)
        replacement = json.loads(await request.body(), parse_float=Decimal)
        order |= self._build_fields(replacement)
        return json_response(order)

    async def _delete(self, request: Request) -> Response:
        """Remove an order whatever its status and version; 409 if it does not exist."""
        return Response(status_code=409 if self._all.pop(_id(request), None) is None else 204)

    async def _submit(self, request: Request) -> Response:
        """Send a NEW order to trade; here no trade service takes it further."""
        order = self._all.get(_id(request))
        if order is None:
            return json_response({"code": "RUNTIME_ERROR", "message": "No value present"}, 500)
        if order["status"]["abbreviation"] != "NEW":
            return json_response({"status": "not submitted"}, 400)
        place = list(STATUSES).index("SENT")
        order |= {"status": REFERENCES["statusId"][1][place], "tradeOrderId": order["id"]}
        return json_response(order)


def _id(request: Request) -> int:
    text: str = request.path_params["order_id"]
    return int(text) if text.isdecimal() else 0


def _find_complaint(order: Any) -> str | None:
    if not isinstance(order, dict):
        return "Order data is required"
    for member, label in LABELS.items():
        if not order.get(member):
            return f"{label} is required"
    if not _is_positive(order.get("quantity")):
        return "Quantity must be positive"
    if order.get("limitPrice") is not None and not _is_positive(order["limitPrice"]):
        return "Limit price must be positive"
    for member, (label, listed) in REFERENCES.items():
        if not (isinstance(order[member], int) and 1 <= order[member] <= len(listed)):
            return f"{label} with ID {order[member]} not found"
    return None


def _is_positive(value: object) -> bool:
    return isinstance(value, int | Decimal) and value > 0


def _passes(order: dict[str, Any], filters: Mapping[str, str]) -> bool:
    for path, values in filters.items():
        value: Any = order
        for step in path.split("."):
            value = value[step]
        if value not in values.split(","):
            return False
    return True


def _build_refusal(message: str) -> dict[str, Any]:
    empty = {"totalReceived": 0, "successful": 0, "failed": 0, "orders": []}
    return {"status": "FAILURE", "message": message, **empty}


def _build_response(results: list[dict[str, Any]]) -> Response:
    total = len(results)
    successful = sum(result["status"] == "SUCCESS" for result in results)
    status, text = "PARTIAL", f"{successful} of {total} orders processed successfully"
    if successful == total:
        status, text = "SUCCESS", f"All {total} orders processed successfully"
    elif successful == 0:
        status, text = "FAILURE", "All orders failed to process"
    counts = {"totalReceived": total, "successful": successful, "failed": total - successful}
    body = {"status": status, "message": text, **counts, "orders": results}
    return json_response(body, 200 if successful == total else 207)
