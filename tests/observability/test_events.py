"""Lines of events, in the format of a replica's log."""

import json
import logging
from collections.abc import Iterator

import pytest
from ray._common.formatters import JSONFormatter

from serve_app.observability.events import log_event, log_request
from storage.audit.trail import Action


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, object]]]:
    """Yield the lines that were logged at INFO, as Ray writes them."""
    events: list[dict[str, object]] = []

    class JSONLines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            events.append(json.loads(JSONFormatter().format(record)))

    handler, logger = JSONLines(), logging.getLogger("serve_app.observability.events")
    with caplog.at_level(logging.INFO, logger.name):
        logger.addHandler(handler)
        yield events
        logger.removeHandler(handler)


def test_a_request_is_one_line_with_a_field_for_each_fact(lines: list[dict[str, object]]) -> None:
    log_request("GET", "/api/v1/model/{model_id}", "404", 3.14159)

    (line,) = lines
    assert line["message"] == "GET /api/v1/model/{model_id} 404 3.1 ms"
    assert line["event"] == "request"
    assert line["http_route"] == "/api/v1/model/{model_id}"
    assert (line["http_method"], line["http_status"], line["duration_ms"]) == ("GET", "404", 3.1)


def test_an_event_is_one_line_with_a_field_for_each_fact(lines: list[dict[str, object]]) -> None:
    log_event(Action.REBALANCE_STORED, "6" * 24, model_id="7" * 24, counts={"REBALANCED": 2})

    (line,) = lines
    message = f"rebalance.store {'6' * 24} model_id={'7' * 24} counts={{'REBALANCED': 2}}"
    assert line["message"] == message
    assert (line["event"], line["object_id"]) == ("rebalance.store", "6" * 24)
    assert line["counts"] == {"REBALANCED": 2}


@pytest.mark.parametrize("route", ["/health/live", "/health/ready", "/metrics"])
def test_probes_are_logged_only_if_they_fail(lines: list[dict[str, object]], route: str) -> None:
    log_request("GET", route, "200", 1.0)
    assert lines == []

    log_request("GET", route, "503", 1.0)
    assert [line["http_status"] for line in lines] == ["503"]
