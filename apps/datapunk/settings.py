"""The environments of nexus and cortex."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from apps.application.settings import CacheSettings, ConsumerSettings
from apps.common.settings import (
    DatabaseSettings,
    MutualTlsListenSettings,
)
from apps.inference.settings import InferenceSettings


class ConsulSettings(BaseSettings):
    """Consul. Without `consul_host`, services are found by DNS alone. The password is an ACL token.
    `consul_ca_file`: the authority of its certificate, if it requires TLS. `consul_certificate_file`, with
    its key: the client's, if it requires one."""

    consul_host: str | None = None
    consul_port: int = 8500
    consul_password_file: Path = Path("/run/secrets/consul-password")
    consul_ca_file: Path | None = None
    consul_certificate_file: Path | None = None
    consul_private_key_file: Path | None = None


class NexusSettings(MutualTlsListenSettings, ConsulSettings):
    """Everything that nexus reads. `cortex_url`: cortex by DNS."""

    cortex_url: str = "https://cortex:8443"
    cortex_timeout_s: float = Field(default=20.0, gt=0)


class CortexSettings(
    MutualTlsListenSettings,
    InferenceSettings,
    DatabaseSettings,
    ConsumerSettings,
    CacheSettings,
    ConsulSettings,
):
    """Everything that cortex reads. `vector_cache`: the folder of the embeddings that were computed;
    it keeps the newest `vectors_max`, of 1.5 KiB each."""

    vector_cache: Path = Path("/vectors")
    vectors_max: int = Field(default=1_000_000, ge=1)
    model_config = SettingsConfigDict(protected_namespaces=())
