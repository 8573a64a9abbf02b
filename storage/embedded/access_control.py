"""Access control of an embedded mongod: its key file, and the user that the service connects as.

The key is generated once and kept in the data directory, readable by its owner alone. Whoever has it is
the server's internal user; the password of the service's own user, which has fewer rights, is derived from it.
"""

import hmac
import os
import secrets
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import OperationFailure

USER: Final = "ordergen"
ROLES: Final = ("readWriteAnyDatabase", "dbAdminAnyDatabase", "clusterMonitor")
KEY_BYTES: Final = 32
PRIVATE_FILE: Final = 0o600
USER_EXISTS: Final = 51003


def ensure_key_file(path: Path) -> Path:
    """Make the key file unless it exists; its path. The caller holds the lock of the directory."""
    if not path.exists():
        write_private(path, secrets.token_hex(KEY_BYTES))
    path.chmod(PRIVATE_FILE)  # mongod refuses a key that others may read
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, in one step for whoever reads meanwhile."""
    written = path.with_name(f"{path.name}.new")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    written.replace(path)


def service_uri(port: int, key_file: Path | None) -> str:
    """The address for the service's own user; without a key file for anybody."""
    login = "" if key_file is None else f"{USER}:{_password(key_file)}@"
    source = "" if key_file is None else "&authSource=admin"
    return f"mongodb://{login}127.0.0.1:{port}/?directConnection=true{source}"


def internal_uri(port: int, key_file: Path | None) -> str:
    """The address for the server's internal user, who configures it and makes the other one."""
    if key_file is None:
        return service_uri(port, None)
    login = f"__system:{key_file.read_text()}"
    mechanism = "authSource=local&authMechanism=SCRAM-SHA-256"
    return f"mongodb://{login}@127.0.0.1:{port}/?directConnection=true&{mechanism}"


def ensure_user(client: MongoClient[dict[str, Any]], key_file: Path) -> None:
    """Make the service's user, or give the one that exists its password and roles.

    ``client`` is the internal user's. Data from before there was access control gets the user here too.
    """
    credentials: dict[str, Any] = {
        "pwd": _password(key_file),
        "roles": list(ROLES),
        "mechanisms": ["SCRAM-SHA-256"],
    }
    try:
        client.admin.command("createUser", USER, **credentials)
    except OperationFailure as error:
        if error.code != USER_EXISTS:
            raise
        client.admin.command("updateUser", USER, **credentials)


def _password(key_file: Path) -> str:
    return hmac.new(key_file.read_bytes(), USER.encode(), "sha256").hexdigest()
