"""Put Chromium into .tools/chromium for the tests of the console, without root.

    python -m tests.page.browser.install
    python -m tests.page.browser.install --unless-found

The package is built for x86-64 Linux and brings its own libraries and fonts. Elsewhere set CHROMIUM
to the path of an installed browser.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from console.build import BuildError, find_node, run_npm
from tests.page.browser.found import INSTALLED, find_browser

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
TIMEOUT_S: Final = 300
# The package unpacks its libraries on the systems that it knows alone.
SYSTEM: Final = {"AWS_LAMBDA_JS_RUNTIME": "nodejs22.x"}
# The package's own configuration names directories of the systems that it knows.
FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""


def main(*, unless_found: bool) -> int:
    """Install the locked package, and unpack the browser; return an exit code."""
    if unless_found and find_browser() is not None:
        return 0
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.stderr.write("the browser is for x86-64 Linux: set CHROMIUM to an installed one\n")
        return 1
    sys.stderr.write("installing the browser of the tests (67 MB, once)\n")
    try:
        with tempfile.TemporaryDirectory(prefix="chromium-", dir=ROOT / ".tools") as name:
            unpacked = unpack(Path(name))
            shutil.rmtree(INSTALLED, ignore_errors=True)
            unpacked.rename(INSTALLED)
    except (BuildError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"chromium: {error}\n")
        return 1
    return 0


def unpack(directory: Path) -> Path:
    """Install the package in a directory; return the directory that then has the browser."""
    for name in ("package.json", "package-lock.json", ".npmrc", "unpack.mjs"):
        shutil.copy(HERE / name, directory)
    run_npm("ci", "--ignore-scripts", directory=directory)
    target = directory / "unpacked"
    target.mkdir()
    subprocess.run(
        [str(find_node() / "bin/node"), "unpack.mjs"],
        cwd=directory,
        env={**os.environ, **SYSTEM, "TMPDIR": str(target)},
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=True,
    )
    (target / "fonts/fonts.conf").write_text(FONTS)
    return target


if __name__ == "__main__":
    sys.exit(main(unless_found="--unless-found" in sys.argv))
