"""Traces: the work on a request, in every process, as spans of OpenTelemetry.

A process without TRACES_ENDPOINT does not import OpenTelemetry, and its spans cost a look at one
variable. The W3C ``traceparent`` of the open span is a context variable of the call, and so
goes with it to other processes and to upstreams.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from serve_app.call_context import traceparent
from serve_app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer

SERVICE_NAME: Final = "order-generation"
EXPORT_WITHIN_S: Final = 5
Value = str | int | float


class _Tracing:
    """Tracer of this process; None while traces are off."""

    tracer: "Tracer | None" = None


class OpenSpan:
    """Span under way, or none if traces are off; facts may be added while it lasts."""

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def describe(self, name: str, **attributes: Value) -> None:
        """Name the span, and add its facts known so far."""
        if self._span is not None:
            self._span.update_name(name)
            self._span.set_attributes(_write_dotted(attributes))


NO_SPAN: Final = OpenSpan()


def start_traces(settings: Settings) -> "TracerProvider | None":
    """Export the spans of this process from now on, if the settings name a collector.

    Returns the provider that was started.
    """
    if settings.traces_endpoint is None or _Tracing.tracer is not None:
        return None
    # The import is here, because a process without traces must not pay for it.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    exporter_class = require_exporter()
    exporter = exporter_class(settings.traces_endpoint, timeout=EXPORT_WITHIN_S)
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE_NAME}))
    # The processor has a thread and a bounded queue, which drops spans if the collector is away.
    provider.add_span_processor(BatchSpanProcessor(exporter))
    use_provider(provider)
    return provider


def use_provider(provider: "TracerProvider | None") -> None:
    """Give spans to a provider; None turns traces off."""
    _Tracing.tracer = None if provider is None else provider.get_tracer(SERVICE_NAME)


def require_exporter() -> type:
    """Return the class of the exporter; SettingsError without the extra that brings it."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    except ImportError as error:
        rule = "needs the extra traces: pip install 'order-generation-service[serve,traces]'"
        raise SettingsError("TRACES_ENDPOINT", "set", rule) from error
    return OTLPSpanExporter


@contextmanager
def span(name: str, *, is_request: bool = False, **attributes: Value) -> Generator[OpenSpan]:
    """Make the block a span, below the open span; an exception marks the span as failed."""
    if _Tracing.tracer is None:
        yield NO_SPAN
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415

    kind = SpanKind.SERVER if is_request else SpanKind.INTERNAL
    open_span = _start(_Tracing.tracer, name, kind, attributes, time.time_ns())
    token = traceparent.set(_format_traceparent(open_span))
    try:
        yield OpenSpan(open_span)
    except BaseException as error:
        # Only the type is recorded, because the text may have secrets.
        open_span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        traceparent.reset(token)
        open_span.end()


def record_span(name: str, seconds: float, **attributes: Value) -> None:
    """Record the work of the last seconds as a span, below the open span."""
    if _Tracing.tracer is None or not traceparent.get():
        return  # work of nobody, such as the look for runs every two seconds
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    now = time.time_ns()
    begin = now - int(seconds * 1e9)
    _start(_Tracing.tracer, name, SpanKind.CLIENT, attributes, begin).end(now)


def _start(
    tracer: "Tracer", name: str, kind: "SpanKind", attributes: dict[str, Value], begin_ns: int
) -> "Span":
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    carrier = {"traceparent": traceparent.get()}
    parent = TraceContextTextMapPropagator().extract(carrier, Context())
    dotted_attributes = _write_dotted(attributes)
    return tracer.start_span(name, parent, kind, dotted_attributes, start_time=begin_ns)


def _format_traceparent(open_span: "Span") -> str:
    ids = open_span.get_span_context()
    return f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{int(ids.trace_flags):02x}"


def _write_dotted(attributes: dict[str, Value]) -> dict[str, Value]:
    """Write names as OpenTelemetry does: http_route becomes http.route."""
    return {name.replace("_", "."): value for name, value in attributes.items()}
