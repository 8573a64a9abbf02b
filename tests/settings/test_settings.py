import pickle
from pathlib import Path

import pytest

from serve_app.settings import UPSTREAM_URLS, Settings, SettingsError, read_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*Settings.names(), "database_url", "mongodb_url"):
        monkeypatch.delenv(name.upper(), raising=False)


def test_every_variable_of_the_original_has_its_documented_default() -> None:
    settings = read_settings()

    assert settings.port == 8088
    assert settings.mongodb_uri is None
    assert settings.database_name == "order-generation"
    assert settings.pricing_service_url is None
    assert (settings.external_service_timeout, settings.external_service_retries) == (10, 3)
    assert (settings.circuit_breaker_threshold, settings.circuit_breaker_timeout) == (5, 60)
    assert settings.optimization_timeout == 30
    assert settings.cors_origins == ()  # the portal calls from its server
    assert settings.log_level == "INFO"


def test_arguments_go_over_variables_and_variables_over_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("LOG_LEVEL", "debug")

    settings = read_settings({"port": 9001})

    assert (settings.port, settings.log_level) == (9001, "DEBUG")


@pytest.mark.parametrize("name", ["MONGODB_URI", "DATABASE_URL", "MONGODB_URL"])
def test_the_database_is_found_under_each_of_its_names(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "mongodb://u:mellon@host/")

    settings = read_settings()

    assert settings.mongodb_uri is not None
    assert settings.mongodb_uri.get_secret_value() == "mongodb://u:mellon@host/"
    assert "mellon" not in f"{settings!r} {settings.model_dump_json()}"


def test_an_argument_goes_over_a_variable_of_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://variable")

    settings = read_settings({"database_url": "mongodb://argument"})

    assert settings.mongodb_uri is not None
    assert settings.mongodb_uri.get_secret_value() == "mongodb://argument"


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRICING_SERVICE_URL", "")

    assert read_settings().pricing_service_url is None


REAL = {name: f"http://{upstream}:80" for upstream, name in UPSTREAM_URLS.items()}


def test_without_any_upstream_url_all_upstreams_are_simulated_and_with_all_none_is() -> None:
    assert read_settings().simulated_upstreams == tuple(UPSTREAM_URLS)
    assert read_settings({"upstreams": "simulated"}).simulated_upstreams == tuple(UPSTREAM_URLS)
    assert read_settings(REAL).simulated_upstreams == ()
    assert read_settings({**REAL, "upstreams": "real"}).simulated_upstreams == ()


@pytest.mark.parametrize("missing", UPSTREAM_URLS.values())
@pytest.mark.parametrize("upstreams", [None, "real"])
def test_an_upstream_url_that_is_missing_among_the_others_is_refused_by_name(
    missing: str, upstreams: str | None
) -> None:
    given = {name: url for name, url in REAL.items() if name != missing}

    with pytest.raises(SettingsError, match=rf"^{missing.upper()} is unset: has to be .*$"):
        read_settings({**given, "upstreams": upstreams})


@pytest.mark.parametrize("name", UPSTREAM_URLS.values())
def test_an_upstream_url_beside_simulated_upstreams_is_refused_by_name_and_not_shown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTREAMS", "simulated")
    monkeypatch.setenv(name.upper(), "http://user:mellon@host")

    with pytest.raises(SettingsError, match=rf"^{name.upper()} is set: .* UPSTREAMS is simulated$"):
        read_settings()


def test_real_upstreams_without_any_url_are_refused_with_the_first_that_is_missing() -> None:
    with pytest.raises(SettingsError, match=r"PORTFOLIO_ACCOUNTING_SERVICE_URL is unset: .* real"):
        read_settings({"upstreams": "real"})


def test_origins_are_a_comma_list_or_a_list() -> None:
    assert read_settings({"cors_origins": "http://a, http://b"}).cors_origins == (
        "http://a",
        "http://b",
    )
    assert read_settings({"cors_origins": ["http://a"]}).cors_origins == ("http://a",)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("LOG_LEVEL", "LOUD"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("EXTERNAL_SERVICE_TIMEOUT", "nan"),
        ("OPTIMIZATION_TIMEOUT", "0"),
        ("UPSTREAMS", "some"),
        ("PRICING_SERVICE_URL", "prices:80"),
        ("DATABASE_NAME", "a b"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable_and_what_it_may_be(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as caught:
        read_settings()

    line = str(caught.value)
    assert line.startswith(f"{variable} is '{value}': ")
    assert line.endswith(str(Settings.model_fields[variable.lower()].description))
    assert "\n" not in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MONGODB_URI", "http://u:mellon@host"), ("PRICING_SERVICE_URL", "ftp://u:mellon@host")],
)
def test_a_wrong_value_that_may_hold_a_password_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as caught:
        read_settings()

    assert "mellon" not in f"{caught.value!r} {caught.value}"


CLIENT = {
    "upstream_token_url": "https://issuer/token",
    "upstream_client_id": "rebalancer",
    "upstream_client_secret": "mellon",
}


def test_a_client_of_a_token_endpoint_is_whole_or_absent() -> None:
    assert read_settings(CLIENT).upstream_client_id == "rebalancer"

    for missing in CLIENT:
        given = {name: value for name, value in CLIENT.items() if name != missing}
        rule = rf"^{missing.upper()} is unset: has to be set where UPSTREAM_\w+ is set$"
        with pytest.raises(SettingsError, match=rule):
            read_settings(given)
    with pytest.raises(SettingsError, match=r"^UPSTREAM_TOKEN_URL is unset"):
        read_settings({"upstream_scope": "orders"})


def test_a_fixed_header_beside_a_client_is_refused() -> None:
    rule = r"^UPSTREAM_TOKEN_URL is set: has to be unset where UPSTREAM_AUTHORIZATION is set$"
    with pytest.raises(SettingsError, match=rule):
        read_settings({**CLIENT, "upstream_authorization": "Bearer abc"})


@pytest.mark.parametrize(
    "value", ["Bearer mellon\r\nX: y", "Bearer  mellon", "mellon ä", " mellon"]
)
def test_a_header_of_other_characters_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^UPSTREAM_AUTHORIZATION: the value of") as caught:
        read_settings({"upstream_authorization": value})

    assert "mellon" not in f"{caught.value!r}"


def test_a_misspelt_argument_is_refused_with_the_nearest_right_one() -> None:
    with pytest.raises(SettingsError, match=r"^prot: no such setting; did you mean port\?$"):
        read_settings({"prot": 1})


def test_settings_and_their_errors_survive_pickling() -> None:
    settings = read_settings({"mongodb_uri": "mongodb://x", "data_directory": "/tmp/x"})
    error = SettingsError("PORT", "'x'", "a number")

    assert pickle.loads(pickle.dumps(settings)) == settings
    assert settings.data_directory == Path("/tmp/x")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.example.com",
        "ftp://id.example.com",
        "id.example.com",
        "https://",
        "https://ada:secret@id.example.com",
        "https://id.example.com/?realm=desk",
        "https://id.example.com/#desk",
        "https://id.example.com:port",
        "https://[",
    ],
)
def test_the_issuer_is_a_url_that_nobody_can_answer_in_its_place(issuer: str) -> None:
    with pytest.raises(SettingsError, match="OIDC_ISSUER"):
        read_settings({"auth": "oidc", "oidc_audience": "orders", "oidc_issuer": issuer})


@pytest.mark.parametrize(
    "issuer", ["https://id.example.com/realms/desk", "http://127.0.0.1:8080", "http://localhost"]
)
def test_the_issuer_is_kept_to_the_letter(issuer: str) -> None:
    for url in (issuer, f"{issuer}/"):
        settings = read_settings({"auth": "oidc", "oidc_audience": "orders", "oidc_issuer": url})
        assert settings.oidc_issuer == url


@pytest.mark.parametrize("algorithms", ["none", "HS256", "RS256,HS256", "rs256", ","])
def test_only_signatures_that_the_provider_alone_can_make_may_be_pinned(algorithms: str) -> None:
    with pytest.raises(SettingsError, match="OIDC_ALGORITHMS is"):
        read_settings({"oidc_algorithms": algorithms})
