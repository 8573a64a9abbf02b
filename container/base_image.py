"""Base image made from Debian's archive, where no registry answers.

Debian 12 has Python 3.11, as the official image has, so the packages of the lock fit. The base is
for this machine alone: it trusts the certificates that the machine trusts. A release is built on
the base that the Dockerfile pins.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from container.engine import ROOT, STATE, Engine, EngineError, PrerequisiteError

LOCAL_BASE: Final = "localhost/python:3.11-bookworm"
MIRROR: Final = "http://deb.debian.org/debian"
PACKAGES: Final = "ca-certificates,python3,python3-pip,python3-venv"
CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
PULL_WITHIN_S: Final = 300.0
MAKE_WITHIN_S: Final = 900.0
# For OpenSSL, pip and node.
TRUST: Final = {
    "SSL_CERT_FILE": CERTIFICATES,
    "PIP_CERT": CERTIFICATES,
    "NODE_EXTRA_CA_CERTS": CERTIFICATES,
}
# Neither the service nor the build reads these.
UNREAD: Final = ("usr/share/man", "usr/share/locale", "var/lib/apt/lists")


def choose_base(engine: Engine, wanted: str) -> str:
    """Return the image to build on: the given one, the pinned one, or one from Debian's archive."""
    if wanted:
        return wanted
    pinned = pinned_base()
    try:
        if not engine.has_image(pinned):
            engine.call("pull", pinned, within_s=PULL_WITHIN_S)
    except EngineError as error:
        if not engine.has_image(LOCAL_BASE):
            reason = str(error).splitlines()[-1]
            sys.stderr.write(f"image: no registry ({reason}): base from Debian's archive\n")
            make_base(engine)
        return LOCAL_BASE
    return pinned


def pinned_base() -> str:
    """Return the base that the Dockerfile names, with its digest."""
    text = (ROOT / "Dockerfile").read_text()
    (reference,) = re.findall(r"^FROM (\S+) AS pinned$", text, re.MULTILINE)
    return reference


def make_base(engine: Engine) -> None:
    """Make Debian 12 with Python, and import it as a local image."""
    program = shutil.which("debootstrap", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if os.geteuid() != 0 or program is None:
        message = "no registry answers, and a base of Debian's archive needs root and debootstrap"
        raise PrerequisiteError(message)
    STATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE) as directory:
        root = Path(directory, "root")
        command = [program, "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
        try:
            subprocess.run(  # noqa: S603
                [*command, MIRROR],
                capture_output=True,
                timeout=MAKE_WITHIN_S,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise EngineError(f"debootstrap: {error}") from error
        _prepare(root)
        engine.import_files(root, LOCAL_BASE, "python3", TRUST)


def _prepare(root: Path) -> None:
    """Prepare the directory so that it has what the Dockerfile expects of the official image."""
    (root / "usr/bin/python").symlink_to("python3")
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink()
    for name in UNREAD:
        shutil.rmtree(root / name)
    for path in (root / "var/cache/apt").rglob("*.*"):
        path.unlink()
    for path in (root / "usr/share/doc").rglob("*"):
        if path.name != "copyright" and not path.is_dir():  # the bill of materials reads these
            path.unlink()
    # An engine mounts a /dev of its own; who copies files would read /dev/zero for ever.
    shutil.rmtree(root / "dev")
    (root / "dev").mkdir()
    shutil.copy(CERTIFICATES, root / CERTIFICATES.removeprefix("/"))
