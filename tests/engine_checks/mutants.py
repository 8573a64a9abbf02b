"""Mutants of the engine: small changes of its code, each of which a specification should detect.

    python tests/engine_checks/mutants.py [--modules solvers.knapsack_cover] [--every 3]
                                          [--first 0] [--found FILE] [--again]

Each mutant runs in a forked process that already holds the third-party libraries. The process
imports the engine with one place of one module changed, answers the recorded problems that reach
this place (tests/optimization/recorded.py), runs the module's own tests, answers the other
problems, runs the other tests of tests/optimization (except those of Hypothesis and those that only
draw further problems), and stops at the first different answer or failure. ``--every 3`` takes each
third mutant of a module. Outcomes are appended to ``--found`` and not run again; ``--again`` runs
the survivors anew.

mutmut does not replace this script. It skips decorated functions, such as properties and cached
functions, of which the engine has many, and it runs pytest for every mutant. Here a mutant meets
the recorded answers that reach its line first; they take a few seconds of processor time, and most
mutants do not survive them.
"""

import argparse
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import zip_longest
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from tests.engine_checks.mutations import Mutant, module_of, mutants, path_of

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    "solvers.separable",
    "solvers.subset_sum",
    "solvers.knapsack_cover",
    "solvers.cover_search",
    "solvers.cash_constrained",
    "solvers.cash_rows",
    "exact.block",
    "exact.constraints",
    "exact.evaluation",
    "exact.restrictions",
    "solvers.coupled_problem",
    "solvers.coupled_limits",
    "solvers.coupled_data",
    "solvers.coupled",
    "solvers.least_violation",
    "solvers.elastic",
    "exact.fine_lots",
    "milp.sparse_form",
    "milp.coupled_rows",
    "milp.formulations",
    "milp.parametric",
    "exact.verification",
    "exact.scaled_integers",
    "domain.numbers",
    "domain.portfolio",
    "exact.block_builder",
    "solvers.base_iteration",
    "after_costs",
    "engine",
    "search",
    "explain.empty_bands",
    "explain.infeasibility",
    "explain.binding_constraints",
)
TESTS = ROOT / "tests" / "optimization"
LEFT_OUT = {
    "test_recorded",
    "test_generated",
    "test_oracle_agreement",
    "test_package",
    "test_model",
}
ONE_ANSWER_S, ALL_TESTS_S = 4, 60  # of the processor
MEMORY = 4 << 30  # bytes more than the process has
SOME = 40  # problems that are answered before the module's own tests run
REMEMBERED = 12  # problems that killed earlier mutants, which are answered first
# A line's effect outlasts the problem that reached it, because a program is compiled once.
COMPILED_ONCE = {"milp.coupled_rows", "milp.formulations", "milp.sparse_form", "milp.parametric"}
BOOK = ("book", 0)

ANSWERS, BY_TESTS, SURVIVED, TIMED_OUT = "answers", "tests", "survived", "timed out"


class _Mutated(SourceFileLoader):
    """Loader of a module with the given code."""

    code: CodeType

    def get_code(self, _: str) -> CodeType:
        return self.code


class _Finder:
    """Finder of one mutated module."""

    def __init__(self, module: str, code: CodeType) -> None:
        self.name, self.path = f"optimization.{module}", str(path_of(module))
        self.code = code

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        if name != self.name:
            return None
        loader = _Mutated(name, self.path)
        loader.code = self.code
        return spec_from_file_location(name, self.path, loader=loader)


Asked = tuple[str, int]  # a kind and a number, or BOOK


def problems() -> list[Asked]:
    """All recorded problems, one of each kind after the other."""
    from tests.optimization import recorded

    known = recorded.recorded()
    columns = ([(kind, n) for n in range(len(known[kind])) if known[kind][n]] for kind in known)
    columns = (
        [problem for problem in column if problem[0] != "book" or problem == BOOK]
        for column in columns
    )
    return [problem for row in zip_longest(*columns) for problem in row if problem is not None]


def first_difference(asked: Iterable[Asked], seconds: float = ONE_ANSWER_S) -> Asked | None:
    """Find the first problem whose answer differs from the recorded one."""
    _end_after(seconds)
    from tests.optimization import recorded

    known = recorded.recorded()
    for kind, number in asked:
        _end_after(seconds)
        if (kind, number) == BOOK:
            same = recorded.together(*recorded.book()) == known["book"]
        else:
            same = recorded.digest(kind, number) == known[kind][number]
        if not same:
            return kind, number
    return None


def _tests_of(module: str) -> str:
    return f"test_{module.rpartition('.')[2]}"


def is_noticed_by_tests(*, of: str = "", but: str = "") -> bool:
    """True if a test fails: a test ``of`` one module, or any test ``but`` those."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest

    _end_after(ALL_TESTS_S)
    files = [path for path in TESTS.rglob("test_*.py") if path.stem not in LEFT_OUT]
    files = [
        path
        for path in files
        if path.stem == _tests_of(of) or (not of and path.stem != _tests_of(but))
    ]
    files.sort(key=lambda path: path.stat().st_size)
    plain = ["-c", os.devnull, "--rootdir", str(ROOT), "--import-mode=importlib", "--assert=plain"]
    quick = [
        "-x",
        "-q",
        "--noconftest",
        "-p",
        "no:cacheprovider",
        "-k",
        "not exhaustive_enumeration",
    ]
    return bool(files) and pytest.main([*plain, *quick, *map(str, files)]) != 0


def _end_after(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)


def run_mutant(module: str, code: CodeType, asked: list[Asked]) -> dict[str, Any]:
    """Run a mutant until the first difference."""
    sys.meta_path.insert(0, _Finder(module, code))
    try:
        found = first_difference(asked[:SOME])
        if found is None and is_noticed_by_tests(of=module):
            return {"outcome": BY_TESTS}
        found = found or first_difference(asked[SOME:])
        if found is not None:
            return {"outcome": ANSWERS, "by": found}
        return {"outcome": BY_TESTS if is_noticed_by_tests(but=module) else SURVIVED}
    except BaseException:  # noqa: BLE001 - whatever a mutant raises, it was noticed
        return {"outcome": ANSWERS}


def load_unchanged() -> dict[str, Any]:
    """Load the unchanged engine, and record which problems reach which of its lines."""
    reached: dict[str, list[int]] = {}
    lines: set[tuple[str, int]] = set()
    inside = str(ROOT / "optimization")

    def traced(frame: Any, *_: Any) -> Any:
        if not frame.f_code.co_filename.startswith(inside):
            return None
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return traced

    asked = problems()
    for place, problem in enumerate(asked):
        lines.clear()
        sys.settrace(traced)
        wrong = first_difference([problem], 100 * ONE_ANSWER_S)
        sys.settrace(None)
        if wrong:
            return {"wrong": f"{wrong} is answered otherwise than recorded"}
        for path, line in lines:
            reached.setdefault(f"{module_of(Path(path))}:{line}", []).append(place)
    if is_noticed_by_tests():
        return {"wrong": "a test fails"}
    loaded = [name for name in sys.modules if not name.startswith(("optimization", "tests"))]
    return {"wrong": None, "loaded": loaded, "asked": asked, "reached": reached}


def run_in_fork(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run work in a fork of this process; ``timed out`` if it was stopped."""
    reads, writes = os.pipe()
    process = os.fork()
    if process == 0:
        _end(work, writes)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        said = pipe.read()
    status = os.waitpid(process, 0)[1]
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) in {signal.SIGPROF, signal.SIGALRM, signal.SIGKILL}
        return {"outcome": TIMED_OUT if late else ANSWERS}
    return json.loads(said)


def _end(work: Callable[[], dict[str, Any]], writes: int) -> NoReturn:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
    signal.alarm(600)
    said = work()
    with os.fdopen(writes, "w") as pipe:
        pipe.write(json.dumps(said))
    os._exit(0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", default=",".join(MODULES))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--found", type=Path, default=Path("mutants/found.jsonl"))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--most", type=int, default=10_000, help="problems that a mutant is asked")
    return parser.parse_args()


def main() -> None:
    """Run the mutants and print the tables."""
    arguments = parse_arguments()
    sys.path.insert(0, str(ROOT))
    base = run_in_fork(load_unchanged)
    if base["wrong"]:
        sys.exit(base["wrong"])
    for name in base["loaded"]:
        _import(name)
    arguments.found.parent.mkdir(exist_ok=True)
    lines = arguments.found.read_text().splitlines() if arguments.found.exists() else []
    known = {result["key"]: result for result in map(json.loads, lines)}
    current: set[str] = set()
    for module in arguments.modules.split(","):
        hopeful: list[Asked] = []
        whole = [*mutants(module)]
        chosen = whole if arguments.again else whole[arguments.first :: arguments.every]
        current |= {mutant.key for mutant, _ in whole}
        for mutant, code in chosen:
            old = known.get(mutant.key)
            survived = old is not None and old["outcome"] == SURVIVED
            if not (survived if arguments.again else old is None):
                continue
            asked = _problems_reaching(base, mutant)
            first = [problem for problem in hopeful if problem in asked]
            asked = [*first, *(problem for problem in asked if problem not in first)]
            asked = asked[: arguments.most]
            begin = time.perf_counter()
            said = run_in_fork(partial(run_mutant, module, code, asked))
            if said.get("by"):
                by = tuple(said["by"])
                hopeful = [by, *(problem for problem in hopeful if problem != by)][:REMEMBERED]
            seconds = round(time.perf_counter() - begin, 2)
            known[mutant.key] = asdict(mutant) | {"key": mutant.key, "seconds": seconds} | said
            with arguments.found.open("a") as file:
                file.write(json.dumps(known[mutant.key]) + "\n")
    report([result for key, result in known.items() if key in current])


def _problems_reaching(base: dict[str, Any], mutant: Mutant) -> list[Asked]:
    """The problems that reach the changed lines."""
    wanted = {f"{mutant.module}:{line}" for line in range(mutant.line, mutant.last + 1)}
    whole = mutant.at_import or mutant.module in COMPILED_ONCE
    places = {
        place
        for line, of_line in base["reached"].items()
        if line in wanted or (whole and line.startswith(f"{mutant.module}:"))
        for place in of_line
    }
    return [tuple(base["asked"][place]) for place in sorted(places)]


def _import(name: str) -> None:
    with suppress(Exception):  # not every name in sys.modules is one to import
        importlib.import_module(name)


def report(found: list[dict[str, Any]]) -> None:
    """Print a table by module, and the survivors."""
    columns = (ANSWERS, BY_TESTS, TIMED_OUT, SURVIVED)
    table = Table("module", "mutants", *columns)
    for module in dict.fromkeys(result["module"] for result in found):
        of_module = Counter(result["outcome"] for result in found if result["module"] == module)
        table.add_row(module, str(of_module.total()), *(str(of_module[name]) for name in columns))
    table.add_section()
    counts = Counter(result["outcome"] for result in found)
    table.add_row("all", str(counts.total()), *(str(counts[name]) for name in columns))
    for result in found:
        if result["outcome"] == SURVIVED:
            place = f"{result['module']}.py:{result['line']}"
            print(f"{place}: {result['before']}\n  -> {result['after']}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
