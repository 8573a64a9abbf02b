"""Health of the service as JSON."""

from pydantic import BaseModel


class Health(BaseModel):
    """State of the service.

    ``checks`` has each part as ``healthy`` or ``failing``, ``breakers`` the circuit to
    each upstream: ``closed``, ``open``, ``half-open``, or ``unknown`` if it could not be read.
    ``simulated`` names the upstreams that the simulated market stands in for: all or none.
    """

    status: str
    checks: dict[str, str] = {}
    breakers: dict[str, str] = {}
    simulated: tuple[str, ...] = ()
