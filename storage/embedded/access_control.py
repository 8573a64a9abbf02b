"""Access control of an embedded mongod: its key file, and the user that the service connects as.

The key is generated once and kept in the data directory, readable by its owner alone. The holder of
the key is the server's internal user. The service connects as a user with fewer rights, whose
password is derived from the key.
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
    """Create the key file unless it exists, and return its path.

    The caller holds the lock of the directory, because otherwise two starters could write two keys.
    """
    if not path.exists():
        write_private(path, secrets.token_hex(KEY_BYTES))
    path.chmod(PRIVATE_FILE)  # because mongod refuses a key that others may read
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read; a concurrent reader never sees half a file."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def build_service_uri(port: int, key_file: Path | None) -> str:
    """Build the URI of the service's own user; without a key file, a URI without a login."""
    login = "" if key_file is None else f"{USER}:{_derive_password(key_file)}@"
    source = "" if key_file is None else "&authSource=admin"
    return f"mongodb://{login}127.0.0.1:{port}/?directConnection=true{source}"


def build_internal_uri(port: int, key_file: Path | None) -> str:
    """Build the URI of the server's internal user, which configures the server and its users."""
    if key_file is None:
        return build_service_uri(port, None)
    login = f"__system:{key_file.read_text()}"
    mechanism = "authSource=local&authMechanism=SCRAM-SHA-256"
    return f"mongodb://{login}@127.0.0.1:{port}/?directConnection=true&{mechanism}"


def ensure_user(client: MongoClient[dict[str, Any]], key_file: Path) -> None:
    """Create the service's user, or update the password and roles of an existing user.

    ``client`` is connected as the internal user. A data directory that predates access control gets
    its user here, too.
    """
    credentials: dict[str, Any] = {
        "pwd": _derive_password(key_file),
        "roles": list(ROLES),
        "mechanisms": ["SCRAM-SHA-256"],
    }
    try:
        client.admin.command("createUser", USER, **credentials)
    except OperationFailure as error:
        if error.code != USER_EXISTS:
            raise
        client.admin.command("updateUser", USER, **credentials)


def _derive_password(key_file: Path) -> str:
    return hmac.new(key_file.read_bytes(), USER.encode(), "sha256").hexdigest()
