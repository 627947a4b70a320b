"""Mutual TLS: the files by which a service proves its name, and verifies others.

A service has one private key, whose certificates are derived from the seed: one for its host names,
which only a server can use, and one for its name, which only a client can use.
"""

from strata.model import File, authority_certificate, certificate, client_certificate, private_key

FOLDER = "/run/secrets"
CA_FILE = f"{FOLDER}/ca.pem"
CERTIFICATE_FILE = f"{FOLDER}/certificate.pem"
CLIENT_CERTIFICATE_FILE = f"{FOLDER}/client-certificate.pem"
PRIVATE_KEY_FILE = f"{FOLDER}/private-key.pem"


def tls_files(
    name: str, *, server: bool = False, client: bool = False, for_replicas: bool = False
) -> tuple[File, ...]:
    """The files of service `name`, as a server, a client or both. `for_replicas`: each replica is a server
    with a host name of its own."""
    if not (server or client):
        return ()
    certificates = {}
    if server:
        certificates[CERTIFICATE_FILE] = certificate(name, (name,), for_replicas=for_replicas)
    if client:
        certificates[CLIENT_CERTIFICATE_FILE] = client_certificate(name)
    certificates[PRIVATE_KEY_FILE] = private_key(name, (name,))
    certificates[CA_FILE] = authority_certificate()
    return tuple(File(path=path, content=content) for path, content in certificates.items())
