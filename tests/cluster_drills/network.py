"""Hosts of a cluster as network namespaces, joined by a bridge that nothing else reaches."""

import ctypes
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PREFIX: Final = "ordergen-"
SUBNET: Final = "10.77.0"
SWITCH: Final = "switch"
# Each host by its last number.
HOSTS: Final = {
    "head": 10,
    "w1": 11,
    "w2": 12,
    "db1": 21,
    "db2": 22,
    "db3": 23,
    "market": 30,
    "client": 40,
    "redis": 50,
}
CLONE_NEWNET: Final = 0x40000000


def address(host: str) -> str:
    return f"{SUBNET}.{HOSTS[host]}"


def path_of(host: str) -> Path:
    return Path("/run/netns", PREFIX + host)


def cut_link(host: str) -> None:
    """Unplug a host: packets from and to the host are dropped silently."""
    _ip("-n", PREFIX + SWITCH, "link", "set", f"p-{host}", "down")


def mend_link(host: str) -> None:
    _ip("-n", PREFIX + SWITCH, "link", "set", f"p-{host}", "up")


@contextmanager
def build_network() -> Generator[None]:
    """Make the namespaces of all hosts until the end of the block."""
    remove_network()  # what a drill that was killed left
    try:
        _ip("netns", "add", PREFIX + SWITCH)
        switch = ("-n", PREFIX + SWITCH)
        _ip(*switch, "link", "add", "bridge", "type", "bridge")
        _ip(*switch, "link", "set", "bridge", "up")
        for host in HOSTS:
            _add(host)
        yield
    finally:
        remove_network()


def _add(host: str) -> None:
    own, switch = PREFIX + host, PREFIX + SWITCH
    _ip("netns", "add", own)
    pair = ("link", "add", "eth0", "netns", own, "type", "veth")
    _ip(*pair, "peer", "name", f"p-{host}", "netns", switch)
    _ip("-n", switch, "link", "set", f"p-{host}", "master", "bridge", "up")
    _ip("-n", own, "addr", "add", f"{address(host)}/24", "dev", "eth0")
    _ip("-n", own, "link", "set", "eth0", "up")
    _ip("-n", own, "link", "set", "lo", "up")


def remove_network() -> None:
    for host in (*HOSTS, SWITCH):
        if path_of(host).exists():
            _ip("netns", "delete", PREFIX + host)


@contextmanager
def inside(host: str) -> Generator[None]:
    """Move this thread, and its new threads and processes, to a host during the block."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path_of(host), os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(before)
        os.close(before)
        os.close(there)


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=10, capture_output=True)
