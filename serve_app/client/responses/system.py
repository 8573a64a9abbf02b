"""Health of the service, and its state for operators."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Health:
    """Health of the service.

    ``checks`` has the state of each part, ``breakers`` the circuit to each upstream,
    ``simulated`` the upstreams that are simulated.
    """

    status: str
    checks: Mapping[str, str]
    breakers: Mapping[str, str]
    simulated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class System:
    """State of the service as the answering ingress sees it."""

    version: str
    model_rules: str
    auth: str
    health: Health
    event_streams: Mapping[Literal["open", "most"], int]
    settings: Mapping[str, Any]
