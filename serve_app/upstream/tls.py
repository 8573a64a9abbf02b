"""TLS to upstreams: whom the service believes, and the certificate that it shows."""

import ssl
from pathlib import Path

import httpx

from serve_app.settings import Settings, SettingsError

NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})


def make_context(settings: Settings) -> ssl.SSLContext:
    """Make the context of all connections to upstreams.

    UPSTREAM_CA_FILE replaces the public authorities. Raises SettingsError if a file cannot be used.
    """
    # The environment is ignored, because a variable must not change whom the service believes.
    context = httpx.create_ssl_context(trust_env=False)
    if (authorities := settings.upstream_ca_file) is not None:
        try:
            context = ssl.create_default_context(cafile=authorities)
        except OSError as error:  # ssl.SSLError is one
            raise _error("UPSTREAM_CA_FILE", authorities, error) from error
    if (certificate := settings.upstream_certificate) is not None:
        load_chain(context, "UPSTREAM", certificate, settings.upstream_key)
    return context


def load_chain(context: ssl.SSLContext, prefix: str, certificate: Path, key: Path | None) -> None:
    """Load a certificate and its key; SettingsError for ``prefix`` _CERTIFICATE or _KEY."""
    for name, path in (("CERTIFICATE", certificate), ("KEY", key)):
        if path is not None and not path.is_file():
            raise SettingsError(f"{prefix}_{name}", repr(str(path)), "is no file")
    try:
        # The password is empty, because otherwise OpenSSL asks the terminal for a password.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise _error(f"{prefix}_CERTIFICATE", certificate, error) from error


def describe_tls_failure(error: BaseException | None) -> str | None:
    """Say why a TLS connection failed; None for an error of another kind."""
    while error is not None:
        # Attributes tell, because the classes of aiohttp derive from ssl's and have none.
        if refusal := getattr(error, "verify_message", None):
            # The text after a comma is dropped, because it names the host.
            return f"its certificate is not accepted: {refusal.partition(',')[0]}"
        reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
        if reason in NO_TLS:
            return "it does not speak TLS: is it http instead of https?"
        if reason:
            return f"no TLS connection: {reason}"
        error = error.__cause__ or error.__context__
    return None


def _error(variable: str, path: Path, error: OSError) -> SettingsError:
    reason = str(error)
    if isinstance(error, ssl.SSLError):
        reason = {
            "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
            "NO_CERTIFICATE_OR_CRL_FOUND": "it has no certificate in PEM",
            "NO_START_LINE": "certificate or key is not PEM",
        }.get(
            error.reason,
            f"it is no certificate with a key, or the key has a password ({error.reason})",
        )
    elif error.strerror:
        reason = error.strerror
    return SettingsError(variable, repr(str(path)), f"cannot be used: {reason}")
