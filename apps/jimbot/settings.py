"""The environment of the MCP server."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from apps.common.settings import ListenSettings


class QuestdbSettings(BaseSettings):
    """QuestDB's HTTP port."""

    questdb_host: str = "questdb"
    questdb_port: int = 9000
    questdb_user: str = "strata"
    questdb_password_file: Path = Path("/run/secrets/questdb-password")


class EventstoreSettings(BaseSettings):
    """EventStore. Without a host, it isn't part of the stack."""

    eventstore_host: str | None = None
    eventstore_port: int = 2113


class MemgraphSettings(BaseSettings):
    """Memgraph. Without a host, it isn't part of the stack."""

    memgraph_host: str | None = None
    memgraph_port: int = 7687
    memgraph_user: str = "strata"
    memgraph_password_file: Path = Path("/run/secrets/memgraph-password")
    memgraph_ca_file: Path = Path("/run/secrets/memgraph-ca.pem")


class RaySettings(BaseSettings):
    """The jobs of a Ray cluster. The password is its token."""

    ray_host: str = "ray-head"
    ray_port: int = 8265
    ray_password_file: Path = Path("/run/secrets/ray-password")


class ServerSettings(
    ListenSettings, QuestdbSettings, EventstoreSettings, MemgraphSettings, RaySettings
):
    """Everything that the server reads. `mcp_allowed_hosts`: the values of the header Host that it
    answers, comma-separated; `:*` is any port. A web page whose name was rebound to this server's
    address (DNS rebinding) sends another one."""

    mcp_allowed_hosts: str = Field(default="127.0.0.1:*,localhost:*", min_length=1)
