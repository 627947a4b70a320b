"""The certificate authority of a stack and the certificates it issues.

Keys are derived from the seed and signatures are deterministic, so a stack always has the same
certificates, byte for byte, and an update without changes changes nothing.
"""

import hashlib
import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 800
"""Below the 825 days that Apple's platforms accept (support.apple.com, HT210176)."""

# The group order of P-256 (NIST SP 800-186, section 3.2.1.3). A private key is in 1..order-1.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _key(seed: bytes) -> ec.EllipticCurvePrivateKey:
    # SHA-512 has 512 bits, so the remainder is practically uniform (FIPS 186-5, A.2.1).
    number = int.from_bytes(hashlib.sha512(seed).digest(), "big") % (_P256_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass(frozen=True)
class IssuedCertificate:
    certificate_pem: str
    private_key_pem: str = field(repr=False)


class CertificateAuthority:
    """The authority of one stack. Its private key is never stored."""

    def __init__(self, stack: str, key_seed: bytes, generation: int = 1) -> None:
        # A name of its own, so that a client that trusts two generations tells them apart.
        number = f" {generation}" if generation > 1 else ""
        self._key = _key(key_seed)
        self._name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Strata"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Strata {stack} authority{number}"),
            ]
        )
        public = self._key.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        self.certificate_pem = self._sign(
            self._name, public, AUTHORITY_DAYS, identifier, is_authority=True
        )

    def issue(
        self, names: tuple[str, ...], key_seed: bytes, *, for_client: bool = False
    ) -> IssuedCertificate:
        """A certificate for `names` (host names or addresses), of which the first is the
        subject. It is either for a server or for a client, and can't be used for the other."""
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if for_client else ExtendedKeyUsageOID.SERVER_AUTH
        key = _key(key_seed)
        # `names` may be empty until the stack reports it: a plan renders files before that.
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names[:1]]
        if for_client:
            # Serial numbers differ by subject.
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "client"))
        certificate_pem = self._sign(
            x509.Name(attributes),
            key.public_key(),
            CERTIFICATE_DAYS,
            x509.ExtendedKeyUsage([usage]),
            x509.SubjectAlternativeName([_general_name(name) for name in names]),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
            is_authority=False,
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return IssuedCertificate(certificate_pem + self.certificate_pem, private.decode())

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        days: int,
        *extensions: x509.ExtensionType,
        is_authority: bool,
    ) -> str:
        """A certificate as PEM. Clients may ignore `extensions`."""
        # The first update of a year renews the certificates.
        start = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)
        identity = f"{subject.rfc4514_string()}|{self._name.rfc4514_string()}|{start.isoformat()}"
        point = key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        serial = int.from_bytes(hashlib.sha256(identity.encode() + point).digest()[:16], "big") | 1
        constraints = x509.BasicConstraints(is_authority, path_length=0 if is_authority else None)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(constraints, critical=True)
            .add_extension(_usage(signs_certificates=is_authority), critical=True)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, SHA256(), ecdsa_deterministic=True)
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
