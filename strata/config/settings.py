"""The settings of a stack. Each is a key of Pulumi.<stack>.yaml; docs/settings.md lists them."""

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from strata.config.aws import AwsSettings
from strata.config.base import BaseSettings
from strata.config.secrets import ExternalSecretSettings
from strata.model import DeletionPolicy, GpuMode, GpuSharing, Zone
from strata.model.network import LOOPBACK

SecretName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
Certificate = Annotated[str, Field(pattern="^-----BEGIN CERTIFICATE-----\n")]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Cores = Annotated[float, Field(gt=0)]
MemoryMib = Annotated[int, Field(ge=1)]


class PlatformName(StrEnum):
    """Where a stack runs."""

    DOCKER = "docker"
    """The Docker engine of this machine."""
    EKS = "eks"
    """A cluster on AWS that the stack creates."""
    KUBERNETES = "kubernetes"
    """An existing cluster, through a kubeconfig."""


class ImageSource(StrEnum):
    """Where images come from."""

    AUTO = "auto"
    """`upstream` if the registry is reachable, otherwise `local`."""
    LOCAL = "local"
    """Built on this machine from Debian packages."""
    UPSTREAM = "upstream"
    """Engines pulled by digest; our own images built on a pulled Debian image."""


class Ports(BaseSettings):
    """The ports on 127.0.0.1: `http` and `https` of the gateway (`https` on `gateway.address`),
    `dashboards`, `logs` and `traces` of the observability stack."""

    http: PortNumber = 8080
    https: PortNumber = 8443
    dashboards: PortNumber = 8428
    logs: PortNumber = 9428
    traces: PortNumber = 16686


class GatewayEngine(StrEnum):
    """The program that a gateway runs."""

    NGINX = "nginx"
    TRAEFIK = "traefik"


LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class Acme(BaseSettings):
    """A certificate for `domain` from an ACME server (RFC 8555), on Docker. `email`: of the account.
    `server`: the URL of its directory. `authority`: the certificate (PEM) that verifies the server's
    own, if it isn't publicly trusted."""

    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    server: Annotated[str, Field(pattern=r"^https://[^\s/]+/\S+$")] = LETS_ENCRYPT
    authority: Certificate | None = None


class Oidc(BaseSettings):
    """Logins at an OpenID provider.

    `issuer`: the provider's URL. `client_id`: of the gateway at the provider. `client_secret`: the name of
    its secret in `strata:secrets`. Only users with an e-mail address of `email_domains` and in one of
    `groups` are accepted; one of the two may be empty. `scopes`: what the gateway asks the provider for. A
    login ends after `hours`. `authority`: the certificate (PEM) that verifies the provider, if it isn't
    publicly trusted.
    """

    issuer: Annotated[str, Field(pattern=r"^https://[^\s/]+(/\S*)?$")]
    client_id: Annotated[str, Field(pattern=r"^\S+$")]
    client_secret: SecretName
    email_domains: tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")], ...] = ()
    groups: tuple[Annotated[str, Field(pattern=r"^[^\s,][^,]*$")], ...] = ()
    scopes: tuple[Annotated[str, Field(pattern=r"^\S+$")], ...] = ("openid", "email", "profile")
    hours: Annotated[int, Field(ge=1, le=168)] = 12
    authority: Certificate | None = None


API_KEY = re.compile(r"[A-Za-z0-9._~+/=-]{32,128}")
"""It is part of the gateways' configuration files, in quotes."""
API_KEY_FORM = "must have 32 to 128 of A-Z, a-z, 0-9 and . _ ~ + / = -"


def _is_key(value: SecretStr) -> SecretStr:
    if not API_KEY.fullmatch(value.get_secret_value()):
        raise ValueError(API_KEY_FORM)
    return value


class GatewayClient(BaseSettings):
    """Who may use the gateways, with an API key.

    The key derives from the seed, for the owner `client-NAME` of `secret_generations`. With
    `accept_previous`, the gateways also accept the key of the generation before. `keys`: keys that are
    accepted instead; set them with `pulumi config set --secret`. `secret`: the name of one in `secrets`.
    """

    keys: tuple[Annotated[SecretStr, AfterValidator(_is_key)], ...] = ()
    secret: SecretName | None = None
    accept_previous: bool = False


def _is_client_name(value: str) -> str:
    # It is part of the name of a file, and of a header.
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise ValueError(f"{value!r} isn't a valid name: use at most 63 of a-z, 0-9 and '-'")
    return value


ClientName = Annotated[str, AfterValidator(_is_client_name)]


class GatewaySettings(BaseSettings):
    """The gateways of a stack. With `clients`, by name, they require API keys; with `oidc`, logins; with
    both, one of the two. `address`, on Docker: the address of this machine that HTTPS is published on;
    other machines can reach it, so it requires one of the two."""

    engine: GatewayEngine = GatewayEngine.NGINX
    acme: Acme | None = None
    clients: dict[ClientName, GatewayClient] = Field(default_factory=dict)
    oidc: Oidc | None = None
    address: IPv4Address = IPv4Address(LOOPBACK)


def _is_zone_range(value: IPv4Network) -> IPv4Network:
    if not 16 <= value.prefixlen <= 28 or not value.is_private:
        raise ValueError("must be a private range with a prefix of 16 to 28, such as 172.22.0.0/24")
    return value


class Network(BaseSettings):
    """`range`: the private /16 that contains all networks of the stack.

    Defaults to a /16 of 10.128.0.0/9, selected by the name of the stack. `zones`: ranges of their own,
    by zone; the networks of the services in the zone are there instead.
    """

    range: IPv4Network | None = None
    zones: dict[Zone, Annotated[IPv4Network, AfterValidator(_is_zone_range)]] = Field(
        default_factory=dict
    )

    @field_validator("range")
    @classmethod
    def _is_large_enough(cls, value: IPv4Network | None) -> IPv4Network | None:
        if value is not None and (value.prefixlen != 16 or not value.is_private):
            raise ValueError("must be a private range with a prefix of 16, such as 10.200.0.0/16")
        return value


class GpuSettings(BaseSettings):
    """The GPU request that a system passes to its GPU services; see strata/model/gpu.py."""

    mode: GpuMode = GpuMode.PREFER
    count: Annotated[int, Field(ge=1)] = 1
    device_ids: tuple[str, ...] = ()
    memory_mib: Annotated[int, Field(ge=1)] | None = None
    sharing: GpuSharing = GpuSharing.EXCLUSIVE
    mig_profile: str | None = None
    capabilities: tuple[
        Literal["compute", "utility", "graphics", "video", "display", "compat32"], ...
    ] = ("compute", "utility")


class Host(BaseSettings):
    """`reserved_memory_mib`: memory reserved for the system. Default: 10%, at least 1024 MiB."""

    reserved_memory_mib: Annotated[int, Field(ge=0)] | None = None


class VolumeSettings(BaseSettings):
    """Overrides for one volume of a service. `size_gib`: on Kubernetes the size of its claim, on Docker its
    quota. `storage_class` applies on Kubernetes, `folder` on Docker: an existing folder of the host, which
    holds the volume's data. `deletion_policy`: what a destroy does to it. `tmpfs_mib`, for development on Docker:
    it is in memory, of this size."""

    size_gib: Annotated[int, Field(ge=1)] | None = None
    storage_class: str | None = None
    folder: str | None = None
    deletion_policy: DeletionPolicy | None = None
    tmpfs_mib: MemoryMib | None = None


InstanceClass = Annotated[
    str, Field(pattern=r"^((db|cache|mq)\.[a-z0-9-]+\.[a-z0-9]+|[a-z0-9-]+\.[a-z0-9]+\.search)$")
]


class ManagedSettings(BaseSettings):
    """A managed service of AWS that takes the place of a datastore's container, on EKS.

    `instance_class`: of each of its instances, such as `db.m7g.large`. `storage_gib`: of PostgreSQL, and of
    each node of OpenSearch. `replicas`: copies in other zones, one of which takes over if the primary fails.
    A missing key is the engine's default.
    """

    instance_class: InstanceClass | None = None
    storage_gib: Annotated[int, Field(ge=20, le=65536)] | None = None
    replicas: Annotated[int, Field(ge=1, le=5)] | None = None


class BackupBucket(BaseSettings):
    """A bucket of S3, or of a store with its API. It has to exist.

    `endpoint`: the URL of the store, that of S3 in `region` if there is none. `prefix`: the folder in the
    bucket, by default the name of the stack. `access_key` and `secret_key`: the names of its ID and of the
    key itself in `strata:secrets`. Without them, on EKS and for S3 itself, the datastore's pods have a role
    with access to the folder. `authority`: the certificate (PEM) that verifies the store, if it isn't
    publicly trusted. `ranges` (CIDR), on Kubernetes: the addresses of the store, the only ones that the
    datastore reaches; required unless the endpoint is an address.
    """

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    endpoint: Annotated[str, Field(pattern=r"^https://[a-z0-9.-]+(:\d{1,5})?$")] | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")] | None = None
    access_key: SecretName | None = None
    secret_key: SecretName | None = None
    authority: Certificate | None = None
    ranges: tuple[IPv4Network, ...] = ()

    @model_validator(mode="after")
    def _has_both_keys_or_neither(self) -> "BackupBucket":
        given = {"accessKey": self.access_key, "secretKey": self.secret_key}
        missing = [name for name, value in given.items() if value is None]
        if len(missing) == 1:
            raise PydanticCustomError(
                "missing", f"{missing[0]} is missing, and the other part is set"
            )
        if missing and self.endpoint:
            raise PydanticCustomError(
                "missing",
                "accessKey and secretKey are missing, and a store with an endpoint needs them",
            )
        return self

    @property
    def keys(self) -> tuple[str, str] | None:
        """The names of both parts of the key."""
        if self.access_key is None or self.secret_key is None:
            return None
        return self.access_key, self.secret_key


class BackupSettings(BaseSettings):
    """Continuous backups of a datastore: a full one every `full_days`, and one of the changes since every
    `incremental_hours`. `fulls_kept` full ones are kept, with everything since the oldest of them. Every
    `verification_days`, the newest one is restored beside the data and checked. They are in a volume, or
    in the bucket `s3`."""

    full_days: Annotated[int, Field(ge=1)] = 7
    incremental_hours: Annotated[int, Field(ge=1)] = 24
    fulls_kept: Annotated[int, Field(ge=1)] = 2
    verification_days: Annotated[int, Field(ge=1)] = 7
    s3: BackupBucket | None = None


class ServiceSettings(BaseSettings):
    """Overrides for one service or job. A missing key keeps the component's value.

    `enabled` adds it to the stack or leaves it out, whatever its profiles; without it, its clients get
    neither a link nor variables nor files for it. `image` replaces its image, on GPUs too. `environment`
    is merged into the component's variables.
    `volumes` is keyed by the name of a volume. `managed` replaces a datastore by a managed service, on
    EKS. `backup` backs a datastore up continuously, where its engine can. `ready_within_seconds` is how long
    the service may take to become healthy, and to be unhealthy before it is restarted. For development on Docker:
    `develop` mounts its source, and a change restarts its program; `debug_port` is where its debugger
    listens, on 127.0.0.1; `ports` publishes ports of the service there, by their name.
    """

    enabled: bool | None = None
    develop: bool | None = None
    debug_port: PortNumber | None = None
    ports: dict[str, PortNumber] | None = None
    image: str | None = None
    environment: dict[str, str] | None = None
    volumes: dict[str, VolumeSettings] | None = None
    managed: ManagedSettings | None = None
    backup: BackupSettings | None = None
    memory_mib: MemoryMib | None = None
    cpu: Cores | None = None
    cpu_reserved: Cores | None = None
    cpu_set: Annotated[str, Field(pattern=r"^\d+(-\d+)?(,\d+(-\d+)?)*$")] | None = None
    shared_memory_mib: Annotated[int, Field(ge=1)] | None = None
    replicas: Annotated[int, Field(ge=1)] | None = None
    replicas_maximum: Annotated[int, Field(ge=1, le=1000)] | None = None
    ready_within_seconds: Annotated[int, Field(ge=1)] | None = None


class LoadBalancer(BaseSettings):
    """The load balancer of a stack on Kubernetes.

    By default it is internal: reachable only from the cluster's network and peered networks.
    `public` gives it public addresses. Only `ranges` (CIDR) may connect. They default to the
    private ranges, and are required for a public load balancer.
    """

    public: bool = False
    ranges: tuple[IPv4Network, ...] = ()


class KubernetesSettings(BaseSettings):
    """`context`: a context of the kubeconfig (KUBECONFIG, or ~/.kube/config). Default: the current
    one. `registry`: where `make push` put our own images, such as `registry.example.com/strata`.
    `architecture`: pods run only on nodes that have it; by default on any node."""

    context: str | None = None
    registry: str | None = None
    architecture: Literal["amd64", "arm64"] | None = None


class Mail(BaseSettings):
    """Alerts by mail. `smarthost`: HOST:PORT of the mail server."""

    to: str
    sender: str
    smarthost: Annotated[str, Field(pattern=r"^[^:\s]+:\d+$")]
    username: str | None = None
    password: SecretStr | None = None


class Receivers(BaseSettings):
    """Who is told about alerts; several may be set. URLs and keys are secrets: set them with
    `pulumi config set --secret`.

    `webhook_url` receives Alertmanager's JSON. `slack_url` is an incoming webhook of Slack,
    `pagerduty_key` an integration key of PagerDuty (Events API v2).
    """

    webhook_url: SecretStr | None = None
    slack_url: SecretStr | None = None
    pagerduty_key: SecretStr | None = None
    mail: Mail | None = None


class Remote(BaseSettings):
    """An endpoint outside of the stack, by HTTP. `username` and `password`: of basic authentication;
    set the password with `pulumi config set --secret`."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")]
    username: str | None = None
    password: SecretStr | None = None


class ObservabilitySettings(BaseSettings):
    """What the observability stack collects, where, and for how long it keeps it.

    `logs` and `dashboards` disable these parts. `remote_write` (Prometheus), `loki` (on Kubernetes) and
    `otlp` (traces, with their profile) receive metrics, logs and traces outside of the stack, instead
    of its own stores of logs and traces, and of Mimir. `scrape_interval_seconds`: how often metrics are
    read and alerts evaluated. `metrics_days` and `logs_days`: the retention. The oldest logs are also
    deleted once all take more than `logs_mib`. `gpu_dollars_per_hour`: the price of one GPU, for the
    cost of idle ones.
    """

    enabled: bool = True
    logs: bool = True
    dashboards: bool = True
    remote_write: Remote | None = None
    loki: Remote | None = None
    otlp: Remote | None = None
    scrape_interval_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    metrics_days: Annotated[int, Field(ge=1)] = 15
    logs_days: Annotated[int, Field(ge=1)] = 7
    logs_mib: Annotated[int, Field(ge=256)] = 2048
    gpu_dollars_per_hour: Annotated[float, Field(gt=0)] | None = None
    receivers: Receivers = Receivers()


class RegistryCredentials(BaseSettings):
    """The login of a private image registry."""

    username: str
    password: SecretStr


Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class Settings(BaseSettings):
    """All settings of a stack.

    `system` names a file of systems/. `platform` is where the stack runs; `aws` and `kubernetes`
    configure these two platforms. `domain` is the public name of a stack on EKS, and on Docker with
    `gateway.acme`. `image_digests`
    maps a logical image to the digest that `make push` pushed. `registries` maps the host of a
    private registry to the credentials that images are pulled with. `profiles` enables optional
    services. `services` overrides fields by service name. Raising the number of an owner in
    `secret_generations` rotates its secrets. All secrets derive from `seed` (at least 32
    characters); without it, the seed is read from the file that STRATA_SEED_FILE names. `secrets` are
    further secrets by name, which services have as files (`strata.model.ExternalSecret`).
    """

    system: str = "reference"
    platform: PlatformName = PlatformName.DOCKER
    aws: AwsSettings = AwsSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    domain: (
        Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$")] | None
    ) = None
    load_balancer: LoadBalancer = LoadBalancer()
    image_digests: dict[str, Digest] = Field(default_factory=dict)
    images: ImageSource = ImageSource.AUTO
    registries: dict[str, RegistryCredentials] = Field(default_factory=dict)
    ports: Ports = Ports()
    gateway: GatewaySettings = GatewaySettings()
    network: Network = Network()
    gpu: GpuSettings = GpuSettings()
    host: Host = Host()
    observability: ObservabilitySettings = ObservabilitySettings()
    profiles: tuple[str, ...] = ()
    services: dict[str, ServiceSettings] = Field(default_factory=dict)
    secrets: dict[SecretName, ExternalSecretSettings] = Field(default_factory=dict)
    secret_generations: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    seed: Annotated[SecretStr, Field(min_length=32)] | None = None
