"""Traces over a request, the calls between deployments and the chunks of a run."""

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.call_context import CallContext, traceparent
from serve_app.observability.traces import record_span, span, start_traces, use_provider
from serve_app.settings import Settings, read_settings
from serve_app.upstream.retry_policy import Policy
from tests.api.middleware.test_request_metrics import Seen
from tests.support.fakes import Stored, make_model_body, render_no_metrics
from tests.support.in_process import Upstreams, make_two_owners
from tests.support.upstream_servers import opened, start_client

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Keep the spans of this process in memory."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use_provider(provider)
    yield exporter
    use_provider(None)
    provider.shutdown()


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


@pytest.fixture
async def client(
    settings: Settings, stored: Stored, optimizer: Any
) -> AsyncIterator[httpx.AsyncClient]:
    ports = Ports(stored.port, optimizer, {}, render_no_metrics)
    transport = httpx.ASGITransport(api_app(settings, ports, watch=Seen()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def find(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    matches = [record for record in spans.get_finished_spans() if record.name == name]
    assert matches, [record.name for record in spans.get_finished_spans()]
    return matches[-1]


def parent_of(record: ReadableSpan) -> int:
    assert record.parent is not None
    return record.parent.span_id


def id_of(record: ReadableSpan) -> int:
    assert record.context is not None
    return record.context.span_id


@pytest.mark.mongo
async def test_a_run_is_one_trace_from_its_caller_to_its_chunks(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    model = (await client.post("/api/v1/models", json=make_model_body("Growth"))).json()
    spans.clear()

    body, headers = {"models": [model["model_id"]]}, {"traceparent": PARENT}
    run = (await client.post("/api/v1/runs", json=body, headers=headers)).json()
    await client.get(f"/api/v1/runs/{run['run_id']}/events")

    request = find(spans, "POST /api/v1/runs")
    call, chunk = find(spans, "OptimizerDeployment.begin_run"), find(spans, "chunk")
    assert parent_of(request) == int(CALLER, 16)
    assert (parent_of(call), parent_of(chunk)) == (id_of(request), id_of(call))
    assert parent_of(find(spans, "solve")) == id_of(chunk)
    for record in (request, call, chunk):
        assert record.context is not None
        assert record.context.trace_id == int(TRACE, 16)
    assert request.kind is SpanKind.SERVER
    assert dict(chunk.attributes or {})["portfolios"] == 2


@pytest.mark.mongo
async def test_a_request_is_named_by_its_route_and_has_nothing_of_its_path(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    await client.get("/api/v1/model/000000000000000000000000")

    request = find(spans, "GET /api/v1/model/{model_id}")
    assert dict(request.attributes or {}) == {"http.status": "404"}
    assert request.parent is None


def test_a_failure_is_marked_by_its_type_and_without_its_text(spans: InMemorySpanExporter) -> None:
    with pytest.raises(LookupError), span("work"):
        raise LookupError("mellon")

    failed = find(spans, "work")
    assert (failed.status.status_code, failed.status.description) == (
        StatusCode.ERROR,
        "LookupError",
    )
    assert failed.events == ()


def test_what_was_measured_is_a_span_below_the_open_one(spans: InMemorySpanExporter) -> None:
    record_span("mongodb hello", 0.5)  # work of nobody
    with span("work"):
        record_span("mongodb find", 0.5, outcome="answered")

    command_span = find(spans, "mongodb find")
    assert parent_of(command_span) == id_of(find(spans, "work"))
    assert command_span.end_time is not None
    assert command_span.start_time is not None
    assert command_span.end_time - command_span.start_time == 500_000_000
    assert len(spans.get_finished_spans()) == 2


async def test_the_open_span_goes_with_a_call_to_processes_and_upstreams(
    spans: InMemorySpanExporter,
) -> None:
    headers: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers["traceparent"])
        return httpx.Response(200, json={})

    with span("work"):
        context = CallContext.capture()
        await start_client(answer, Policy()).get_json("/x")
        await opened.aclose()
    with context.activate():
        assert traceparent.get() == headers[0]
    assert headers[0].split("-")[2] == f"{id_of(find(spans, 'work')):016x}"


@pytest.mark.parametrize("offered", ["", "x", f"00-{TRACE}-{CALLER}", f"{PARENT}-x", "00-" * 40])
async def test_a_malformed_place_in_a_trace_is_ignored(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, offered: str
) -> None:
    await client.get("/health/live", headers={"traceparent": offered})

    assert find(spans, "GET /health/live").parent is None


class Collector(HTTPServer):
    """Collector that keeps what is exported to it over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.names: list[str] = []
        self.services: set[str] = set()


class CollectorHandler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {
                attribute.key: attribute.value.string_value
                for attribute in resource.resource.attributes
            }
            self.server.services.add(attributes["service.name"])
            for scope in resource.scope_spans:
                self.server.names += [record.name for record in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_collector_gets_the_spans_over_http() -> None:
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{collector.server_port}/v1/traces"
        provider = start_traces(read_settings({"traces_endpoint": url}))
        assert provider is not None
        with span("work"):
            record_span("mongodb find", 0.1)
        provider.shutdown()  # sends what waits
        use_provider(None)
        collector.shutdown()

    assert sorted(collector.names) == ["mongodb find", "work"]
    assert collector.services == {"order-generation"}


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    program = (
        "import sys\n"
        "from serve_app.observability.traces import record_span, span, start_traces\n"
        "from serve_app.settings import read_settings\n"
        "start_traces(read_settings())\n"
        "with span('work') as opened:\n"
        "    opened.describe('other', http_status='200')\n"
        "    record_span('mongodb find', 0.1)\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
