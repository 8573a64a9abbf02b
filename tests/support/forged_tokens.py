"""Forged tokens: a hundred ways to make a token that a careless verifier would let in.

Each function takes the issuer and a source of chance and returns a token that is wrong for sure.
Some are signed with the issuer's own keys, because a right signature is not enough.
"""

import hmac
import json
import time
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from joserfc.jwk import ECKey, RSAKey

from tests.support.issuer import AUDIENCE, Issuer, encode, forge, public_jwk

Forger = Callable[[Issuer, Random], str]

ATTACKER_EC: Final = ECKey.generate_key("P-256")
ATTACKER_RSA: Final = RSAKey.generate_key(2048)
HOUR_S: Final = 3600
DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
KEY_IDS: Final[tuple[Any, ...]] = (
    "../../../../dev/null", "/dev/null", "/proc/self/environ", "file:///dev/null", "", " ",
    "ec\x00", "ec\n", "EC", "ec' OR '1'='1", "ec; cat /etc/passwd", "http://169.254.169.254/latest",
    "https://evil.example/jwks.json", "k" * 600, 0, 1.5, True, False, ["ec"],
    {"kid": "ec"}, {"$ne": 1},
)  # fmt: skip
MISSING: Final = object()
WRONG_CLAIMS: Final[Mapping[str, tuple[Any, ...]]] = {
    "exp": (MISSING, None, "", "9999999999", True, [], {}, [9999999999], 10**12, 10**400, -1,
            1e300),
    "nbf": (None, "0", True, [], 10**12, -1, 9999999999),
    "iat": (None, "now", False, {}, 10**12, 9999999999),
    "iss": (MISSING, None, "", 7, True, ["{iss}"], "{iss}/", "{iss} ", "{ISS}",
            "https://evil.example"),
    "aud": (
        MISSING, None, "", 7, [], [[AUDIENCE]], {AUDIENCE: True}, AUDIENCE.upper(), AUDIENCE + "/",
        AUDIENCE[:-1], f"{AUDIENCE} other", f" {AUDIENCE}", ["other", None], "*", ["*"],
    ),
    "sub": (MISSING, None, "", 7, True, ["admin"], {"name": "admin"}),
}  # fmt: skip


def unsigned(issuer: Issuer, chance: Random) -> str:
    algorithm = chance.choice(["none", "None", "NONE", "nOnE", "", " none", None, [], ["none"]])
    parts = [encode({"alg": algorithm, "kid": "ec"}), encode(issuer.claims())]
    signature = chance.choice(["", "AA", encode(chance.randbytes(64))])
    return ".".join(parts + [signature] * chance.choice([0, 1, 1, 1]))


def signed_with_the_public_key(issuer: Issuer, chance: Random) -> str:
    name = chance.choice(["rsa", "ec"])
    jwk = public_jwk(issuer.keys[name], name)
    key = issuer.keys[name]
    secrets = [
        key.as_pem(private=False),
        key.as_pem(private=False).strip(),
        key.as_der(private=False),
        json.dumps(jwk).encode(),
        str(jwk.get("n", jwk.get("x"))).encode(),
        b"",
    ]
    bits = chance.choice([256, 384, 512])
    signing_input = f"{encode({'alg': f'HS{bits}', 'kid': name})}.{encode(issuer.claims())}"
    mac = hmac.new(chance.choice(secrets), signing_input.encode(), f"sha{bits}").digest()
    return f"{signing_input}.{encode(mac)}"


def under_another_algorithm(issuer: Issuer, chance: Random) -> str:
    _, payload, signature = issuer.token("ec").split(".")
    others = ["RS256", "ES384", "ES512", "PS256", "EdDSA", "ES256K", "es256", "HS256", "RSA1_5"]
    members = {"alg": chance.choice(others), "kid": chance.choice(["ec", "rsa"]), "typ": "JWT"}
    return f"{encode(members)}.{payload}.{signature}"


def with_keys_of_the_attacker(issuer: Issuer, chance: Random) -> str:
    key, algorithm = chance.choice([(ATTACKER_EC, "ES256"), (ATTACKER_RSA, "RS256")])
    jwk = public_jwk(key, chance.choice(["ec", "rsa", "mine"]))
    url = "https://evil.example/jwks.json"
    brought = chance.choice(
        [{"jwk": jwk}, {"jku": url}, {"x5u": url}, {"x5c": ["AAAA"]}, {"jwk": jwk, "jku": url}, {}]
    )
    members = {"alg": algorithm, "kid": chance.choice([jwk["kid"], "ec", "rsa", None]), **brought}
    return forge(json.dumps(issuer.claims()), key, members)


def with_a_strange_key_id(issuer: Issuer, chance: Random) -> str:
    # Right if the key id were ignored.
    members = {"alg": "ES256", "kid": chance.choice(KEY_IDS), "typ": "JWT"}
    return forge(json.dumps(issuer.claims()), issuer.keys["ec"], members)


def with_a_strange_header(issuer: Issuer, chance: Random) -> str:
    kinds = ["logout+jwt", "JWE", "secevent+jwt", "dpop+jwt", "", 7, ["JWT"], "jwt at+jwt"]
    strange = chance.choice(
        [
            {"crit": ["exp"], "exp": 1},
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"crit": "kid"},
            {"b64": False},
            {"b64": True},
            *({"typ": kind} for kind in kinds),
        ]
    )
    return issuer.sign(
        json.dumps(issuer.claims()), chance.choice(["ec", "ec", "ec", "rsa"]), **strange
    )


def with_a_wrong_claim(issuer: Issuer, chance: Random) -> str:
    name = chance.choice([*WRONG_CLAIMS])
    value = chance.choice(WRONG_CLAIMS[name])
    claims = issuer.claims()
    text = json.dumps(value) if value is not MISSING else ""
    text = text.replace("{iss}", issuer.url).replace("{ISS}", issuer.url.upper())
    others = {key: member for key, member in claims.items() if key != name}
    members = [f"{json.dumps(key)}: {json.dumps(member)}" for key, member in others.items()]
    members += [f"{json.dumps(name)}: {text}"] if text else []
    chance.shuffle(members)
    return issuer.sign(f"{{{', '.join(members)}}}")


def at_a_wrong_time(issuer: Issuer, chance: Random) -> str:
    now = time.time()
    past, future = now - chance.uniform(60, 10**8), now + chance.uniform(60, 10**8)
    change = chance.choice([{"exp": past}, {"nbf": future}, {"iat": future}, {"exp": int(past)}])
    return issuer.token("ec", **change)


def with_a_claim_twice(issuer: Issuer, chance: Random) -> str:
    claims = issuer.claims()
    name = chance.choice([*claims, "roles"])
    again = f"{json.dumps(name)}: {json.dumps(chance.choice([claims.get(name), 'other', 0]))}"
    text = json.dumps({"roles": ["viewer"], **claims})
    first, last = f"{{{again}, {text[1:]}", f"{text[:-1]}, {again}}}"
    return issuer.sign(chance.choice([first, last]))


def with_a_header_twice(issuer: Issuer, chance: Random) -> str:
    _, payload, signature = issuer.token("ec").split(".")
    name = chance.choice(["alg", "kid"])
    again = json.dumps(chance.choice(["none", "HS256", "ES256", "ec"]))
    header = f'{{"alg": "ES256", "kid": "ec", "{name}": {again}}}'
    return f"{encode(header)}.{payload}.{signature}"


def cut_off(issuer: Issuer, chance: Random) -> str:
    token = issuer.token("ec")
    return token[: chance.randrange(len(token))] if chance.random() < 0.7 else token[1:]


def with_a_wrong_digit(issuer: Issuer, chance: Random) -> str:
    parts = issuer.token(chance.choice(["ec", "ec", "ec", "rsa"])).split(".")
    part = chance.randrange(3)
    # Not the last digit, because some of its bits mean nothing.
    place = chance.randrange(len(parts[part]) - 1)
    digit = chance.choice([other for other in DIGITS if other != parts[part][place]])
    parts[part] = parts[part][:place] + digit + parts[part][place + 1 :]
    return ".".join(parts)


def with_parts_of_another(issuer: Issuer, chance: Random) -> str:
    mine, other = issuer.token("ec").split("."), issuer.token("ec", sub="admin").split(".")
    mine[1] = other[1]
    return ".".join(mine)


def nest(issuer: Issuer, chance: Random) -> str:
    inner = issuer.token("ec")
    payloads = [inner, json.dumps(inner), json.dumps([issuer.claims()]), "null", "7", "", "{"]
    payloads += ["[" * 5000, '{"a":' * 2000, "\ufeff", "{}", json.dumps({"token": inner})]
    return issuer.sign(chance.choice(payloads), cty=chance.choice([None, "JWT"]))


def huge(issuer: Issuer, chance: Random) -> str:
    claims = issuer.claims(padding="x" * chance.randrange(13_000, 60_000))
    return issuer.sign(json.dumps(claims))


def of_a_weak_or_foreign_purpose_key(issuer: Issuer, chance: Random) -> str:
    name = chance.choice(["for-encryption", "unpublished"])
    return forge(json.dumps(issuer.claims()), ATTACKER_EC, {"alg": "ES256", "kid": name})


def in_another_form(issuer: Issuer, chance: Random) -> str:
    header, payload, signature = issuer.token("ec").split(".")
    flat = {"protected": header, "payload": payload, "signature": signature}
    forms = [
        json.dumps(flat),
        json.dumps({"payload": payload, "signatures": [flat]}),
        f"{header}.{payload}.{signature}.",
        f".{header}.{payload}.{signature}",
        f"{header}..{signature}",
        f"{header}.{payload}.{signature}.{signature}.{signature}",
        f"{header}.{payload}.{signature}=",
        f"{header}=.{payload}.{signature}",
        f" {header}.{payload}.{signature}",
        f"{header}.{payload}.{signature}\n",
        f"{header}.{payload} .{signature}",
        f"Bearer {header}.{payload}.{signature}",
        f"{header}.{payload}.{signature}".replace(".", "\u3002"),
    ]
    return chance.choice(forms)


def noise(_: Issuer, chance: Random) -> str:
    raw = chance.randbytes(chance.randrange(200))
    texts = [raw.decode("latin-1"), encode(raw), ".".join([encode(raw)] * chance.randrange(1, 6))]
    return chance.choice(texts)


FORGERS: Final[tuple[Forger, ...]] = (
    unsigned, signed_with_the_public_key, under_another_algorithm, with_keys_of_the_attacker,
    with_a_strange_key_id, with_a_strange_header, with_a_wrong_claim, at_a_wrong_time,
    with_a_claim_twice, with_a_header_twice, cut_off, with_a_wrong_digit, with_parts_of_another,
    nest, huge, of_a_weak_or_foreign_purpose_key, in_another_form, noise,
)  # fmt: skip
