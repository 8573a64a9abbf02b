"""Processes of a measured service: what kinds there are, and the processor time of each kind."""

import os
from contextlib import suppress
from pathlib import Path

STORE_KEEPER = "raylet"
NAMED = ("Optimizer", "ModelStore", "Ingress", "SimulatedMarket", "mongod", STORE_KEEPER)
# The name of a worker is that of its last task.
KINDS = dict(zip(NAMED, NAMED, strict=True)) | dict.fromkeys(
    ("chunk_task", "warm_task", "ray::IDLE"), "tasks"
)


def descendants(ancestor: int) -> list[Path]:
    """List the descendants of a Linux process."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(
                status.read_bytes().rpartition(b")")[2].split()[1]
            )
    found, more = {ancestor}, {ancestor}
    while more:
        more = {child for child, parent in parents.items() if parent in more} - found
        found |= more
    return [Path("/proc", str(process)) for process in found - {ancestor}]


def processor_s() -> dict[str, float]:
    """Measure the CPU seconds of each kind of process of the service."""
    ticks = os.sysconf("SC_CLK_TCK")
    spent: dict[str, float] = {}
    for process in descendants(os.getpid()):
        with suppress(OSError):
            kind, stat = (
                kind_of(process),
                (process / "stat").read_bytes().rpartition(b")")[2].split(),
            )
            spent[kind] = spent.get(kind, 0) + (int(stat[11]) + int(stat[12])) / ticks
    return spent


def kind_of(process: Path) -> str:
    """Tell the kind of a process by its command line."""
    line = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
    return next((kind for name, kind in KINDS.items() if name in line), "Ray itself")
