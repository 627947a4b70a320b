"""Secrets derived from one seed: stable, stored nowhere, rotated by raising a number."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from strata.model.certificates import Authority

AUTHORITY = "authority"
"""The owner of the key of the certificate authority."""

SEED_BYTES_MINIMUM = 16
"""NIST SP 800-108 asks for a key no weaker than what is derived from it; 128 bits is the floor."""


class DerivedSecrets:
    """The secrets of one stack.

    `generations` maps an owner to the generation of its secrets (1 where it is not named):
    raising it by one replaces the secret, and so just the services that use it.
    """

    def __init__(self, seed: bytes, stack: str, generations: Mapping[str, int]) -> None:
        if len(seed) < SEED_BYTES_MINIMUM:
            raise ValueError(f"the seed has {len(seed)} bytes, {SEED_BYTES_MINIMUM} is the least")
        self._seed = seed
        self._stack = stack
        self._generations = dict(generations)

    def password(self, owner: str) -> str:
        """A password of 43 characters of the URL-safe alphabet: 256 bits."""
        return base64.urlsafe_b64encode(self._derive("password", owner, 32)).decode().rstrip("=")

    def password_hash(self, owner: str) -> str:
        """The password as RabbitMQ's `rabbit_password_hashing_sha256` keeps it.

        Source: RabbitMQ, "Credentials and Passwords": 4 bytes of salt, then SHA-256 of salt and
        password, in base64. The salt is derived too, so that the same password gives the same
        file.
        """
        salt = self._derive("password-salt", owner, 4)
        digest = hashlib.sha256(salt + self.password(owner).encode()).digest()
        return base64.b64encode(salt + digest).decode()

    def certificate(self, owner: str, names: tuple[str, ...]) -> str:
        return self._authority().issue(names, self._key_seed(owner)).certificate_pem

    def private_key(self, owner: str, names: tuple[str, ...]) -> str:
        return self._authority().issue(names, self._key_seed(owner)).private_key_pem

    def authority_certificate(self) -> str:
        """The certificate (PEM) that a client trusts to trust the stack."""
        return self._authority().certificate_pem

    def fingerprint(self, content: str) -> str:
        """12 hex digits that change with `content` and tell nothing of it without the seed."""
        key = self._derive("fingerprint", "", 32)
        return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()[:12]

    def _authority(self) -> "Authority":
        return _authority(self._stack, self._derive("authority", AUTHORITY, 32))

    def _key_seed(self, owner: str) -> bytes:
        return self._derive("certificate", owner, 32)

    def _derive(self, purpose: str, owner: str, length_bytes: int) -> bytes:
        generation = self._generations.get(owner, 1)
        info = "\x00".join(("strata", self._stack, purpose, owner, str(generation))).encode()
        return HKDF(algorithm=SHA256(), length=length_bytes, salt=None, info=info).derive(
            self._seed
        )


@cache
def _authority(stack: str, key_seed: bytes) -> "Authority":
    # Imported here, so that a stack that issues no certificate does not pay for X.509.
    from strata.model.certificates import Authority

    return Authority(stack, key_seed)
