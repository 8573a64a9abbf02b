"""Liveness, readiness and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from serve_app.api.access import Caller, ReadsSystem
from serve_app.api.dependencies import AllPorts, Ports, ServiceSettings
from serve_app.api.event_stream import Streams
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.schemas.health import Health
from serve_app.api.schemas.system import SystemAnswer, system_json
from serve_app.auth.permissions import Scope
from serve_app.auth.principals import Principal
from serve_app.problems import catalogue
from serve_app.problems.errors import NotReadyError
from serve_app.settings import Settings
from serve_app.upstream.circuit_breaker import BreakerState
from serve_app.upstream.http_client import UpstreamHealth

router = APIRouter(tags=["health"])

CHECK_TIMEOUT_S = 2.0
HEALTHY = "healthy"
FAILING = "failing"
UNKNOWN = "unknown"
NOT_NEEDED = frozenset({"portfolio"})  # because no rebalance needs names
METRICS = "text/plain"
METRICS_EXAMPLE = """# TYPE http_requests_total counter
http_requests_total{method="GET",route="/api/v1/models",status="200"} 3.0
"""


@router.get("/health/live")
async def live() -> Health:
    """Report that the process responds; nothing else is checked."""
    return Health(status=HEALTHY)


@router.get("/health/ready", responses=refuses(catalogue.NOT_READY))
async def ready(parts: AllPorts, settings: ServiceSettings, caller: Caller) -> Health:
    """Check every required part; 503 names those that fail."""
    findings = await _examine(parts)
    failures = tuple(name for name in findings.failing_parts if name not in NOT_NEEDED)
    if failures:
        breakers = findings.breakers if _sees_details(caller) else {}
        raise NotReadyError(failures, findings.checks, breakers)
    return _build_health("ready", findings, settings, caller)


@router.get("/health")
@router.get("/health/health", include_in_schema=False)
async def health(parts: AllPorts, settings: ServiceSettings, caller: Caller) -> Health:
    """Check the parts of /health/ready; the status is always 200.

    ``status`` is ``healthy``, ``degraded`` if an upstream is failing, ``unhealthy`` if the
    database is.
    """
    findings = await _examine(parts)
    return _build_health(_derive_status(parts, findings), findings, settings, caller)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {METRICS: {"example": METRICS_EXAMPLE}}}},
)
async def metrics(_: ReadsSystem, parts: AllPorts) -> Response:
    """Export metrics as Prometheus text."""
    text = await parts.metrics()
    return Response(text, media_type=f"{METRICS}; version=0.0.4; charset=utf-8")


@router.get("/api/v1/system")
async def system(
    caller: ReadsSystem, request: Request, parts: AllPorts, settings: ServiceSettings
) -> SystemAnswer:
    """Report state, version and settings, without secrets."""
    findings = await _examine(parts)
    streams: Streams = request.app.state.streams
    health = _build_health(_derive_status(parts, findings), findings, settings, caller)
    return system_json(
        settings, request.app.version, health, {"open": streams.open, "most": streams.most}
    )


@dataclass(frozen=True, slots=True)
class Findings:
    """State of every part, and of the circuit to every upstream."""

    checks: dict[str, str]
    breakers: dict[str, str]

    @property
    def failing_parts(self) -> tuple[str, ...]:
        """Parts that fail, or whose circuit breaker is open."""
        is_open = BreakerState.OPEN.value
        return tuple(
            name
            for name, state in self.checks.items()
            if state != HEALTHY or self.breakers.get(name) == is_open
        )


def _derive_status(parts: Ports, findings: Findings) -> str:
    if parts.checks.keys() & set(findings.failing_parts):
        return "unhealthy"
    return "degraded" if findings.failing_parts else HEALTHY


def _sees_details(caller: Principal) -> bool:
    return Scope.SYSTEM_READ in caller.scopes


def _build_health(status: str, findings: Findings, settings: Settings, caller: Principal) -> Health:
    """Describe the parts: names and states for everybody, details for those with system:read."""
    if not _sees_details(caller):
        return Health(status=status, checks=findings.checks)
    return Health(
        status=status,
        checks=findings.checks,
        breakers=findings.breakers,
        simulated=settings.simulated_upstreams,
    )


async def _examine(parts: Ports) -> Findings:
    """Check all parts concurrently, so that a slow part delays no other part."""
    calls: Mapping[str, Callable[[], Awaitable[Any]]] = {**parts.checks, **parts.upstreams}
    tasks = {name: asyncio.create_task(_run_check(call)) for name, call in calls.items()}
    late: set[asyncio.Task[Any]] = set()
    if tasks:
        _, late = await asyncio.wait(tasks.values(), timeout=CHECK_TIMEOUT_S)
    for task in late:
        task.cancel()
    states = {name: UNKNOWN if task in late else task.result() for name, task in tasks.items()}
    return Findings(
        {name: HEALTHY if _is_healthy(state) else FAILING for name, state in states.items()},
        {
            name: state.breaker.value if isinstance(state, UpstreamHealth) else UNKNOWN
            for name, state in states.items()
            if name in parts.upstreams
        },
    )


async def _run_check(call: Callable[[], Awaitable[Any]]) -> Any:
    """Run a check; FAILING if it raises."""
    try:
        return await call()
    except Exception:  # noqa: BLE001 - because any error means that the part is failing
        return FAILING


def _is_healthy(state: Any) -> bool:
    return state.is_healthy if isinstance(state, UpstreamHealth) else state is None
