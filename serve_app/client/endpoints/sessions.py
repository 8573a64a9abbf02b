"""Session: the caller as the service knows it."""

from serve_app.client.call import Call, answer_as
from serve_app.client.responses.sessions import SessionState


def read_session() -> Call[SessionState]:
    """Read the caller as the service knows it, its scopes, and the ways to sign in."""
    return Call("GET", "/session", answer_as(SessionState), repeatable=True)
