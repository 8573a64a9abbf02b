"""Errors of a call to a deployment, independent of its transport.

PortError
├── ReplicaLostError    the replica died while it worked on the call
└── OverloadedError     no replica accepts another call

Every class passes all its arguments to ``super().__init__``, because processes pickle it.
"""


class PortError(Exception):
    """Base of the errors of delivery to a deployment, as opposed to errors of its work."""

    def __init__(self, deployment: str) -> None:
        super().__init__(deployment)
        self.deployment = deployment


class ReplicaLostError(PortError):
    """The replica died while it worked on the call: its effect is unknown."""

    def __str__(self) -> str:
        return f"a replica of {self.deployment} was lost while it worked on the call"


class OverloadedError(PortError):
    """No replica accepts another call."""

    def __str__(self) -> str:
        return f"no replica of {self.deployment} accepts another call"
