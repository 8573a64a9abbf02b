"""Settings: arguments of the application over environment variables over defaults.

The only module that reads the environment. It imports no Ray, so that every process can afford it.
"""

import difflib
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode, SettingsConfigDict

from serve_app.loopback import LOOPBACK_NAMES, is_loopback
from serve_app.settings.errors import SettingsError
from serve_app.settings.identity import IdentitySettings, comma_list
from serve_app.settings.secret_files import read_secret_files


def _known_zone(zone: object) -> object:
    if str(zone) not in available_timezones():  # asked first, because ZoneInfo opens any path
        raise ValueError(zone)
    return zone


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


HEADER = re.compile(r"[\x21-\x7e]+( [\x21-\x7e]+)*")


def _mongodb_uri(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("scheme")  # without the value, because it may hold a password
    return value


def _header(value: SecretStr) -> SecretStr:
    if not HEADER.fullmatch(value.get_secret_value()):
        raise ValueError("header")  # without the value, because it is secret
    return value


Url = Annotated[
    str, AfterValidator(lambda url: url.rstrip("/")), Field(pattern=r"^https?://[^/\s]+")
]
Seconds = Annotated[float, Field(gt=0, le=3600)]


# Each upstream, and the setting that has its address.
UPSTREAM_URLS: Mapping[str, str] = {
    "accounting": "portfolio_accounting_service_url",
    "pricing": "pricing_service_url",
    "security": "security_service_url",
    "portfolio": "portfolio_service_url",
    "order": "order_service_url",
}


# Each secret with its names; NAME_FILE names a file that has it.
SECRETS: Mapping[str, tuple[str, ...]] = {
    "mongodb_uri": ("mongodb_uri", "database_url", "mongodb_url"),
    "upstream_authorization": ("upstream_authorization",),
    "upstream_client_secret": ("upstream_client_secret",),
    "oidc_client_secret": ("oidc_client_secret",),
}


class Settings(IdentitySettings):
    """Everything that can be set; a field's description is the rule an error quotes."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        case_sensitive=False,
        env_ignore_empty=True,
        allow_inf_nan=False,
        populate_by_name=True,
    )

    host: str = Field("127.0.0.1", min_length=1, description="the address to listen on")
    port: int = Field(8088, ge=1, le=65535, description="a whole number from 1 to 65535")
    max_body_mb: int = Field(1, ge=1, le=1024, description="a whole number from 1 to 1024")
    max_model_body_mb: int = Field(4, ge=1, le=1024, description="a whole number from 1 to 1024")
    max_optimize_body_mb: int = Field(
        32, ge=1, le=1024, description="a whole number from 1 to 1024"
    )
    proxy_connections_per_client: int = Field(
        1000, ge=1, le=100_000, description="a whole number from 1 to 100000"
    )
    proxy_metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="the address at which the proxy shows its metrics"
    )
    tls_certificate: Path | None = Field(
        None, description="a PEM file with the certificate and those between it and its root"
    )
    tls_key: Path | None = Field(None, description="a PEM file with its key, without a password")
    require_if_match: bool = Field(False, description="true or false")
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_list)] = Field(
        (), description="* or origins separated by commas"
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_list)] = Field(
        (), description="* or host names separated by commas, *.example.com for those of a domain"
    )
    insecure_off_loopback: bool = Field(False, description="yes or no")
    open_metrics: bool = Field(False, description="true or false")
    open_docs: bool = Field(True, description="true or false")
    rate_limit_per_minute: int = Field(
        0, ge=0, le=1_000_000, description="requests, from 0 (no limit) to 1000000"
    )

    mongodb_uri: Annotated[SecretStr, AfterValidator(_mongodb_uri)] | None = Field(
        None,
        validation_alias=AliasChoices("mongodb_uri", "database_url", "mongodb_url"),
        description="a URI that starts with mongodb:// or mongodb+srv:// "
        "(also DATABASE_URL, MONGODB_URL), or unset",
    )
    mongodb_uri_file: Path | None = Field(None, description="a file with one line, or unset")
    database_name: str = Field(
        "order-generation",
        pattern=r"^[^/\\. \"$*<>:|?\x00]{1,63}$",
        description='1 to 63 characters without / \\ . blank " $ * < > : | ?',
    )
    database_timeout_ms: int = Field(
        2000, ge=50, le=60_000, description="milliseconds, from 50 to 60000"
    )
    database_max_connections: int = Field(
        20, ge=1, le=500, description="a whole number from 1 to 500"
    )
    mongod: str | None = Field(
        None, description="the mongod to embed, instead of those that are looked for"
    )
    data_directory: Path = Field(
        Path(".ordergen"), description="the directory of the embedded database"
    )

    upstreams: Literal["simulated", "real"] | None = Field(
        None,
        description="simulated, real, or unset: simulated if no upstream URL is set, else real",
    )
    portfolio_accounting_service_url: Url | None = Field(None, description="an http(s) URL")
    pricing_service_url: Url | None = Field(None, description="an http(s) URL")
    security_service_url: Url | None = Field(None, description="an http(s) URL")
    portfolio_service_url: Url | None = Field(None, description="an http(s) URL")
    order_service_url: Url | None = Field(None, description="an http(s) URL")
    order_blotter: str = Field(
        "Default",
        min_length=1,
        max_length=60,
        description="the name of a blotter of the order service",
    )
    upstream_authorization: Annotated[SecretStr, AfterValidator(_header)] | None = Field(
        None, description="the value of a header, such as Bearer ... or Basic ..., or unset"
    )
    upstream_authorization_file: Path | None = Field(
        None, description="a file with one line, or unset"
    )
    upstream_token_url: Url | None = Field(None, description="an http(s) URL")
    upstream_client_id: str | None = Field(None, min_length=1, description="a client id, or unset")
    upstream_client_secret: SecretStr | None = Field(None, description="a secret, or unset")
    upstream_client_secret_file: Path | None = Field(
        None, description="a file with one line, or unset"
    )
    upstream_scope: str | None = Field(None, description="scopes separated by blanks, or unset")
    upstream_ca_file: Path | None = Field(
        None, description="a PEM file of certificates, or unset for the public authorities"
    )
    upstream_certificate: Path | None = Field(
        None, description="a PEM file with the certificate and those between it and its root"
    )
    upstream_key: Path | None = Field(
        None, description="a PEM file with its key, without a password"
    )
    external_service_timeout: Seconds = Field(10, description="seconds, above 0, at most 3600")
    external_service_retries: int = Field(3, ge=0, le=20, description="a whole number from 0 to 20")
    max_upstream_answer_mb: int = Field(
        4, ge=1, le=1024, description="a whole number from 1 to 1024"
    )
    max_prices_answer_mb: int = Field(
        16, ge=1, le=1024, description="a whole number from 1 to 1024"
    )
    circuit_breaker_threshold: int = Field(
        5, ge=1, le=1000, description="a whole number from 1 to 1000"
    )
    circuit_breaker_timeout: Seconds = Field(60, description="seconds, above 0, at most 3600")
    holdings_source: Literal["summaries", "pages"] = Field(
        "summaries",
        description="summaries (one request a portfolio) or pages (of all balances, where cheaper)",
    )
    holdings_directory: Path | None = Field(
        None, description="the directory of the files that runs may take holdings from, or unset"
    )
    price_ttl_s: float = Field(5, ge=0, le=3600, description="seconds, from 0 to 3600")

    model_rules: Literal["globeco", "general"] = Field(
        "globeco",
        description="globeco (the contract of GlobeCo's clients) or general (tickers, any weights)",
    )
    optimization_timeout: Seconds = Field(30, description="seconds, above 0, at most 3600")
    run_fan_out_above: int = Field(
        200, ge=0, le=100_000, description="portfolios, from 0 to 100000"
    )
    run_chunk_size: int = Field(250, ge=1, le=10_000, description="portfolios, from 1 to 10000")
    run_file_chunk_size: int = Field(
        10_000, ge=1, le=10_000, description="portfolios, from 1 to 10000"
    )
    run_window: int = Field(64, ge=1, le=1024, description="chunks at a time, from 1 to 1024")
    run_chunk_tries: int = Field(4, ge=1, le=20, description="a whole number from 1 to 20")
    run_patience_s: float = Field(300, ge=0, le=86_400, description="seconds, from 0 to 86400")
    run_lease_s: float = Field(15, ge=1, le=600, description="seconds, from 1 to 600")
    event_streams: int = Field(
        100, ge=1, le=100_000, description="streams of events, from 1 to 100000"
    )
    retention_days: int = Field(
        0, ge=0, le=36_500, description="days, from 0 (everything is kept) to 36500"
    )
    audit_retention_days: int = Field(
        0, ge=0, le=36_500, description="days, from 0 (everything is kept) to 36500"
    )
    require_approvals: int = Field(0, ge=0, le=3, description="approvals, from 0 (none) to 3")
    proposal_ttl: float = Field(
        86_400, ge=1, le=2_592_000, description="seconds, from 1 to 2592000 (30 days)"
    )
    proposal_price_move: Decimal = Field(
        Decimal("0.05"), ge=0, le=1, description="a part of the price, from 0 to 1"
    )
    time_zone: Annotated[ZoneInfo, BeforeValidator(_known_zone)] = Field(
        ZoneInfo("UTC"), description="a time zone such as UTC or America/New_York"
    )

    market_seed: int = Field(7, ge=0, lt=2**32, description="a whole number from 0 to 4294967295")
    market_portfolios: int = Field(
        25, ge=1, le=1_000_000, description="a whole number from 1 to 1000000"
    )
    market_prices_file: Path | None = Field(None, description="a CSV file of tickers and prices")

    traces_endpoint: Url | None = Field(None, description="an http(s) URL")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
    ] = Field("INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    log_format: Literal["json", "text"] = Field("json", description="json or text")

    @property
    def listens_everywhere(self) -> bool:
        """Whether the service listens on every interface."""
        return self.host in {"0.0.0.0", "::"}  # noqa: S104

    def require_protection(self, host: str) -> None:
        """Raise SettingsError if nobody is authenticated where other machines can call."""
        if self.authenticates or self.insecure_off_loopback or is_loopback(host):
            return
        rule = (
            f"everybody who reaches {host} could do everything: set AUTH=keys, or"
            " INSECURE_OFF_LOOPBACK=yes to allow that"
        )
        raise SettingsError("AUTH", "none", rule)

    @property
    def host_names(self) -> tuple[str, ...]:
        """Names by which clients may call the service."""
        own = () if self.listens_everywhere else (self.host,)
        return (*LOOPBACK_NAMES, *own, *self.allowed_hosts)

    @property
    def simulated_upstreams(self) -> tuple[str, ...]:
        """Names of the upstreams that the simulated market stands in for: all or none."""
        simulated = self.upstreams == "simulated"
        if self.upstreams is None:
            simulated = not any(getattr(self, name) for name in UPSTREAM_URLS.values())
        return tuple(UPSTREAM_URLS) if simulated else ()

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, given: dict[str, object]) -> dict[str, object]:
        return read_secret_files(given, SECRETS)

    @model_validator(mode="after")
    def _require_all_upstreams_or_none(self) -> Self:
        """Refuse a mix, because orders for real accounts must not end in a simulation unnoticed."""
        urls = {name: getattr(self, name) for name in UPSTREAM_URLS.values()}
        given = [name for name, url in urls.items() if url is not None]
        if self.upstreams == "simulated" and given:
            rule = "has to be unset where UPSTREAMS is simulated"
            raise SettingsError(given[0].upper(), "set", rule)
        missing = [name for name in urls if name not in given]
        if missing and not self.simulated_upstreams:
            cause = "UPSTREAMS is real" if self.upstreams else f"{given[0].upper()} is set"
            rule = (
                f"has to be an http(s) URL, for {cause}: no upstream is simulated beside real ones"
            )
            raise SettingsError(missing[0].upper(), "unset", rule)
        return self

    @model_validator(mode="after")
    def _require_keys_of_certificates(self) -> Self:
        for name in ("tls_certificate", "upstream_certificate"):
            key = name.replace("certificate", "key")
            for given, missing in ((name, key), (key, name)):
                if getattr(self, given) is not None and getattr(self, missing) is None:
                    rule = f"has to be set where {given.upper()} is set"
                    raise SettingsError(missing.upper(), "unset", rule)
        return self

    @model_validator(mode="after")
    def _require_whole_credentials(self) -> Self:
        """Refuse half a client, and a client beside a fixed header."""
        client = ("upstream_token_url", "upstream_client_id", "upstream_client_secret")
        given = [name for name in (*client, "upstream_scope") if getattr(self, name) is not None]
        if given and self.upstream_authorization is not None:
            rule = "has to be unset where UPSTREAM_AUTHORIZATION is set"
            raise SettingsError(given[0].upper(), "set", rule)
        missing = [name for name in client if given and name not in given]
        if missing:
            rule = f"has to be set where {given[0].upper()} is set"
            raise SettingsError(missing[0].upper(), "unset", rule)
        return self

    @model_validator(mode="after")
    def _require_names_of_approvers(self) -> Self:
        """Refuse approvals by nobody, because no order could ever be sent."""
        if self.require_approvals and not self.authenticates:
            rule = "approvals are those of people with a name: set AUTH, or leave it at 0"
            raise SettingsError("REQUIRE_APPROVALS", str(self.require_approvals), rule)
        return self

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in type(self).model_fields))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """List all settings by name in serve_config.yaml; the variable is the name in capitals."""
        of_identity = IdentitySettings.model_fields
        return (*(name for name in cls.model_fields if name not in of_identity), *of_identity)


def read_settings(args: Mapping[str, object] | None = None) -> Settings:
    """Make the settings or raise a SettingsError for the first one that is wrong."""
    try:
        return Settings(**dict(args or {}))  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        raise _settings_error(error.errors(include_url=False)[0]) from None


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Suggest a known name at the end of an error about an unknown one, if any is near."""
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _settings_error(problem: ErrorDetails) -> SettingsError:
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, SettingsError):
        return cause
    name = str(problem["loc"][0]).lower()
    if problem["type"] == "extra_forbidden":
        return SettingsError(name, None, f"no such setting{nearest(name, Settings.names())}")
    field = "mongodb_uri" if name in {"database_url", "mongodb_url"} else name
    rule = Settings.model_fields[field].description or problem["msg"]
    # Not shown, because a URL may carry a password in front of its @.
    secret = field in SECRETS or "@" in str(problem["input"])
    value = None if secret else repr(problem["input"])
    return SettingsError(name.upper(), value, rule)
