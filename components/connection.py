"""How an application reaches a datastore: where, as whom, and with which secret."""

from collections.abc import Mapping
from dataclasses import dataclass

from workload import Endpoint, File, Password, Text

SECRETS_FOLDER = "/run/secrets"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A datastore as its clients see it; `database` is None where the engine has none."""

    endpoint: Endpoint
    user: str | None
    database: str | None
    password: Password

    def environment(self, prefix: str) -> Mapping[str, Text]:
        """`<prefix>_HOST`, `_PORT`, `_USER`, `_NAME` and `_PASSWORD_FILE`, as far as they apply."""
        values = {
            "HOST": self.endpoint.host,
            "PORT": str(self.endpoint.number),
            "USER": self.user,
            "NAME": self.database,
            "PASSWORD_FILE": _password_path(prefix),
        }
        return {f"{prefix}_{key}": value for key, value in values.items() if value is not None}

    def file(self, prefix: str) -> File:
        """The file that `<prefix>_PASSWORD_FILE` names."""
        return File(path=_password_path(prefix), content=self.password)


def _password_path(prefix: str) -> str:
    return f"{SECRETS_FOLDER}/{prefix.lower().replace('_', '-')}-password"
