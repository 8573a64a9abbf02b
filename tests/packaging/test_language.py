"""The language of the code, as far as a machine can see it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("optimization", "storage", "serve_app", "tests", "benchmarks", "examples")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# Openings of a docstring that depends on the text before it.
DEPENDENT = re.compile(r"(That|Whoever|Likewise|The same)\b")
# Names of bounds without MAX or MIN and a noun.
WITHOUT_SUBJECT = re.compile(
    r"_?(MOST|LONGEST|LEAST|SMALLEST|LOWEST|LARGEST|HIGHEST|FEWEST)(_\w+)?"
    r"|(\w+_)?AT_(A_TIME|ONCE)|LISTED"
)


def test_no_docstring_depends_on_what_stands_before_it() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in SOURCES
        for text in docstrings(path)
        if DEPENDENT.match(text)
    ]

    assert found == []


def test_constants_of_bounds_say_max_or_min_and_of_what() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for name in constants(path)
        if WITHOUT_SUBJECT.fullmatch(name)
    ]

    assert found == []


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a module, its classes and its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def constants(path: Path) -> Iterator[str]:
    """The names in capitals that a module assigns."""
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        for target in targets:
            names = (each.id for each in ast.walk(target) if isinstance(each, ast.Name))
            yield from (name for name in names if name.isupper())
