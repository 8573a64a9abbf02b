"""Claims of verified tokens: names, roles, scopes and limits."""

from typing import Any

import pytest

from serve_app.auth.errors import AuthenticationError
from serve_app.auth.oidc.claims import ClaimNames
from serve_app.auth.permissions import ROLES, Role, Scope
from serve_app.settings import read_settings
from serve_app.settings.identity import ROLES as ROLES_OF_SETTINGS

ADA: dict[str, Any] = {"sub": "248289761001", "name": "Ada Lovelace", "roles": ["trader"]}
MODEL = "6540F1A2B3C4D5E6F7A8B9C0"


def names_of(**settings: Any) -> ClaimNames:
    return ClaimNames.read(read_settings(settings))


def test_a_caller_is_its_subject_with_the_scopes_of_its_roles() -> None:
    principal = ClaimNames().build_principal(ADA)

    assert (principal.name, principal.display_name) == ("248289761001", "Ada Lovelace")
    assert principal.scopes == ROLES[Role.TRADER]
    assert not principal.is_limited


@pytest.mark.parametrize(
    ("claims", "claim"),
    [
        ({"groups": ["viewer", "operator", 7, None]}, "groups"),
        ({"groups": "viewer operator"}, "groups"),
        ({"realm_access": {"roles": ["viewer", "operator"]}}, "realm_access.roles"),
        ({"https://x.example/roles": ["viewer", "operator"]}, "https://x.example/roles"),
    ],
)
def test_roles_come_from_the_claim_of_the_settings(claims: dict[str, Any], claim: str) -> None:
    principal = names_of(oidc_roles_claim=claim).build_principal({**claims, "sub": "ada"})

    assert principal.scopes == ROLES[Role.VIEWER] | ROLES[Role.OPERATOR]


def test_names_of_the_provider_stand_for_roles_and_then_no_other_name_does() -> None:
    names = names_of(oidc_role_names="trader=desk-7,viewer=everybody")
    claims = {**ADA, "roles": ["desk-7", "admin", "trader"]}

    assert names.build_principal(claims).scopes == ROLES[Role.TRADER]


@pytest.mark.parametrize("roles", [None, 7, {}, {"admin": True}, [["admin"]], "Admin", "*", ""])
def test_a_claim_that_names_no_role_gives_no_right(roles: Any) -> None:
    assert ClaimNames().build_principal({**ADA, "roles": roles}).scopes == frozenset()


def test_scopes_give_rights_only_if_the_settings_name_their_claim() -> None:
    claims = {"sub": "nightly", "scope": "openid models:read unknown:scope"}

    assert ClaimNames().build_principal(claims).scopes == frozenset()
    assert names_of(oidc_scopes_claim="scope").build_principal(claims).scopes == {Scope.MODELS_READ}


def test_a_caller_without_the_claim_of_a_limit_is_limited_to_nothing() -> None:
    names = names_of(oidc_models_claim="models", oidc_portfolios_claim="portfolios")

    limited = names.build_principal({**ADA, "models": [MODEL], "portfolios": ["P1", "P2"]})
    unlimited = names.build_principal({**ADA, "models": "*", "portfolios": ["*"]})
    without = names.build_principal(ADA)

    assert (limited.models, limited.portfolios) == ({MODEL.lower()}, {"P1", "P2"})
    assert not unlimited.is_limited
    assert (without.models, without.portfolios) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("value", "level"),
    [(3, 3), ("2", 2), (None, 1), (4, 1), (0, 1), (True, 1), ("3 ", 1), ([3], 1), (2.5, 1)],
)
def test_an_approver_has_the_level_of_its_claim_or_the_lowest(value: Any, level: int) -> None:
    claims = {**ADA, "level": value}

    assert (
        names_of(oidc_approver_level_claim="level").build_principal(claims).approver_level == level
    )
    assert ClaimNames().build_principal(claims).approver_level == 1


@pytest.mark.parametrize("name", [None, 7, "", " ada", "ada\n", "a" * 256, "-ada", "åda", ["ada"]])
def test_a_token_whose_name_is_none_is_refused(name: Any) -> None:
    with pytest.raises(AuthenticationError, match="no usable claim preferred_username"):
        names_of(oidc_name_claim="preferred_username").build_principal(
            {**ADA, "preferred_username": name}
        )


@pytest.mark.parametrize("name", ["auth0|5f7c8ec7c33c6c004bbafe82", "ada@example.com", "a:b=c~d"])
def test_names_as_providers_give_them_are_taken(name: str) -> None:
    assert ClaimNames().build_principal({"sub": name}).name == name


def test_the_name_for_people_is_printable_and_short() -> None:
    principal = ClaimNames().build_principal(
        {"sub": "ada", "name": "\x1b[31mAda\u202e" + "a" * 500}
    )

    assert principal.display_name.startswith("[31mAdaa")
    assert len(principal.display_name) == 100


def test_the_settings_know_every_role() -> None:
    assert {*ROLES_OF_SETTINGS} == {role.value for role in Role}
