"""Liveness, readiness and metrics."""

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from serve_app import problems
from serve_app.api.collaborators import Check, Configured, Parts
from serve_app.api.documentation import refuses
from serve_app.problems.errors import NotReadyError

router = APIRouter(tags=["health"])

CHECK_TIMEOUT_S = 2.0
METRICS = "text/plain"
METRICS_EXAMPLE = """# TYPE http_requests_total counter
http_requests_total{method="GET",route="/api/v1/models",status="200"} 3.0
"""


class Health(BaseModel):
    """How the service is; ``checks`` names each part that was asked.

    ``simulated`` names the upstreams that the simulated market stands in for: all or none.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "checks": {"database": "healthy", "upstreams": "healthy"},
                    "simulated": [],
                }
            ]
        }
    )

    status: str
    checks: dict[str, str] = {}
    simulated: tuple[str, ...] = ()


@router.get("/health/live")
async def live() -> Health:
    """The process answers; nothing else is asked."""
    return Health(status="healthy")


@router.get("/health/ready", responses=refuses(problems.NOT_READY))
async def ready(parts: Parts, settings: Configured) -> Health:
    """Every part that is needed answers, or 503 with the names of those that do not."""
    checks = await _checked(parts.checks)
    return Health(status="ready", checks=checks, simulated=settings.simulated_upstreams)


@router.get("/health", responses=refuses(problems.NOT_READY))
@router.get("/health/health", include_in_schema=False)
async def health(parts: Parts, settings: Configured) -> Health:
    """The same as readiness."""
    checks = await _checked(parts.checks)
    return Health(status="healthy", checks=checks, simulated=settings.simulated_upstreams)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {METRICS: {"example": METRICS_EXAMPLE}}}},
)
async def metrics(parts: Parts) -> Response:
    """Prometheus text."""
    text = await parts.metrics()
    return Response(text, media_type=f"{METRICS}; version=0.0.4; charset=utf-8")


async def _checked(checks: Mapping[str, Check]) -> dict[str, str]:
    answers = await asyncio.gather(
        *(asyncio.wait_for(check(), CHECK_TIMEOUT_S) for check in checks.values()),
        return_exceptions=True,
    )
    failing = tuple(
        name
        for name, answer in zip(checks, answers, strict=True)
        if isinstance(answer, BaseException)
    )
    if failing:
        raise NotReadyError(failing)
    return dict.fromkeys(checks, "healthy")
