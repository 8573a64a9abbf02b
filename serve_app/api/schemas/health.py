"""The health of the service as JSON."""

from pydantic import BaseModel


class Health(BaseModel):
    """How the service is.

    ``checks`` has each part that was asked as ``healthy`` or ``failing``, ``breakers`` the circuit to
    each upstream: ``closed``, ``open``, ``half-open``, or ``unknown`` where nothing could tell.
    ``simulated`` names the upstreams that the simulated market stands in for: all or none.
    """

    status: str
    checks: dict[str, str] = {}
    breakers: dict[str, str] = {}
    simulated: tuple[str, ...] = ()
