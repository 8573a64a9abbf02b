"""Translation of the driver's errors: which of them say that the database is unavailable."""

from typing import Any

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CursorNotFound,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from storage.errors import StorageUnavailableError
from storage.mongo.connection import failure_translation

DUPLICATE: dict[str, Any] = {"index": 0, "code": 11_000, "errmsg": "E11000 duplicate key error"}
TOO_LARGE: dict[str, Any] = {"index": 0, "code": 10_334, "errmsg": "BSONObj size is invalid"}
STEPPED_DOWN: dict[str, Any] = {"code": 189, "errmsg": "primary stepped down"}


def write_error(
    *refused: dict[str, Any], concerns: tuple[dict[str, Any], ...] = ()
) -> PyMongoError:
    return BulkWriteError({"writeErrors": list(refused), "writeConcernErrors": list(concerns)})


def labelled(label: str) -> PyMongoError:
    return OperationFailure("failed", 251, {"errorLabels": [label]})


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("connection closed"),
        NetworkTimeout("timed out"),
        ExecutionTimeout("operation exceeded time limit", 50),
        WTimeoutError("waiting for replication timed out", 64),
        OperationFailure("transaction is too large", 388),
        CursorNotFound("cursor id 7 not found", 43),
        labelled("RetryableError"),
        labelled("RetryableWriteError"),
        labelled("TransientTransactionError"),
        write_error(concerns=(STEPPED_DOWN,)),
        write_error(DUPLICATE, concerns=(STEPPED_DOWN,)),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}",
)
def test_a_failure_that_a_repeat_may_not_meet_again_is_an_unavailable_database(
    error: PyMongoError,
) -> None:
    with pytest.raises(StorageUnavailableError) as caught, failure_translation():
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("unknown operator: $oops", 2),
        write_error(DUPLICATE),
        write_error(TOO_LARGE),
        write_error(TOO_LARGE, concerns=(STEPPED_DOWN,)),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}",
)
def test_a_failure_that_a_repeat_would_meet_again_keeps_its_kind(error: PyMongoError) -> None:
    with pytest.raises(type(error)) as caught, failure_translation():
        raise error
    assert caught.value is error
