"""Errors of the client: refusals of the service, and the choice of failures to retry."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import httpx

MAX_RETRY_AFTER_S = 30.0
MAX_DETAIL_LENGTH = 300
IN_PROGRESS = "/problems/request-in-progress"
# A request that never arrived, or whose answer was lost. A time-out of the answer is not retried,
# because the caller chose the time.
LOST = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)


class ProblemError(Exception):
    """A refusal by the service, from its problem+json (RFC 9457).

    ``type`` is stable and made for programs, ``detail`` is a sentence for people, ``errors`` names
    the values of the request that break a rule, ``members`` are all further members of the problem,
    and ``problem`` is the whole document.
    """

    def __init__(
        self,
        status: int,
        problem: Mapping[str, Any],
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, problem, retry_after_s)
        self.status = status
        self.problem = problem
        self.type: str = problem.get("type", "about:blank")
        self.title: str = problem.get("title", "")
        self.detail: str = problem.get("detail", self.title)
        self.errors: tuple[Mapping[str, Any], ...] = tuple(problem.get("errors", ()))
        known = {"type", "title", "status", "detail", "errors"}
        self.members = {name: value for name, value in problem.items() if name not in known}
        self.retry_after_s = retry_after_s

    @property
    def places(self) -> tuple[str, ...]:
        """Values that break a rule, each with the rule, except those that the detail names."""
        every = (_describe_place(error) for error in self.errors)
        return tuple(place for place in every if place not in self.detail)

    def __str__(self) -> str:
        places = "".join(f"\n  {place}" for place in self.places)
        return f"{self.status} {self.type}: {self.detail}{places}"


class ResponseTooLargeError(httpx.TransportError):
    """An answer is longer than this client keeps in memory."""


def parse_exact(body: bytes) -> Any:
    """Parse a JSON text, its fractions as Decimal."""
    return json.loads(body, parse_float=Decimal)


def build_problem_error(response: httpx.Response) -> ProblemError:
    """Build the error of a refusal; a body without a problem comes from a proxy in between."""
    problem: Any = None
    if "json" in response.headers.get("Content-Type", ""):
        try:
            problem = parse_exact(response.content)
        except ValueError:
            problem = None
    if not isinstance(problem, dict):
        text = response.text[:MAX_DETAIL_LENGTH].strip()
        problem = {"title": response.reason_phrase, "detail": text or response.reason_phrase}
    wait = response.headers.get("Retry-After", "")
    retry_after_s = float(wait) if wait.isdecimal() else None
    return ProblemError(response.status_code, problem, retry_after_s)


def build_retry_hook(*, repeatable: bool) -> Callable[[Exception], bool | float]:
    """Build the hook that tells if and after how many seconds a failed call is repeated."""

    def pause_s(error: Exception) -> bool | float:
        if not repeatable:
            return False
        if not isinstance(error, ProblemError):
            return isinstance(error, LOST)
        is_temporary = error.status in (429, 503) or error.type == IN_PROGRESS
        wait_s = error.retry_after_s
        if not is_temporary or wait_s is None or wait_s > MAX_RETRY_AFTER_S:
            return False
        return wait_s

    return pause_s


def _describe_place(error: Mapping[str, Any]) -> str:
    where = error.get("pointer") or error.get("parameter") or "the body"
    return f"{where}: {error.get('detail', '')}"
