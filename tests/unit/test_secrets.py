"""Secrets: stable, distinct, rotated by a number, and never shown."""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID

from strata.components.engines.postgres import ScramVerifier, scram_verifier
from strata.components.engines.rabbitmq import PasswordHash
from strata.model import (
    Secret,
    UserPassword,
    authority_certificate,
    certificate,
    client_certificate,
    is_secret,
    private_key,
)
from strata.model.secrets import DerivedSecrets, SecretMaterial

SEED = b"0123456789abcdef0123456789abcdef"
NAMES = ("localhost", "127.0.0.1")


def secrets(stack: str = "dev", **generations: int) -> DerivedSecrets:
    return DerivedSecrets(SEED, stack, generations)


def test_a_password_is_the_same_each_time_and_differs_by_owner_stack_and_seed() -> None:
    assert secrets().encode(Secret("a")) == secrets().encode(Secret("a"))
    others = {
        secrets().encode(Secret("b")),
        secrets("prod").encode(Secret("a")),
        DerivedSecrets(SEED[::-1], "dev", {}).encode(Secret("a")),
    }
    assert secrets().encode(Secret("a")) not in others
    assert len(others) == 3


def test_raising_the_generation_changes_the_secrets_of_that_owner_only() -> None:
    rotated = secrets(a=2)
    assert rotated.encode(Secret("a")) != secrets().encode(Secret("a"))
    assert rotated.encode(Secret("b")) == secrets().encode(Secret("b"))
    assert secrets(a=1).encode(Secret("a")) == secrets().encode(Secret("a"))


def test_a_password_has_256_bits_and_no_character_that_a_configuration_would_take_amiss() -> None:
    password = secrets().encode(Secret("a"))
    assert len(password) == 43
    assert set(password) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_the_hash_is_what_rabbitmq_checks() -> None:
    raw = base64.b64decode(secrets().encode(Secret("mq", PasswordHash())))
    salt, digest = raw[:4], raw[4:]
    assert digest == hashlib.sha256(salt + secrets().encode(Secret("mq")).encode()).digest()


def test_the_verifier_is_what_postgresql_checks() -> None:
    """The exchange of RFC 7677, section 3: the server checks the client's proof, and proves itself."""
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    exchange = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={salt},i=4096,c=biws,r={nonce}".encode()
    verifier = scram_verifier("pencil", base64.b64decode(salt))
    match = re.fullmatch(r"SCRAM-SHA-256\$4096:(.+)\$(.+):(.+)", verifier)
    assert match is not None
    assert match[1] == salt
    stored_key, server_key = base64.b64decode(match[2]), base64.b64decode(match[3])
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(stored_key, exchange, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key
    of_server = base64.b64encode(hmac.digest(server_key, exchange, "sha256")).decode()
    assert of_server == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_each_user_of_a_datastore_has_a_password_that_is_rotated_with_it() -> None:
    users = [Secret("db"), Secret("db", UserPassword("a")), Secret("db", UserPassword("b"))]
    passwords = {derived.encode(user) for derived in (secrets(), secrets(db=2)) for user in users}
    assert len(passwords) == 6


def test_a_short_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes, the minimum is 16"):
        DerivedSecrets(b"short", "dev", {})


def test_a_certificate_is_the_same_each_time_and_valid_for_its_names() -> None:
    pem = secrets().encode(certificate("gateway", NAMES))
    assert pem == secrets().encode(certificate("gateway", NAMES))
    leaf, authority = x509.load_pem_x509_certificates(pem.encode())
    assert authority == x509.load_pem_x509_certificate(secrets().authority.certificate_pem.encode())
    leaf.verify_directly_issued_by(authority)
    extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    assert [str(name.value) for name in extension.value] == list(NAMES)
    now = datetime.now(UTC)
    assert leaf.not_valid_before_utc <= now
    assert now + timedelta(days=365) < leaf.not_valid_after_utc
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=825)


def test_the_private_key_belongs_to_the_certificate() -> None:
    key = serialization.load_pem_private_key(
        secrets().encode(private_key("gateway", NAMES)).encode(), None
    )
    leaf = x509.load_pem_x509_certificates(
        secrets().encode(certificate("gateway", NAMES)).encode()
    )[0]
    assert key.public_key() == leaf.public_key()


def test_a_client_certificate_is_no_server_certificate_and_has_the_same_key() -> None:
    server, client = (
        x509.load_pem_x509_certificates(secrets().encode(secret).encode())[0]
        for secret in (certificate("nexus", ("nexus",)), client_certificate("nexus"))
    )
    usages = [
        [
            usage._name
            for usage in each.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        ]
        for each in (server, client)
    ]
    assert usages == [["serverAuth"], ["clientAuth"]]
    assert server.public_key() == client.public_key()
    assert server.serial_number != client.serial_number


def test_a_service_trusts_the_next_authority_and_the_one_before() -> None:
    def trusted(generation: int) -> list[str]:
        pem = secrets(authority=generation).encode(authority_certificate())
        return [
            each.subject.rfc4514_string().split(",")[0].removeprefix("CN=Strata dev authority")
            for each in x509.load_pem_x509_certificates(pem.encode())
        ]

    assert trusted(1) == ["", " 2"]
    assert trusted(2) == [" 2", " 3", ""]
    assert trusted(3) == [" 3", " 4", " 2"]
    first, second = (secrets(authority=generation).authority for generation in (1, 2))
    assert second.certificate_pem in secrets().encode(authority_certificate())
    assert first.certificate_pem in secrets(authority=2).encode(authority_certificate())


def test_a_certificate_can_be_for_the_replicas_that_have_it() -> None:
    secret = certificate("redis", ("redis",), for_replicas=True)
    pem = secrets().encode(secret, ["redis-0", "redis-1"])
    leaf = x509.load_pem_x509_certificates(pem.encode())[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["redis", "redis-0", "redis-1"]


def test_all_certificates_expire_at_once() -> None:
    """So the alert for the gateway's certificate covers the others."""
    ends = {
        x509.load_pem_x509_certificates(secrets(authority=2).encode(each).encode())[
            0
        ].not_valid_after_utc
        for each in (certificate("gateway", NAMES), client_certificate("nexus"))
    }
    assert len(ends) == 1


def test_a_fingerprint_changes_with_the_content_and_with_the_seed() -> None:
    assert secrets().fingerprint("x") == secrets().fingerprint("x")
    assert secrets().fingerprint("x") != secrets().fingerprint("y")
    assert secrets().fingerprint("x") != DerivedSecrets(SEED[::-1], "dev", {}).fingerprint("x")


def test_an_encoder_makes_what_it_likes_of_the_material_of_its_owner() -> None:
    def pin(material: SecretMaterial) -> str:
        return str(int.from_bytes(material.derive("pin", 2), "big"))

    assert secrets().encode(Secret("a", pin)) == secrets().encode(Secret("a", pin))
    others = [
        secrets(a=2).encode(Secret("a", pin)),
        secrets().encode(Secret("b", pin)),
        secrets("prod").encode(Secret("a", pin)),
    ]
    assert secrets().encode(Secret("a", pin)) not in others


def test_what_is_derived_for_one_purpose_tells_nothing_of_another() -> None:
    material = SecretMaterial(secrets(), "a")
    assert material.derive("password", 32) != material.derive("salt", 32)
    assert len(material.derive("salt", 4)) == 4


@pytest.mark.parametrize(
    ("secret", "is_issued", "public"),
    [
        (Secret("a"), False, False),
        (Secret("a", PasswordHash()), False, False),
        (Secret("a", UserPassword("b")), False, False),
        (Secret("a", ScramVerifier("b")), False, False),
        (authority_certificate(), False, True),
        (Secret("a", public=True), False, True),
        (certificate("a", NAMES), True, True),
        (private_key("a", NAMES), True, False),
    ],
)
def test_every_derived_value_is_a_secret_of_one_type(
    secret: Secret, is_issued: bool, public: bool
) -> None:
    assert (secret.is_issued, secret.public) == (is_issued, public)
    assert is_secret(("a text with ", secret)) is not public
    assert secret == Secret(secret.owner, secret.encode, public), "secrets are compared by value"
    assert len(secrets().encode(secret)) > 40


def test_a_certificate_without_names_is_no_traceback() -> None:
    # The stack reports the missing names, after a platform has rendered the file.
    assert secrets().encode(certificate("gateway", ())).startswith("-----BEGIN CERTIFICATE")
