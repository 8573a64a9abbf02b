"""Logs: lines of retries."""

import logging
from collections.abc import Iterator

import pytest
import stamina
from stamina.instrumentation import set_on_retry_hooks

from serve_app.observability.logs import log_retry


@pytest.fixture
def retry_log() -> Iterator[None]:
    set_on_retry_hooks((log_retry,))
    yield
    set_on_retry_hooks(None)


@pytest.mark.usefixtures("retry_log")
def test_an_attempt_that_is_made_again_is_one_line_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        for attempt in stamina.retry_context(LookupError, attempts=2, wait_max=0):
            with attempt:
                if attempt.num == 1:
                    raise LookupError("7")
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.getMessage().startswith(
        "attempt 1 of <context block> failed, the next is in 0.0 s"
    )
    assert "LookupError('7')" in record.getMessage()
