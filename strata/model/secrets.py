"""Secrets derived from one seed: stable, never stored, rotated by raising a generation."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    import pulumi

    from strata.model.certificates import CertificateAuthority, IssuedCertificate

AUTHORITY = "authority"
"""The owner of the key of the certificate authority."""

SEED_BYTES_MINIMUM = 16
"""NIST SP 800-108: a key must be at least as strong as what is derived from it; 128 bits here."""


class SecretMaterial:
    """The input of an encoder: the key material of one owner in its current generation."""

    def __init__(self, secrets: "DerivedSecrets", owner: str) -> None:
        self._secrets = secrets
        self._owner = owner

    def derive(self, purpose: str, length_bytes: int) -> bytes:
        """Bytes that are independent for each purpose."""
        return self._secrets.derive(purpose, self._owner, length_bytes)

    @property
    def password(self) -> str:
        """43 characters of the URL-safe alphabet: 256 bits."""
        return self.password_of()

    def password_of(self, user: str = "") -> str:
        """The password of a further user of the owner; "" is the user of `password`."""
        purpose = f"password of {user}" if user else "password"
        return base64.urlsafe_b64encode(self.derive(purpose, 32)).decode().rstrip("=")

    @property
    def authority_pem(self) -> str:
        """The certificate of the stack's authority."""
        return self._secrets.authority.certificate_pem

    def issue(self, names: tuple[str, ...], *, for_client: bool = False) -> "IssuedCertificate":
        """A certificate for these host names, issued by the stack's authority, with its key."""
        return self._secrets.authority.issue(
            names, self.derive("certificate", 32), for_client=for_client
        )


Encoder = Callable[[SecretMaterial], str]
"""Formats a secret. An encoder that only one engine needs lives in that engine's file."""


def password(material: SecretMaterial) -> str:
    return material.password


@dataclass(frozen=True)
class UserPassword:
    """The encoder of the password of a further user of a datastore, such as its exporter."""

    user: str

    def __call__(self, material: SecretMaterial) -> str:
        return material.password_of(self.user)


def _authority_pem(material: SecretMaterial) -> str:
    return material.authority_pem


@dataclass(frozen=True)
class Issued:
    """The encoder of what the stack's authority issues for host names: one of two PEMs."""

    names: tuple[str, ...]
    pem: Literal["certificate_pem", "private_key_pem"]
    for_client: bool = False

    def __call__(self, material: SecretMaterial) -> str:
        return str(getattr(material.issue(self.names, for_client=self.for_client), self.pem))


@dataclass(frozen=True)
class Secret:
    """A value derived from the seed of the stack for `owner`: a password, unless `encode` says
    otherwise. `strata:secretGenerations.OWNER` rotates it. A `public` one may be shown."""

    owner: str
    encode: Encoder = password
    public: bool = False

    @property
    def is_issued(self) -> bool:
        """Whether the stack's authority issues the secret."""
        return isinstance(self.encode, Issued)


def certificate(owner: str, names: tuple[str, ...]) -> Secret:
    """The certificate for these host names and that of the authority, as PEM."""
    return Secret(owner, Issued(names, "certificate_pem"), public=True)


def client_certificate(owner: str) -> Secret:
    """The certificate by which a service proves to servers that it is `owner`, as PEM."""
    return Secret(owner, Issued((owner,), "certificate_pem", for_client=True), public=True)


def private_key(owner: str, names: tuple[str, ...]) -> Secret:
    """The private key (PEM) that belongs to `certificate(owner, names)`, and to
    `client_certificate(owner)`."""
    return Secret(owner, Issued(names, "private_key_pem"))


def authority_certificate() -> Secret:
    """The certificate (PEM) of the stack's authority, by which clients verify servers."""
    return Secret(AUTHORITY, _authority_pem, public=True)


class DerivedSecrets:
    """The secrets of one stack.

    `generations` maps an owner to the generation of its secrets (1 by default): raising it by one
    replaces the secret, and with it only the services that use it.
    """

    def __init__(self, seed: bytes, stack: str, generations: Mapping[str, int]) -> None:
        if len(seed) < SEED_BYTES_MINIMUM:
            raise ValueError(f"the seed has {len(seed)} bytes, the minimum is {SEED_BYTES_MINIMUM}")
        self._seed = seed
        self._stack = stack
        self._generations = dict(generations)

    def encode(self, secret: Secret) -> str:
        return secret.encode(SecretMaterial(self, secret.owner))

    @property
    def authority(self) -> "CertificateAuthority":
        return _authority(self._stack, self.derive("authority", AUTHORITY, 32))

    def fingerprint(self, content: str) -> str:
        """12 hex digits that depend on `content` and, without the seed, reveal nothing about it."""
        key = self.derive("fingerprint", "", 32)
        return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()[:12]

    def fingerprint_of(
        self, contents: Mapping[str, "pulumi.Input[str]"], describe: Callable[[dict[str, str]], Any]
    ) -> "pulumi.Input[str]":
        """The fingerprint of the JSON value that `describe` makes of files' contents."""

        def of(resolved: dict[str, str]) -> str:
            return self.fingerprint(json.dumps(describe(resolved), sort_keys=True))

        plain = {name: text for name, text in contents.items() if isinstance(text, str)}
        if len(plain) == len(contents):
            return of(plain)
        import pulumi

        resolved = pulumi.Output.all(*contents.values()).apply(
            lambda values: of(dict(zip(contents, map(str, values), strict=True)))
        )
        # It reveals nothing, and names what the files are in.
        return pulumi.Output.unsecret(resolved)

    def derive(self, purpose: str, owner: str, length_bytes: int) -> bytes:
        generation = self._generations.get(owner, 1)
        info = "\x00".join(("strata", self._stack, purpose, owner, str(generation))).encode()
        return HKDF(algorithm=SHA256(), length=length_bytes, salt=None, info=info).derive(
            self._seed
        )


@cache
def _authority(stack: str, key_seed: bytes) -> "CertificateAuthority":
    # Imported late: most stacks issue no certificates, and X.509 is slow to import.
    from strata.model.certificates import CertificateAuthority

    return CertificateAuthority(stack, key_seed)
