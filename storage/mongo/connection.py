"""Connections to MongoDB, and the translation of driver failures.

A client can be neither pickled nor moved to another process or event loop: pass the URI around and
connect where the database is used.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import wraps
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from bson import ObjectId
from bson.errors import InvalidId
from pymongo import AsyncMongoClient, timeout
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    CursorNotFound,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from optimization.errors import RuleError
from storage.errors import StorageUnavailableError
from storage.mongo.command_listener import CallObserver, CommandWatch
from storage.mongo.decimal_codec import TYPE_REGISTRY

REQUEST_TIMEOUT_MS = 2_000
WRITER_TIMEOUT_S = 20  # because a write has to outlast the election of a new primary
MAX_CONNECTIONS = 20
CACHE_FULL = 388  # TransactionTooLargeForCache: other large writes fill the cache
DUPLICATE_KEY: Final = 11_000
# Labels that the server or the driver gives to failures that a repeat may not meet again.
PASSING_LABELS = ("RetryableError", "RetryableWriteError", "TransientTransactionError")

# The pattern ends before a comma, because the text after it names the host.
CERTIFICATE_REFUSED = re.compile(r"certificate verify failed: ([\w -]+)")

Document: TypeAlias = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")


def connect(
    uri: str,
    database_name: str,
    timeout_ms: int = REQUEST_TIMEOUT_MS,
    max_connections: int = MAX_CONNECTIONS,
    observer: CallObserver | None = None,
) -> AsyncDatabase[Document]:
    """Return the database for one event loop; nothing is sent before the first operation.

    Every operation ends within ``timeout_ms``. Writes are acknowledged by the majority, journaled.
    ``observer`` is called after every command.
    """
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        uri,
        event_listeners=[CommandWatch(observer)] if observer else [],
        **build_client_options(timeout_ms, max_connections),
    )
    return client[database_name]


def build_client_options(timeout_ms: int, max_connections: int) -> dict[str, Any]:
    # timeoutMS bounds a whole operation with its retries; socketTimeoutMS would bound each attempt.
    return {
        "appname": "order-generation",
        "timeoutMS": timeout_ms,
        "maxPoolSize": max_connections,
        "w": "majority",
        "journal": True,
        "tz_aware": True,
        "type_registry": TYPE_REGISTRY,
    }


async def disconnect(database: AsyncDatabase[Document], within_s: float = 2.0) -> None:
    """Close the connections within a time limit, because a dead server would never respond."""
    with suppress(TimeoutError):
        await asyncio.wait_for(database.client.close(), within_s)


async def ping(database: AsyncDatabase[Document]) -> None:
    """Raise StorageUnavailableError unless the database responds.

    Raises OperationFailure if the user of the service may not read.
    """
    with failure_translation():
        # A read replaces the command ping, because a database answers that to anybody. Any
        # collection will do, because the right to read is that of the whole database.
        await database["any"].find_one()


async def read_clock(database: AsyncDatabase[Document]) -> datetime:
    """Return the time by the clock of the database, because the clocks of replicas differ."""
    answer = await database.command("hello", codec_options=database.codec_options)
    return answer["localTime"]


async def run_transaction(
    database: AsyncDatabase[Document], callback: Callable[[AsyncClientSession], Awaitable[None]]
) -> None:
    """Run ``callback`` in a transaction, within the client's time-out with all repeats.

    The callback may run more than once.
    """
    client = database.client
    # An explicit bound, because the client's timeoutMS bounds each operation alone: the driver
    # repeats a transaction that timed out, for up to 120 s.
    with timeout(client.options.timeout):
        async with client.start_session() as session:
            await session.with_transaction(callback)


@contextmanager
def failure_translation() -> Generator[None]:
    """Raise the driver's errors about an absent or slow server as StorageUnavailableError."""
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as error:
        raise StorageUnavailableError(_describe_failure(error)) from error
    except PyMongoError as error:
        if not (error.timeout or _is_passing(error)):
            raise
        raise StorageUnavailableError(_describe_failure(error)) from error


def _is_passing(error: PyMongoError) -> bool:
    match error:
        case BulkWriteError():
            # The writes were applied, but a primary stepped down before the majority had them. The
            # error has no labels, because the driver drops them.
            return bool(error.details["writeConcernErrors"]) and has_only_duplicates(error)
        case CursorNotFound():
            return True  # because a cursor ends with its server
        case _:
            return _is_cache_full(error) or any(map(error.has_error_label, PASSING_LABELS))


def has_only_duplicates(error: BulkWriteError) -> bool:
    """Whether every refused write was an insert of a document that existed already."""
    return all(refusal["code"] == DUPLICATE_KEY for refusal in error.details["writeErrors"])


def _is_cache_full(error: PyMongoError) -> bool:
    return isinstance(error, OperationFailure) and error.code == CACHE_FULL


def _describe_failure(error: PyMongoError) -> str:
    # Only the kind of failure is told, because the driver's text names hosts and may name users.
    if (reason := CERTIFICATE_REFUSED.search(str(error))) is not None:
        return f"the certificate of the database is not accepted: {reason[1].strip()}"
    if error.timeout:
        return "the database did not answer in time"
    if _is_cache_full(error):
        return "the database has too much to write at once"
    return "the database cannot be reached"


def translate_failures(
    method: Callable[P, Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Decorate a coroutine function with ``failure_translation``."""

    @wraps(method)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with failure_translation():
            return await method(*args, **kwargs)

    return wrapper


def require_object_id(field: str, value: str) -> ObjectId:
    """Convert 24 hexadecimal digits to an ObjectId; any other value breaks a rule of ``field``."""
    try:
        return ObjectId(value)
    except (InvalidId, TypeError) as error:
        raise RuleError((field,), value, "an id has exactly 24 hexadecimal digits") from error
