"""Error tree of the storage package.

StorageError
├── NotFoundError                  nothing is stored under this id
├── NameTakenError                 another model has this name
├── StaleVersionError              the caller changed a version that is no longer the stored one
├── LeaseLostError                 another process works on the run or scan by now
├── RunEndedError                  the run ended before every portfolio had its outcome
├── RunGoesOnError                 a run still writes to the rebalance
├── StorageUnavailableError        the database did not answer in time or cannot be reached
├── IdempotencyMismatchError       the key was used before with another request
├── IdempotencyInProgressError     the first request with this key is still in progress
├── HandOverError                  the orders of a rebalance
│   ├── HandOverInProgressError    another request is handing the orders over
│   ├── NotCompletedError          the rebalance is not completed
│   ├── OrdersInDoubtError         it is not known whether some orders arrived
│   ├── OrdersOpenError            portfolios have open orders of other rebalances
│   ├── SupersededError            orders of a later rebalance of the portfolios were sent
│   └── OrdersSentError            some orders were sent
├── ProposalError                  a step that a proposal does not allow: proposals/errors.py
└── EmbeddedServerError            the embedded database server
    ├── NoServerBinaryError        no database server was found on this machine
    ├── DataDirectoryLockedError   another server owns the data directory
    ├── PortTakenError             another program has the port of the server
    ├── NoRoomError                the disk of the data directory is full, or nearly so
    ├── ServerDidNotStartError     the server ended, or did not answer, while it was starting
    └── ServerEndedError           the server ended, and starting it again is in vain

Every class passes all its arguments to ``super().__init__``, because otherwise its objects do not
survive pickling between processes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimization import Refusal


class StorageError(Exception):
    """Base of all errors of the package."""


class NotFoundError(StorageError):
    """Nothing is stored under this id; ``entity`` names the kind: "model", "rebalance" ..."""

    def __init__(self, entity: str, entity_id: str) -> None:
        super().__init__(entity, entity_id)
        self.entity = entity
        self.entity_id = entity_id

    def __str__(self) -> str:
        return f"there is no {self.entity} {self.entity_id}"


class NameTakenError(StorageError):
    """Another model has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"another model is named {self.name!r}"


class StaleVersionError(StorageError):
    """The change was made to version ``expected`` while ``actual`` is stored."""

    def __init__(self, entity: str, entity_id: str, expected: int, actual: int) -> None:
        super().__init__(entity, entity_id, expected, actual)
        self.entity = entity
        self.entity_id = entity_id
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return (
            f"{self.entity} {self.entity_id} is at version {self.actual}, "
            f"the change was made to version {self.expected}"
        )


class LeaseLostError(StorageError):
    """Another process works on the run or scan by now; nothing was written for this process."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"the lease of run {self.run_id} was lost"


class RunEndedError(StorageError):
    """The run was stopped or cancelled before every portfolio had its outcome."""

    def __init__(self, run_id: str, status: str, problem: Refusal | None) -> None:
        super().__init__(run_id, status, problem)
        self.run_id = run_id
        self.status = status
        self.problem = problem

    def __str__(self) -> str:
        because = f": {self.problem.detail}" if self.problem else ""
        return f"run {self.run_id} is {self.status}{because}"


class RunGoesOnError(StorageError):
    """A run is not over; ``rebalance_id`` is the rebalance to be changed, None for the run."""

    def __init__(self, rebalance_id: str | None, run_id: str) -> None:
        super().__init__(rebalance_id, run_id)
        self.rebalance_id = rebalance_id
        self.run_id = run_id

    def __str__(self) -> str:
        if self.rebalance_id is None:
            return f"run {self.run_id} is not over"
        return f"rebalance {self.rebalance_id} belongs to run {self.run_id}, which is not over"


class StorageUnavailableError(StorageError):
    """The database did not answer in time or cannot be reached; ``detail`` names no address."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class IdempotencyMismatchError(StorageError):
    """The idempotency key was used before with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the idempotency key {self.key!r} was used for another request"


class IdempotencyInProgressError(StorageError):
    """The first request with this idempotency key is still in progress."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the request of idempotency key {self.key!r} is still in progress"


class HandOverError(StorageError):
    """Base of the errors that keep the orders of a rebalance from being sent, or forgotten."""


class HandOverInProgressError(HandOverError):
    """Another request hands the orders over; the lease of a dead request ends by itself."""

    def __init__(self, rebalance_id: str, leased_for_s: int) -> None:
        super().__init__(rebalance_id, leased_for_s)
        self.rebalance_id = rebalance_id
        self.leased_for_s = leased_for_s

    def __str__(self) -> str:
        return f"the orders of rebalance {self.rebalance_id} are being handed over"


class NotCompletedError(HandOverError):
    """Orders are requested of a rebalance that is not completed."""

    def __init__(self, rebalance_id: str, status: str) -> None:
        super().__init__(rebalance_id, status)
        self.rebalance_id = rebalance_id
        self.status = status

    def __str__(self) -> str:
        return f"rebalance {self.rebalance_id} is {self.status}, not COMPLETED"


class OrdersInDoubtError(HandOverError):
    """Requests with these orders were sent, and it is not known whether the orders arrived."""

    def __init__(self, rebalance_id: str, count: int, retry_after_s: int) -> None:
        super().__init__(rebalance_id, count, retry_after_s)
        self.rebalance_id = rebalance_id
        self.count = count
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return (
            f"of {self.count} orders of rebalance {self.rebalance_id} "
            "it is not known whether they arrived; "
            f"in {self.retry_after_s} s it will be"
        )


class OrdersSentError(HandOverError):
    """The rebalance cannot be forgotten, because its orders were sent."""

    def __init__(self, rebalance_id: str, count: int) -> None:
        super().__init__(rebalance_id, count)
        self.rebalance_id = rebalance_id
        self.count = count

    def __str__(self) -> str:
        return (
            f"{self.count} orders of rebalance {self.rebalance_id} were sent to the order service"
        )


class OrdersOpenError(HandOverError):
    """Portfolios have orders of other rebalances that are not known to be filled or cancelled.

    ``portfolios`` lists the first portfolios with these rebalances, the numbers count all.
    """

    def __init__(
        self,
        rebalance_id: str,
        portfolios: tuple[Mapping[str, Any], ...],
        number_of_portfolios: int,
        number_of_orders: int,
        number_cancelled: int = 0,
    ) -> None:
        super().__init__(
            rebalance_id, portfolios, number_of_portfolios, number_of_orders, number_cancelled
        )
        self.rebalance_id = rebalance_id
        self.portfolios = portfolios
        self.number_of_portfolios = number_of_portfolios
        self.number_of_orders = number_of_orders
        self.number_cancelled = number_cancelled

    def __str__(self) -> str:
        first = self.portfolios[0]
        return (
            f"portfolios of rebalance {self.rebalance_id} have open orders of other rebalances "
            f"(portfolios: {self.number_of_portfolios}, orders: {self.number_of_orders}; "
            "the first is "
            f"{first['portfolio_id']}, with orders of {', '.join(first['rebalance_ids'])})"
        )


class SupersededError(HandOverError):
    """Orders of a later rebalance were sent for portfolios of this one.

    ``portfolios`` lists the first portfolios with that rebalance, the number counts all.
    """

    def __init__(
        self,
        rebalance_id: str,
        portfolios: tuple[Mapping[str, Any], ...],
        number_of_portfolios: int,
    ) -> None:
        super().__init__(rebalance_id, portfolios, number_of_portfolios)
        self.rebalance_id = rebalance_id
        self.portfolios = portfolios
        self.number_of_portfolios = number_of_portfolios

    def __str__(self) -> str:
        first = self.portfolios[0]
        return (
            f"orders of later rebalances were sent for portfolios of rebalance {self.rebalance_id} "
            f"(portfolios: {self.number_of_portfolios}; the first is {first['portfolio_id']}, with "
            f"orders of {first['rebalance_id']})"
        )


class EmbeddedServerError(StorageError):
    """Base of the errors of the embedded database server."""


class NoServerBinaryError(EmbeddedServerError):
    """No database server was found; ``failures`` lists each candidate and why it is unusable."""

    def __init__(self, failures: tuple[str, ...]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        reasons = "; ".join(self.failures)
        return f"no database server was found ({reasons}): set MONGODB_URI or MONGOD"


class DataDirectoryLockedError(EmbeddedServerError):
    """Another server owns the data directory."""

    def __init__(self, data_directory: Path) -> None:
        super().__init__(data_directory)
        self.data_directory = data_directory

    def __str__(self) -> str:
        return f"the data directory {self.data_directory} is in use by another database server"


class PortTakenError(EmbeddedServerError):
    """Another program has the port of the server; ``port`` is 0 if no loopback port is free."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.port = port

    def __str__(self) -> str:
        return f"another program has its port {self.port}" if self.port else "no port is free"


class NoRoomError(EmbeddedServerError):
    """The disk of the data directory has less room than the server needs."""

    def __init__(self, data_directory: Path, free_mb: int, needed_mb: int) -> None:
        super().__init__(data_directory, free_mb, needed_mb)
        self.data_directory = data_directory
        self.free_mb = free_mb
        self.needed_mb = needed_mb

    def __str__(self) -> str:
        return (
            f"the disk of {self.data_directory} has {self.free_mb} MB free, "
            "the embedded database needs "
            f"{self.needed_mb} MB: make room there, or set DATA_DIRECTORY to another disk"
        )


class ServerDidNotStartError(EmbeddedServerError):
    """The server ended, or did not answer, while it was starting; the server's log says more."""

    def __init__(self, engine: str, reason: str, log: Path) -> None:
        super().__init__(engine, reason, log)
        self.engine = engine
        self.reason = reason
        self.log = log

    def __str__(self) -> str:
        return f"{self.engine} did not start: {self.reason} (see {self.log})"


class ServerEndedError(EmbeddedServerError):
    """The server ended while in use; ``obstacle`` is the reason why a restart fails."""

    def __init__(self, engine: str, reason: str, obstacle: str) -> None:
        super().__init__(engine, reason, obstacle)
        self.engine = engine
        self.reason = reason
        self.obstacle = obstacle

    def __str__(self) -> str:
        return f"{self.engine} ended {self.reason}, for good: {self.obstacle}"
