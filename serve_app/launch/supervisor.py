"""Supervisor: first process of `ordergen serve`; runs the service in a child and cleans up.

    ordergen serve       waits for signals and for the child; adopts the orphans of its processes
    └── the service      in a session of its own, because Ctrl-C must reach only the supervisor
        └── Ray, HAProxy, mongod ...

If the child dies, its orphans are ended. If the supervisor is killed, the kernel sends the child
the signal by which the supervisor stops it.
"""

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

AGAIN: Final = 75  # EX_TEMPFAIL: exit code by which the child asks for a restart
STOP_WITHIN_S: Final = 20.0
ORPHANS_WITHIN_S: Final = 2.0
POLL_S: Final = 0.05
# The signal that stops the child. Ray sets a handler of its own for SIGTERM while it starts.
STOP: Final = signal.SIGINT
PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
Work = Callable[[int], int]


def supervise(work: Work) -> int:
    """Run ``work(attempt)`` in a child process, again while it returns AGAIN; return its exit code.

    SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt in the child; a second signal kills it. The
    code is 0 for a child that KeyboardInterrupt ends, or that would have been started again, and
    128 + the number of the signal for a child that a signal ended.
    """
    if sys.platform != "linux":  # in this process, because only Linux has subreapers
        return code if (code := work(1)) != AGAIN else work(2)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    heard = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # because nohup ignores it
        heard.add(signal.SIGHUP)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, heard | {signal.SIGCHLD})
    attempt = 1
    while True:
        child = _fork(work, attempt, mask)
        code, is_stopping = _wait(child, heard)
        end_descendants()
        if code != AGAIN or is_stopping:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            return 0 if code == AGAIN else code
        attempt += 1


def adopt_orphans() -> None:
    """Become the parent of all orphans below this process."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_descendants() -> None:
    """End every process below this one, by SIGTERM and after 2 s by SIGKILL."""
    until = time.monotonic() + ORPHANS_WITHIN_S
    number = signal.SIGTERM
    while pids := list(_descendants()):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        _reap()
        time.sleep(POLL_S)
        if time.monotonic() > until:
            number = signal.SIGKILL


def _fork(work: Work, attempt: int, mask: Collection[int]) -> int:
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, STOP)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if os.getppid() == parent:
            code = work(attempt)
    except KeyboardInterrupt:
        code = 0
    except BaseException:  # noqa: BLE001 - nothing above could show it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, heard: Collection[int]) -> tuple[int, bool]:
    """Wait for the child; return its exit code, and True if a signal stopped it."""
    is_stopping, until = False, float("inf")
    while True:
        code = _reap_child(child)
        if code is not None:
            return code, is_stopping
        wait_s = min(60.0, max(0.0, until - time.monotonic()))
        came = signal.sigtimedwait({*heard, signal.SIGCHLD}, wait_s)
        late = time.monotonic() >= until
        if late or (came is not None and came.si_signo != signal.SIGCHLD and is_stopping):
            os.kill(child, signal.SIGKILL)
            until = float("inf")
        elif came is not None and came.si_signo != signal.SIGCHLD:
            is_stopping, until = True, time.monotonic() + STOP_WITHIN_S
            os.kill(child, STOP)


def _reap_child(child: int) -> int | None:
    """Reap ended processes; return the child's exit code if it ended."""
    code = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                ended = os.waitstatus_to_exitcode(status)
                code = ended if ended >= 0 else 128 - ended
    return code


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _descendants() -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):  # none where there is no such file system
        with suppress(OSError):
            # The line is split after the last bracket, because the name before state and parent
            # may hold blanks, brackets and half a character: the kernel cuts it after 15 bytes.
            state, parent, *_ = stat.read_bytes().rpartition(b") ")[2].split()
            if state != b"Z":
                children.setdefault(int(parent), []).append(int(stat.parent.name))
    waiting = children.get(os.getpid(), [])
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, [])


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)
