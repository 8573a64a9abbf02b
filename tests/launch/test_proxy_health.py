"""A proxy whose replicas die: the real HAProxy, configured like Ray's template."""

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import httpx
import pytest
from jinja2 import Environment
from ray.serve._private.haproxy_templates import HAPROXY_HEALTHZ_RULES_TEMPLATE

from serve_app.launch.haproxy import harden
from storage.embedded.free_port import free_port
from tests.launch.test_listener_tls import CONFIGURATION

BACKEND = "http-order-generation"
WITHIN_S = 30
SERVERS = """\
    use_backend {backend}
backend {backend}
    option httpchk GET /
    default-server fastinter 50ms downinter 50ms fall 2 rise 2 inter 100ms check
    # Servers in this backend
{servers}
"""


def configure(directory: Path, servers: str) -> tuple[str, int]:
    """Build a configuration like Ray's with these servers; return it and the port of its proxy."""
    rules = Environment(autoescape=False).from_string(HAPROXY_HEALTHZ_RULES_TEMPLATE)
    rendered = rules.render(
        config=SimpleNamespace(health_check_endpoint="/-/healthz", metrics_enabled=False),
        health_info=SimpleNamespace(healthy=True, status=200, health_message="success"),
        backends=[SimpleNamespace(name=BACKEND)],
    )
    port = free_port()
    names = {"port": port, "metrics": free_port(), "stats": free_port(), "directory": directory}
    front, _, answer = CONFIGURATION.format(**names).partition("    http-request return")
    stats = answer[answer.index("listen stats") :]
    return front + rendered + "\n" + SERVERS.format(backend=BACKEND, servers=servers) + stats, port


def serve_pages(directory: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a process that answers 200 to the health check of HAProxy; return it and its port."""
    port = free_port()
    arguments = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    stderr = subprocess.DEVNULL
    process = subprocess.Popen(arguments, cwd=directory, stdout=stderr, stderr=stderr)
    wait_until_listening(port)
    return process, port


def wait_until_listening(port: int) -> None:
    until = time.monotonic() + WITHIN_S
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), WITHIN_S).close()
            return
        assert time.monotonic() < until, f"nothing listens at {port}"
        time.sleep(0.05)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of a test, which end with the test."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait(30)


def wait_for_status(port: int, status: int) -> None:
    until = time.monotonic() + WITHIN_S
    last: object = None
    while last != status:
        assert time.monotonic() < until, f"/-/healthz answers {last}"
        try:
            last = httpx.get(f"http://127.0.0.1:{port}/-/healthz", trust_env=False).status_code
        except httpx.TransportError as error:
            last = error
        time.sleep(0.05)


def test_a_proxy_without_a_living_replica_is_not_ready_although_the_fallback_lives(
    processes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process, replica = serve_pages(tmp_path)
    fallback, behind = serve_pages(tmp_path)
    processes.extend((process, fallback))
    text, port = configure(
        tmp_path,
        f"    server replica-a 127.0.0.1:{replica} check observe layer4 on-error mark-down\n"
        f"    server fallback 127.0.0.1:{behind} check backup",
    )
    path = tmp_path / "haproxy.cfg"
    path.write_text(text)
    command = [sys.executable, "-m", "serve_app.launch.haproxy", "-db", "-f", str(path)]
    processes.append(subprocess.Popen(command))

    wait_for_status(port, 200)
    process.kill()
    wait_for_status(port, 503)
    assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200


def test_a_backend_that_has_the_fallback_alone_is_never_ready(tmp_path: Path) -> None:
    text, _ = configure(tmp_path, "    server fallback 127.0.0.1:1 check backup")

    assert f"acl backend_{BACKEND}_server_up always_false" in harden(text, {})


def test_a_health_check_that_another_ray_may_have_is_refused(tmp_path: Path) -> None:
    text, _ = configure(tmp_path, "    server replica-a 127.0.0.1:1 check")

    with pytest.raises(ValueError, match="another health check"):
        harden(text.replace("ge 1", "gt 0"), {})


class DyingReplica(socketserver.BaseRequestHandler):
    """Replica that dies of every request, and is back for the next."""

    methods: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        self.methods.append(self.request.recv(100).partition(b" ")[0])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return the port of a replica that answers nothing."""
    DyingReplica.methods.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), DyingReplica) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_read_whose_replica_dies_is_answered_by_another_and_a_write_is_not_sent_twice(
    processes: list[subprocess.Popen[bytes]], tmp_path: Path, silent_port: int
) -> None:
    process, replica = serve_pages(tmp_path)
    processes.append(process)
    text, port = configure(
        tmp_path,
        f"    balance roundrobin\n"
        f"    server dying 127.0.0.1:{silent_port}\n"
        f"    server replica-a 127.0.0.1:{replica}",
    )
    path = tmp_path / "haproxy.cfg"
    path.write_text(
        text.replace("    option httpchk GET /\n", "").replace(" 100ms check", " 100ms")
    )
    command = [sys.executable, "-m", "serve_app.launch.haproxy", "-db", "-f", str(path)]
    processes.append(subprocess.Popen(command))
    wait_for_status(port, 200)

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        reads = [client.get("/").status_code for _ in range(4)]
        calls = len(DyingReplica.methods)
        writes = [client.post("/", content=b"{}").status_code for _ in range(4)]

    assert reads == [200] * 4
    assert calls
    # 501 is of the replica that lives, which knows no POST.
    assert sorted(writes) == [501, 501, 502, 502]
    assert DyingReplica.methods[calls:] == [b"POST"] * 2
