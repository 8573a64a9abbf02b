"""Health of the service, and its state for operators."""

from serve_app.client.call import Call, answer_as, get
from serve_app.client.responses.system import Health, System


def live() -> Call[Health]:
    """Check that the process answers."""
    return Call("GET", "/health/live", answer_as(Health), repeatable=True)


def ready() -> Call[Health]:
    """Check that every part answers; a part that does not is a ProblemError at once."""
    return Call("GET", "/health/ready", answer_as(Health))


def system() -> Call[System]:
    """State, version and settings of the service; of secrets only whether they are set."""
    return get(System, "system")
