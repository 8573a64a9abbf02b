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
    processes, more = {ancestor}, {ancestor}
    while more:
        more = {child for child, parent in parents.items() if parent in more} - processes
        processes |= more
    return [Path("/proc", str(process)) for process in processes - {ancestor}]


def processor_s() -> dict[str, float]:
    """Measure the CPU seconds of each kind of process of the service."""
    ticks = os.sysconf("SC_CLK_TCK")
    seconds_by_kind: dict[str, float] = {}
    for process in descendants(os.getpid()):
        with suppress(OSError):
            kind, stat = (
                name_kind(process),
                (process / "stat").read_bytes().rpartition(b")")[2].split(),
            )
            seconds_by_kind[kind] = (
                seconds_by_kind.get(kind, 0) + (int(stat[11]) + int(stat[12])) / ticks
            )
    return seconds_by_kind


def name_kind(process: Path) -> str:
    """Tell the kind of a process by its command line."""
    line = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
    return next((kind for name, kind in KINDS.items() if name in line), "Ray itself")
