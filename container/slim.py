"""Remove from a virtual environment what the service never loads: slim.py SITE_PACKAGES.

Runs in the build stage of the image. Fails if a pattern matches nothing, because a list that names
files of an earlier release would leave the image large without a word. `make test-image` proves
that the service works without these files.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

# Each with the reason why nothing here needs it.
UNUSED: Final = {
    "ray/jars": "workers in Java",
    "ray/rllib": "reinforcement learning",
    "ray/tune": "search for hyperparameters",
    "ray/train": "training of models",
    "ray/llm": "language models",
    "ray/data": "data sets of Ray; the service reads Parquet by itself",
    "pyarrow/include": "headers for extensions in C++",
    "pyarrow/src": "sources for extensions in C++",
    "pyarrow/includes": "declarations for extensions in Cython",
    "pyarrow/*flight*": "the network protocol Flight",
    "pyarrow/*s3*": "files in S3",
    "pyarrow/libarrow_python.so": "a copy for linkers, which the loader never opens",
    "pyarrow/libarrow_python.so.*.*.*": "a second copy",
    "**/tests": "tests of libraries",
}
# patchelf has rewritten these, and strip would damage them.
UNTOUCHED: Final = (".libs/", "numpy/", "scipy/")
# Below this size the debugging symbols of a library are not worth a process.
MIN_STRIPPED_BYTES: Final = 500_000
PROGRAMS: Final = ("ray/core/src/ray/gcs/gcs_server", "ray/core/src/ray/raylet/raylet")


def main(packages: Path) -> None:
    """Remove the unused files, and the debugging symbols of the others."""
    for pattern, reason in UNUSED.items():
        paths = [path for path in packages.glob(pattern) if path.exists()]
        if not paths:
            sys.exit(f"slim: nothing matches {pattern} ({reason}): correct container/slim.py")
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # a directory in one that has gone
            else:
                path.unlink()
    for path in find_binaries(packages):
        subprocess.run(["strip", "--strip-unneeded", str(path)], check=True)  # noqa: S603, S607


def find_binaries(packages: Path) -> list[Path]:
    """List the libraries and programs whose symbols can go."""
    libraries = [
        path
        for path in packages.rglob("*.so*")
        if path.is_file()
        and path.stat().st_size >= MIN_STRIPPED_BYTES
        and not any(part in f"{path.relative_to(packages)}" for part in UNTOUCHED)
    ]
    return libraries + [packages / program for program in PROGRAMS]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
