"""What the tests of managed datastores have in common: the name and host of one, and its secrets."""

from strata.model import RenderContext, Secret, UserPassword, authority_certificate
from strata.model.secrets import DerivedSecrets

NAME, HOST = "orders", "localhost"


def secrets_of(generation: int) -> DerivedSecrets:
    """Those of a stack in which the datastore has this generation."""
    return DerivedSecrets(b"a seed that only tests use", "test", {NAME: generation})


def password(secrets: DerivedSecrets, user: str = "") -> str:
    """That of a user; "" is the application's."""
    return secrets.encode(Secret(NAME, UserPassword(user)) if user else Secret(NAME))


def context(secrets: DerivedSecrets) -> RenderContext:
    """What the files and variables of its set-up job are rendered with."""
    return RenderContext(
        addresses=lambda _: (),
        secrets=secrets,
        name_server="",
        stack="test",
        memory_mib=64,
        cpu=1,
        managed_hosts={NAME: HOST},
        managed_authorities={NAME: secrets.encode(authority_certificate())},
    )
