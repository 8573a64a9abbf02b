"""POST /api/v1/transactions of the simulated accounting service, into the ledger."""

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serve_app.simulator.http import MAX_BODY_BYTES, json_response
from serve_app.simulator.ledger import EFFECTS, Ledger, LedgerFullError

MAX_TRANSACTIONS_PER_BATCH = 1000
AMOUNT_LIMIT = 10**10  # the service keeps DECIMAL(18,8)
CASH_ONLY = frozenset({"DEP", "WD"})
REQUIRED = ("portfolioId", "sourceId", "transactionType", "quantity", "price", "transactionDate")


class _RefusedError(Exception):
    """A transaction that breaks a rule of its field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message


def transaction_routes(ledger: Ledger) -> list[Route]:
    """List the route, which applies a transaction at once and answers it as processed."""

    async def post(request: Request) -> Response:
        try:
            batch = json.loads(await request.body(), parse_float=Decimal)
        except ValueError:
            return error_response(400, "INVALID_JSON", "Invalid JSON format")
        if not (isinstance(batch, list) and all(isinstance(row, dict) for row in batch)):
            return error_response(400, "INVALID_JSON", "Invalid JSON format")
        if not batch:
            return error_response(400, "EMPTY_BATCH", "At least one transaction is required")
        if len(batch) > MAX_TRANSACTIONS_PER_BATCH:
            return error_response(
                400,
                "BATCH_TOO_LARGE",
                f"Maximum {MAX_TRANSACTIONS_PER_BATCH} transactions per batch",
            )
        return _post(ledger, batch)

    path = "/api/v1/transactions"
    return [Route(path, post, methods=["POST"], max_body_size=MAX_BODY_BYTES)]


def _post(ledger: Ledger, batch: list[dict[str, Any]]) -> Response:
    successful: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    for transaction in batch:
        shown = {key: _text(value) for key, value in transaction.items()}
        try:
            number = _apply(ledger, transaction)
        except _RefusedError as refused:
            reason = {"field": refused.field, "message": refused.message}
            failures.append({"transaction": shown, "errors": [reason]})
        else:
            state = {"id": number, "status": "PROC", "reprocessingAttempts": 0, "version": 1}
            successful.append({**shown, **state})
    summary = {
        "totalRequested": len(batch),
        "successful": len(successful),
        "failed": len(failures),
        "successRate": 100 * len(successful) / len(batch),
    }
    body = {"successful": successful, "failed": failures, "summary": summary}
    return json_response(body, 207 if failures else 201)


def _apply(ledger: Ledger, transaction: dict[str, Any]) -> int:
    for field in REQUIRED:
        if not transaction.get(field):
            raise _RefusedError(field, f"{field} is required")
    kind, source_id = str(transaction["transactionType"]), str(transaction["sourceId"])
    security_id = transaction.get("securityId")
    number = ledger.market.number(str(transaction["portfolioId"]))
    if number is None:
        raise _RefusedError("portfolioId", "unknown portfolio")
    if kind not in EFFECTS:
        raise _RefusedError("transactionType", f"must be one of {' '.join(EFFECTS)}")
    if (kind in CASH_ONLY) != (security_id is None):
        raise _RefusedError("securityId", f"does not go with {kind}")
    if len(source_id) > 50 or ledger.knows(source_id):
        raise _RefusedError("sourceId", "must be unique and at most 50 characters")
    quantity, price = (_read_positive(field, transaction[field]) for field in ("quantity", "price"))
    try:
        return ledger.post(number, source_id, kind, security_id, quantity, price)
    except LedgerFullError as full:
        raise _RefusedError("repository", "the simulated market is full") from full


def _read_positive(field: str, value: object) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation as unreadable:
        raise _RefusedError(field, "must be a number") from unreadable
    if not (number.is_finite() and 0 < number < AMOUNT_LIMIT):
        raise _RefusedError(field, f"must be greater than 0 and below {AMOUNT_LIMIT}")
    return number


def _text(value: object) -> object:
    return str(value) if isinstance(value, Decimal | int) else value


def error_response(status: int, code: str, message: str) -> Response:
    """The one shape of the accounting service's errors."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
    return json_response({"error": {"code": code, "message": message, "timestamp": now}}, status)
