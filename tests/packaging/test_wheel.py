"""The wheel in fresh environments outside the repository: the engine alone, and the service."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.support.demonstration import make_environment, wait_for_text

ROOT = Path(__file__).parents[2]
UV = ROOT / ".tools/bin/uv"
ENGINE = {"cvxpy", "highspy", "numpy", "scipy"}
SERVICE = {"ray", "fastapi", "httpx", "pydantic", "pymongo", "typer", "pyarrow", "matplotlib"}
LIBRARY = """
from optimization import Model, rebalance_frame
model = Model({"VTI": 0.6, "BND": 0.4}, band=0.05)
outcome = rebalance_frame({"BND": 10, "CASH": 1000}, {"VTI": 245.5, "BND": 72.1}, model)
print(outcome)
print(outcome.to_frame("trades", "dict")["quantity"])
"""
BODY = """{"model": {"positions": [{"security_id": "VTI", "target": "0.9", "low_drift": "0.05",
  "high_drift": "0.05"}]}, "prices": {"VTI": "245.5"},
  "portfolios": [{"portfolio_id": "ira", "cash": "10000", "holdings": {}}]}"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A fresh environment with the wheel."""

    bin: Path
    directory: Path  # outside the repository

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = command
        inherited_values = {
            name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ
        }
        return subprocess.run(
            [self.bin / program, *arguments],
            cwd=self.directory,
            env={"PATH": f"{self.bin}:/usr/bin:/bin", **inherited_values, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    return Path(
        next(WheelBuilder(str(ROOT)).build(directory=str(directory), versions=["standard"]))
    )


def install(wheel: Path, directory: Path, *extras: str) -> Installation:
    """Make an environment with the locked libraries of some extras, and with the wheel."""
    environment = directory / "venv"
    options = [part for extra in extras for part in ("--extra", extra)]
    sync = ("sync", "--frozen", "--no-dev", "--no-install-project", "--python", sys.executable)
    run_uv(*sync, *options, environment=environment)
    run_uv("pip", "install", "--no-deps", str(wheel), environment=environment)
    run_uv("pip", "check", environment=environment)
    outside = directory / "elsewhere"
    outside.mkdir()
    return Installation(environment / "bin", outside)


def run_uv(*arguments: str, environment: Path) -> None:
    """Run uv from its cache: `make install` filled it with every locked library."""
    result = subprocess.run(
        [UV, "--offline", "--quiet", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "UV_PROJECT_ENVIRONMENT": str(environment),
            "VIRTUAL_ENV": str(environment),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(wheel, tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(wheel, tmp_path_factory.mktemp("full"), "serve", "embedded")


def test_the_wheel_asks_for_the_engine_alone_and_marks_every_package_as_typed(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        requirements = message_from_bytes(archive.read(metadata)).get_all("Requires-Dist", [])

    always = {re.split(r"[<>=]", line)[0] for line in requirements if "extra ==" not in line}
    assert always == ENGINE
    assert {f"{package}/py.typed" for package in ("serve_app", "storage", "optimization")} <= names


def test_the_wheel_has_the_console_with_every_file_that_its_index_names(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        index = archive.read("serve_app/web/page/index.html").decode()

    assets = re.findall(r'"/console/(assets/[^"]+)"', index)
    assert assets
    assert {f"serve_app/web/page/{name}" for name in assets} <= names


def test_the_library_works_with_the_engine_alone(core: Installation) -> None:
    result = core.run("python", "-c", LIBRARY)
    packages = core.run(
        "python",
        "-c",
        "from importlib.util import find_spec\n"
        f"print(*sorted(name for name in {sorted(ENGINE | SERVICE)} if find_spec(name)))",
    )

    assert (result.stderr, result.returncode) == ("", 0)
    assert result.stdout.startswith("portfolio: REBALANCED\n")
    assert result.stdout.endswith("\n[4]\n")
    assert set(packages.stdout.split()) == ENGINE


def test_the_command_of_a_core_install_names_the_extra_in_one_line(core: Installation) -> None:
    result = core.run("ordergen", "demo")

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "ordergen: typer is missing, because commands need the extra serve:"
        " pip install 'order-generation-service[serve]'\n"
    )


def test_commands_find_their_configuration_in_the_wheel(full: Installation) -> None:
    result = full.run("ordergen", "check-config")

    assert (result.stderr, result.returncode) == ("", 0)
    assert result.stdout.endswith("site-packages/serve_app/serve_config.yaml: every key is known\n")


@pytest.fixture(scope="module")
def demonstration(full: Installation) -> Iterator[str]:
    """The address of a running demonstration of the wheel."""
    with tempfile.TemporaryDirectory(prefix="og-") as directory:  # Ray's sockets need a short path
        yield from demonstrate(full, Path(directory))


def demonstrate(full: Installation, directory: Path) -> Iterator[str]:
    environment = make_environment(directory)
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [full.bin / "ordergen", "demo"],
            cwd=full.directory,
            env={**environment, "PATH": f"{full.bin}:{environment['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_text(log, "Ctrl-C stops everything", process)
        yield f"http://127.0.0.1:{environment['PORT']}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.cluster
def test_a_demonstration_of_the_wheel_answers_its_command_and_its_client(
    full: Installation, demonstration: str
) -> None:
    body = full.directory / "body.json"
    body.write_text(BODY)
    result = full.run("ordergen", "optimize", str(body), "--url", demonstration, COLUMNS="120")
    models = full.run(
        "python",
        "-c",
        "import sys\nfrom serve_app.client import Client\n"
        "with Client(sys.argv[1]) as client:\n"
        "    print(*(one.name for one in client.list_models()))",
        demonstration,
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert "REBALANCED" in result.stdout
    assert (models.returncode, models.stderr) == (0, "")
    assert "Strategy" in models.stdout
