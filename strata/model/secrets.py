"""Secrets derived from one seed: stable, never stored, rotated by raising a generation."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
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

    def __init__(
        self, secrets: "DerivedSecrets", owner: str, replica_hosts: Sequence[str] = ()
    ) -> None:
        self._secrets = secrets
        self._owner = owner
        self.replica_hosts = tuple(replica_hosts)
        """The host names of the replicas of the service that has the secret."""

    def derive(self, purpose: str, length_bytes: int, *, rotations_ago: int = 0) -> bytes:
        """Bytes that are independent for each purpose. `rotations_ago`: those of an earlier generation;
        a `ValueError` if there was none."""
        return self._secrets.derive(purpose, self._owner, length_bytes, rotations_ago=rotations_ago)

    @property
    def password(self) -> str:
        """43 characters of the URL-safe alphabet: 256 bits."""
        return self.password_of()

    def password_of(self, user: str = "", *, rotations_ago: int = 0) -> str:
        """The password of a further user of the owner; "" is the user of `password`."""
        purpose = f"password of {user}" if user else "password"
        derived = self.derive(purpose, 32, rotations_ago=rotations_ago)
        return base64.urlsafe_b64encode(derived).decode().rstrip("=")

    @property
    def trusted_pem(self) -> str:
        """The certificates of the authorities that the services of the stack trust."""
        return self._secrets.trusted_pem

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


def _trusted_pem(material: SecretMaterial) -> str:
    return material.trusted_pem


@dataclass(frozen=True)
class Issued:
    """The encoder of what the stack's authority issues for host names: one of two PEMs."""

    names: tuple[str, ...]
    pem: Literal["certificate_pem", "private_key_pem"]
    for_client: bool = False
    for_replicas: bool = False

    def __call__(self, material: SecretMaterial) -> str:
        names = (*self.names, *(material.replica_hosts if self.for_replicas else ()))
        return str(getattr(material.issue(names, for_client=self.for_client), self.pem))


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


def certificate(owner: str, names: tuple[str, ...], *, for_replicas: bool = False) -> Secret:
    """The certificate for these host names and that of the authority, as PEM. `for_replicas`: also for
    the host name of each replica of the service that has the file."""
    return Secret(owner, Issued(names, "certificate_pem", for_replicas=for_replicas), public=True)


def client_certificate(owner: str) -> Secret:
    """The certificate by which a service proves to servers that it is `owner`, as PEM."""
    return Secret(owner, Issued((owner,), "certificate_pem", for_client=True), public=True)


def private_key(owner: str, names: tuple[str, ...]) -> Secret:
    """The private key (PEM) that belongs to `certificate(owner, names)`, and to
    `client_certificate(owner)`."""
    return Secret(owner, Issued(names, "private_key_pem"))


def authority_certificate() -> Secret:
    """The certificates (PEM) by which a service verifies others: that of the stack's authority, of its
    next generation and of the one before. So services trust each other while an update replaces the
    authority."""
    return Secret(AUTHORITY, _trusted_pem, public=True)


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

    def encode(self, secret: Secret, replica_hosts: Sequence[str] = ()) -> str:
        """The value. `replica_hosts`: see `SecretMaterial`."""
        return secret.encode(SecretMaterial(self, secret.owner, replica_hosts))

    @property
    def authority(self) -> "CertificateAuthority":
        return self._authority(self._generation(AUTHORITY))

    @property
    def trusted_pem(self) -> str:
        """See `authority_certificate`."""
        present = self._generation(AUTHORITY)
        # All keys derive from one seed and none is stored, so whoever has the next one has this one.
        generations = [present, present + 1, *([present - 1] if present > 1 else [])]
        return "".join(self._authority(each).certificate_pem for each in generations)

    def _authority(self, generation: int) -> "CertificateAuthority":
        return _authority(
            self._stack, self._derive("authority", AUTHORITY, generation, 32), generation
        )

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

    def derive(
        self, purpose: str, owner: str, length_bytes: int, *, rotations_ago: int = 0
    ) -> bytes:
        generation = self._generation(owner) - rotations_ago
        if generation < 1:
            raise ValueError(f"{owner} has no secret before its first")
        return self._derive(purpose, owner, generation, length_bytes)

    def _generation(self, owner: str) -> int:
        return self._generations.get(owner, 1)

    def _derive(self, purpose: str, owner: str, generation: int, length_bytes: int) -> bytes:
        info = "\x00".join(("strata", self._stack, purpose, owner, str(generation))).encode()
        return HKDF(algorithm=SHA256(), length=length_bytes, salt=None, info=info).derive(
            self._seed
        )


@cache
def _authority(stack: str, key_seed: bytes, generation: int) -> "CertificateAuthority":
    # Imported late: most stacks issue no certificates, and X.509 is slow to import.
    from strata.model.certificates import CertificateAuthority

    return CertificateAuthority(stack, key_seed, generation)
