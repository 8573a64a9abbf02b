"""Mutants of the engine: small changes of its code, each of which some specification should notice.

    python benchmarks/mutants.py [--modules cover,chords] [--every 3] [--first 0] [--found FILE] [--again]

For each mutant a process is forked that holds the third-party libraries already. It imports the engine with one
place of one module changed, answers recorded problems that reach this place (tests/optimization/recorded.py), runs
the module's own tests, answers the rest of the problems, runs the other tests of tests/optimization (but those by
Hypothesis and those that only draw further problems), and ends at the first other answer or failure. ``--every 3``
takes each third mutant of a module. Outcomes are appended to ``--found``; what stands there is not run again, save
what survived if ``--again``.

What is changed: comparisons, arithmetic, and/or, not, whole and float constants (one more, one less), truth values,
strings (but messages), conditions (always, never), min/max and their like, statements left out, keywords left out.
"""

import argparse
import ast
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import islice, zip_longest
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
MODULES = (
    "separable",
    "full_steps",
    "cover",
    "chords",
    "tight",
    "problem",
    "terms",
    "restrictions",
    "desk",
    "desk_plans",
    "structure",
    "program",
    "compiled",
    "certificate",
    "units",
    "assembly",
    "engine",
    "infeasibility",
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
SOME = 40  # problems that are asked before the module's own tests are run
REMEMBERED = 12  # problems that killed the mutants before are asked first
COMPILED_ONCE = {
    "program",
    "structure",
    "compiled",
}  # a line's effect outlasts the problem that reached it
BOOK = ("book", 0)

ANSWERS, BY_TESTS, SURVIVED, TIMED_OUT = "answers", "tests", "survived", "timed out"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place of a module."""

    module: str
    line: int
    last: int
    at_import: bool  # outside of every function
    before: str
    after: str

    @property
    def key(self) -> str:
        """The same for the same change, wherever the line has moved."""
        return f"{self.module}: {self.before} -> {self.after}"


# ---- what is changed ----

Put = Callable[[ast.AST], None]
COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
CALLED = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
    "ceil": "int", "sorted": "list", "abs": "int", "zeros": "ones", "ones": "zeros",
}  # fmt: skip
UNSEEN = {"annotation", "returns", "decorator_list", "bases", "type_params"}
# Contracts between lines, data types, and kinds of sorting: no answer of theirs is specified.
SILENT_KEYWORDS = {"strict", "dtype", "kind"}


def places(tree: ast.AST, inside: ast.AST | None = None) -> Iterator[tuple[ast.AST, Put, Any]]:
    """What may be changed: an expression or statement, how to replace it, the statement that it is in."""
    for field, value in ast.iter_fields(tree):
        if field in UNSEEN or isinstance(tree, ast.Import | ast.ImportFrom | ast.JoinedStr):
            continue
        if isinstance(tree, ast.keyword) and tree.arg in SILENT_KEYWORDS:
            continue
        for at, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_docstring(node):
                continue
            statement = node if isinstance(node, ast.stmt) or inside is None else inside
            yield node, _put(tree, field, at), statement
            if not isinstance(node, ast.Raise | ast.AnnAssign):
                yield from places(node, statement)


def _put(parent: ast.AST, field: str, at: int | None) -> Put:
    def put(new: ast.AST) -> None:
        if at is None:
            setattr(parent, field, new)
        else:
            getattr(parent, field)[at] = new

    return put


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def changes(node: ast.AST) -> list[ast.AST]:
    """What may stand in the place of a node."""
    for kind, change in CHANGES.items():
        if isinstance(node, kind):
            return change(node)
    return []


def _compare(node: Any) -> list[ast.AST]:
    return [_with_op(node, at, COMPARED[type(op)]()) for at, op in enumerate(node.ops)]


def _with_op(node: Any, at: int, op: ast.cmpop) -> ast.AST:
    new = deepcopy(node)
    new.ops[at] = op
    return new


def _computed(node: Any) -> list[ast.AST]:
    new = deepcopy(node)
    if type(node.op) not in COMPUTED:
        return []
    new.op = COMPUTED[type(node.op)]()
    return [new]


def _augmented(node: Any) -> list[ast.AST]:
    return [*_computed(node), ast.Pass()]


def _joined(node: Any) -> list[ast.AST]:
    new = deepcopy(node)
    new.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return [new]


def _constant(node: Any) -> list[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        return [ast.Constant(not value)]
    if isinstance(value, int):
        return [ast.Constant(value + 1), ast.Constant(value - 1)]
    if isinstance(value, float):
        return [ast.Constant(value + 1.0), *([ast.Constant(value / 2)] if value else [])]
    return [ast.Constant(value + "_")] if isinstance(value, str) else []


def _called(node: Any) -> list[ast.AST]:
    found: list[ast.AST] = []
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in CALLED:
        new = deepcopy(node)
        setattr(new.func, "attr" if isinstance(node.func, ast.Attribute) else "id", CALLED[name])
        found.append(new)
    for at, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg not in SILENT_KEYWORDS:
            new = deepcopy(node)
            del new.keywords[at]
            found.append(new)
    return found


def _conditional(node: Any) -> list[ast.AST]:
    found: list[ast.AST] = []
    for truth in (True, False):
        new = deepcopy(node)
        new.test = ast.Constant(truth)
        found.append(new)
    return found


def _filtered(node: Any) -> list[ast.AST]:
    found: list[ast.AST] = []
    for at in range(len(node.ifs)):
        new = deepcopy(node)
        del new.ifs[at]
        found.append(new)
    return found


CHANGES: dict[type[ast.AST], Callable[[Any], list[ast.AST]]] = {
    ast.Compare: _compare,
    ast.BinOp: _computed,
    ast.AugAssign: _augmented,
    ast.BoolOp: _joined,
    ast.UnaryOp: lambda node: [node.operand],
    ast.Constant: _constant,
    ast.Call: _called,
    ast.If: _conditional,
    ast.IfExp: lambda node: [node.body, node.orelse],
    ast.comprehension: _filtered,
    ast.Expr: lambda _: [ast.Pass()],
    ast.Raise: lambda _: [ast.Pass()],
    ast.Break: lambda _: [ast.Pass()],
    ast.Continue: lambda _: [ast.Pass()],
}


def mutants(module: str) -> Iterator[tuple[Mutant, CodeType]]:
    """Every mutant of a module with its code; one of each key."""
    path = ROOT / "optimization" / f"{module}.py"
    source = path.read_text()
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    bodies = [(one.body[0].lineno, one.end_lineno or 0) for one in functions]
    seen: set[str] = set()
    for place in range(sum(1 for _ in places(ast.parse(source)))):
        tree = ast.parse(source)
        node, put, before = next(islice(places(tree), place, None))
        shown = _shown(before)
        for new in changes(node):
            put(new)
            lines = before.lineno, before.end_lineno or before.lineno
            outside = not any(first <= lines[0] <= last for first, last in bodies)
            mutant = Mutant(module, *lines, outside, shown, _shown(before, node, new))
            if mutant.key not in seen:
                seen.add(mutant.key)
                yield mutant, compile(ast.fix_missing_locations(tree), str(path), "exec")
            put(node)


def _shown(statement: ast.AST, node: ast.AST | None = None, new: ast.AST | None = None) -> str:
    """The statement's own line, without the lines below it; or a new one in its place."""
    shown = deepcopy(new) if node is statement and new is not None else deepcopy(statement)
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        if isinstance(getattr(shown, block, None), list):
            setattr(shown, block, [])
    return " ".join(ast.unparse(ast.fix_missing_locations(shown)).split())


# ---- what runs in the fork ----


class _Mutated(SourceFileLoader):
    """A module of which the code is given."""

    code: CodeType

    def get_code(self, _: str) -> CodeType:
        return self.code


class _Finder:
    """Finds one module, mutated."""

    def __init__(self, module: str, code: CodeType) -> None:
        self.name, self.path = f"optimization.{module}", str(ROOT / "optimization" / f"{module}.py")
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
    from tests.optimization import recorded  # noqa: PLC0415 - the engine that it imports is the mutant

    known = recorded.recorded()
    columns = ([(kind, n) for n in range(len(known[kind])) if known[kind][n]] for kind in known)
    columns = ([one for one in column if one[0] != "book" or one == BOOK] for column in columns)
    return [one for row in zip_longest(*columns) for one in row if one is not None]


def first_difference(asked: Iterable[Asked], seconds: float = ONE_ANSWER_S) -> Asked | None:
    """The first problem that is answered otherwise than recorded."""
    _end_after(seconds)
    from tests.optimization import recorded  # noqa: PLC0415 - the engine that it imports is the mutant

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


def noticed_by_tests(*, of: str = "", but: str = "") -> bool:
    """Whether a test notices: those ``of`` one module, or all ``but`` those."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest  # noqa: PLC0415

    _end_after(ALL_TESTS_S)
    files = [path for path in TESTS.glob("test_*.py") if path.stem not in LEFT_OUT]
    files = [
        path
        for path in files
        if path.stem == f"test_{of}" or (not of and path.stem != f"test_{but}")
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


def mutated(module: str, code: CodeType, asked: list[Asked]) -> dict[str, Any]:
    """How a mutant fares."""
    sys.meta_path.insert(0, _Finder(module, code))
    try:
        found = first_difference(asked[:SOME])
        if found is None and noticed_by_tests(of=module):
            return {"outcome": BY_TESTS}
        found = found or first_difference(asked[SOME:])
        if found is not None:
            return {"outcome": ANSWERS, "by": found}
        return {"outcome": BY_TESTS if noticed_by_tests(but=module) else SURVIVED}
    except BaseException:  # noqa: BLE001 - whatever a mutant raises, it was noticed
        return {"outcome": ANSWERS}


def unchanged() -> dict[str, Any]:
    """What the engine as it is loads, and which problems reach which of its lines."""
    reached: dict[str, list[int]] = {}
    lines: set[tuple[str, int]] = set()
    inside = str(ROOT / "optimization")

    def traced(frame: Any, *_: Any) -> Any:
        if not frame.f_code.co_filename.startswith(inside):
            return None
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return traced

    asked = problems()
    for place, one in enumerate(asked):
        lines.clear()
        sys.settrace(traced)
        wrong = first_difference([one], 100 * ONE_ANSWER_S)
        sys.settrace(None)
        if wrong:
            return {"wrong": f"{wrong} is answered otherwise than recorded"}
        for path, line in lines:
            reached.setdefault(f"{Path(path).stem}:{line}", []).append(place)
    if noticed_by_tests():
        return {"wrong": "a test fails"}
    loaded = [name for name in sys.modules if not name.startswith(("optimization", "tests"))]
    return {"wrong": None, "loaded": loaded, "asked": asked, "reached": reached}


def forked(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What work says in a fork of this process; ``timed out`` where it was ended."""
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


# ---- all of them ----


def main() -> None:
    """Run the mutants and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", default=",".join(MODULES))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--found", type=Path, default=Path("mutants/found.jsonl"))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--most", type=int, default=10_000, help="problems that a mutant is asked")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    base = forked(unchanged)
    if base["wrong"]:
        sys.exit(base["wrong"])
    for name in base["loaded"]:
        _import(name)
    arguments.found.parent.mkdir(exist_ok=True)
    lines = arguments.found.read_text().splitlines() if arguments.found.exists() else []
    known = {one["key"]: one for one in map(json.loads, lines)}
    for module in arguments.modules.split(","):
        hopeful: list[Asked] = []
        for mutant, code in [*mutants(module)][arguments.first :: arguments.every]:
            old = known.get(mutant.key)
            if old is not None and not (arguments.again and old["outcome"] == SURVIVED):
                continue
            asked = _asked(base, mutant)
            first = [one for one in hopeful if one in asked]
            asked = [*first, *(one for one in asked if one not in first)][: arguments.most]
            begin = time.perf_counter()
            said = forked(partial(mutated, module, code, asked))
            if said.get("by"):
                by = tuple(said["by"])
                hopeful = [by, *(one for one in hopeful if one != by)][:REMEMBERED]
            seconds = round(time.perf_counter() - begin, 2)
            known[mutant.key] = asdict(mutant) | {"key": mutant.key, "seconds": seconds} | said
            with arguments.found.open("a") as file:
                file.write(json.dumps(known[mutant.key]) + "\n")
    report([*known.values()])


def _asked(base: dict[str, Any], mutant: Mutant) -> list[Asked]:
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
    """A table by module, and who survived."""
    columns = (ANSWERS, BY_TESTS, TIMED_OUT, SURVIVED)
    table = Table("module", "mutants", *columns)
    for module in dict.fromkeys(one["module"] for one in found):
        of_module = Counter(one["outcome"] for one in found if one["module"] == module)
        table.add_row(module, str(of_module.total()), *(str(of_module[name]) for name in columns))
    table.add_section()
    counts = Counter(one["outcome"] for one in found)
    table.add_row("all", str(counts.total()), *(str(counts[name]) for name in columns))
    for one in found:
        if one["outcome"] == SURVIVED:
            print(f"{one['module']}.py:{one['line']}: {one['before']}\n  -> {one['after']}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
