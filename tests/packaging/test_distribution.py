import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
DISTRIBUTION = "order-generation-service"
PACKAGES = ("serve_app", "optimization", "storage")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40  # without the docstring
# Tests that tell one story from its beginning to its end, because each step needs those before it.
STORIES = {
    "tests/approvals/test_morning.py: test_a_morning_leads_from_drift_to_orders_and_is_audited",
    "tests/end_to_end/test_portal.py: test_the_portal_gets_its_exact_json_on_every_call",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_an_import_name_comes_from_this_distribution_alone(package: str) -> None:
    others = set(packages_distributions().get(package, [])) - {DISTRIBUTION}
    spec = find_spec(package)

    assert others == set()
    assert spec is not None
    assert spec.origin == str(ROOT / package / "__init__.py")


def test_the_wheel_holds_every_package_and_is_never_uploaded() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert packages == [*PACKAGES]
    assert "Private :: Do Not Upload" in pyproject["project"]["classifiers"]


def test_the_wheel_holds_what_the_packages_read_beside_their_modules() -> None:
    paths = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    templates = {str(path.relative_to(ROOT)) for path in ROOT.glob("serve_app/**/*.j2")}

    assert len(templates) == 5
    assert paths >= {
        *templates,
        "serve_app/serve_config.yaml",
        "serve_app/api/routes/problem_pages.py",
    }


def test_one_version_stands_everywhere() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    changelog = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    images = re.findall(
        r"image: order-generation-service:(\S+)",
        (ROOT / "kuberay/base/rayservice.yaml").read_text(),
    )
    tag = re.search(r"newTag: (\S+)", (ROOT / "kuberay/base/kustomization.yaml").read_text())

    assert tag is not None
    assert {version(DISTRIBUTION), changelog[0], tag[1], *images} == {pyproject}


def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="ordergen")

    assert command.value == "serve_app.__main__:main"
    assert callable(command.load())


def test_the_makefile_has_every_command_that_a_document_names() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("kuberay/*.md")]
    commands = {
        name
        for document in documents
        for name in re.findall(r"(?:`|^    )make ([a-z-]+)", document.read_text(), re.MULTILINE)
    }

    assert {"demo", "test"} <= commands <= targets
    assert phony is not None
    assert set(phony[1].split()) == targets


def test_ci_runs_the_commands_of_the_readme() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    script = (ROOT / ".ci/run").read_text()

    assert "bash .ci/run" in workflow
    assert "for target in check test" in script
    assert "make test" in (ROOT / "README.md").read_text()
    uses = re.findall(r"uses: (.+)", workflow)
    assert all(re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", use) for use in uses)


def test_the_licence_is_the_whole_text() -> None:
    licence = (ROOT / "LICENSE").read_text()

    assert "Version 2.0, January 2004" in licence
    assert all(f"\n   {section}. " in licence for section in range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in licence


def test_no_module_is_longer_than_anybody_reads() -> None:
    modules = [
        path
        for folder in (*PACKAGES, "tests", "examples")
        for path in (ROOT / folder).rglob("*.py")
    ]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules}

    assert {name: count for name, count in lines.items() if count > MAX_MODULE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}: {name}": count
        for folder in (*PACKAGES, "tests", "benchmarks", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for name, count in iterate_lengths(ast.parse(path.read_text()))
    }

    assert lengths["serve_app/api/app.py: api_app"] > 10
    assert {name for name, count in lengths.items() if count > MAX_FUNCTION_LINES} == STORIES


def iterate_lengths(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each function with its lines from `def` to the end, those of a docstring left out."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            has_docstring = ast.get_docstring(node, clean=False) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_new_versions_of_everything_that_is_locked_are_looked_for() -> None:
    watched = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    folders = {
        folder
        for update in watched
        if update["package-ecosystem"] == "npm"
        for folder in update["directories"]
    }
    locked = subprocess.run(
        ["git", "ls-files", "*package-lock.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert {f"/{Path(path).parent}" for path in locked.stdout.split()} == folders


def test_no_test_overwrites_a_private() -> None:
    overwritten = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("*.py")
        for name in iterate_overwritten(ast.parse(path.read_text()))
        if name.startswith("_")
    ]

    assert overwritten == []
    example = ast.parse("monkeypatch.setattr(log, '_clear', die); log._clear = die; self._a = 1")
    assert [*iterate_overwritten(example)] == ["_clear", "_clear"]


def iterate_overwritten(module: ast.Module) -> Iterator[str]:
    """Yield the attributes that are overwritten from outside, by statement or by ``setattr``."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
            texts = [argument for argument in node.args[:2] if isinstance(argument, ast.Constant)]
            yield from (str(text.value).rpartition(".")[2] for text in texts)
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) not in {"self", "cls"}
        ):
            yield node.attr
