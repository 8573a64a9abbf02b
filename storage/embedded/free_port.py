"""Choice of free ports for servers on loopback."""

import socket
from itertools import islice
from random import SystemRandom
from typing import Final

# Above the ports of Ray's workers and below those that Linux and macOS give to outgoing
# connections, because such a connection could take the port before its server does.
PORTS: Final = range(20_000, 32_000)
MAX_TAKEN: Final = 100


def free_ports(count: int) -> list[int]:
    """Return different loopback ports that no process listens at.

    Raises OSError if too few are free.
    """
    candidates = SystemRandom().sample(PORTS, count + MAX_TAKEN)
    ports = list(islice(filter(is_free, candidates), count))
    if len(ports) < count:
        raise OSError(
            f"{MAX_TAKEN} ports from {PORTS.start} to {PORTS.stop} were tried; none is free"
        )
    return ports


def free_port() -> int:
    """Return a loopback port that no process listens at."""
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Whether a server could listen at a loopback port."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
