"""OpenSearch as a single node: full-text search.

It has no authentication and no TLS. Both are in its security plugin, which Maven Central lacks for
this version, so the image that is built here lacks it, too; START disables the upstream image's. Links
alone restrict access: a linked service and the exporter can read and change all indices, and nothing
else reaches the port. A managed OpenSearch has both.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from strata.components.engines import restic_backup
from strata.components.engines.engine import Engine, EngineOptions
from strata.components.engines.http_set_up import http_set_up
from strata.components.engines.restic_backup import backed_up
from strata.components.exporter import exporter
from strata.model import (
    PLACE,
    Alert,
    Endpoint,
    File,
    HttpProbe,
    KernelSetting,
    Listen,
    Managed,
    ManagedUser,
    MemoryMib,
    Monitoring,
    Panel,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Severity,
    Text,
    Tmpfs,
    Unit,
    with_secrets,
)
from strata.model.secrets import SecretMaterial

PORT = 9200
HTTPS_PORT = 443
"""Of a managed OpenSearch."""
USER = "strata"
"""The user of a managed OpenSearch."""
ADMIN = "admin"
"""The administrator of a managed OpenSearch."""
DATA_FOLDER = "/usr/share/opensearch/data"
FOLDER = "/etc/opensearch"

# OpenSearch creates a keystore in the folder of its settings, so it gets a copy that can be written
# to, by default in /tmp/config. Upstream's options log garbage collections to a file in the root file
# system, which is read-only.
START = f"""\
set -euo pipefail
home=/usr/share/opensearch
export OPENSEARCH_PATH_CONF=${{1:-/tmp/config}}
mkdir -p "$OPENSEARCH_PATH_CONF"
cp -r "$home/config/." "$OPENSEARCH_PATH_CONF"
sed -i '/-Xlog:gc/d' "$OPENSEARCH_PATH_CONF/jvm.options"
cat {FOLDER}/opensearch.yml > "$OPENSEARCH_PATH_CONF/opensearch.yml"
if [ -d "$home/plugins/opensearch-security" ]; then
    echo "plugins.security.disabled: true" >> "$OPENSEARCH_PATH_CONF/opensearch.yml"
fi
exec opensearch "${{@:2}}"
"""

BACKUP = Path(__file__).with_name("opensearch_backup.sh")
BACKUP_MEMORY_MIB = 384
"""For the check of a backup, by a second server: it took 270 MiB for 155 shards. restic takes less, and not at
the same time."""

EXPORTER_PORT = 9114
"""The exporter's default."""

# Free space. Below the high watermark the node creates no indices, and below the flood stage all
# indices are read-only. The defaults are 15%, 10% and 5% of the disk, which on Docker is the host's:
# half of a terabyte would reject writes with 25 GiB free.
LOW_WATERMARK_GIB = 3
HIGH_WATERMARK_GIB = 2
FLOOD_STAGE_GIB = 1

_HEAP = (
    'elasticsearch_jvm_memory_used_bytes{area="heap", service="$service"}'
    ' / elasticsearch_jvm_memory_max_bytes{area="heap", service="$service"}'
)

MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="OpensearchDown",
            # ContainerDown and ContainerUnhealthy are critical and replace it.
            expression="min by (service)"
            ' (elasticsearch_scrape_success{collector="cluster-info", service="$service"}) == 0',
            summary="$service doesn't answer its exporter",
            for_seconds=30,
        ),
        Alert(
            # Not if it's yellow: a replica of a shard, which an index has by default, needs a second
            # node.
            name="OpensearchRed",
            expression="max by (service)"
            ' (elasticsearch_cluster_health_status{color="red", service="$service"}) == 1',
            summary="an index of $service has lost a shard: some searches and writes fail",
            severity=Severity.CRITICAL,
        ),
        Alert(
            name="OpensearchDiskFull",
            expression="min by (service)"
            ' (elasticsearch_filesystem_data_available_bytes{service="$service"})'
            f" < {HIGH_WATERMARK_GIB * 1024**3}",
            summary="the volume of $service has {{ $value | humanize1024 }}B left: it creates no"
            f" indices, and rejects writes below {FLOOD_STAGE_GIB} GiB",
            severity=Severity.CRITICAL,
        ),
        Alert(
            name="OpensearchHeapFull",
            # The collector starts at 30% (jvm.options), and at 95% requests are rejected.
            expression=f"max by (service) ({_HEAP}) > 0.85",
            summary="$service uses {{ $value | humanizePercentage }} of its heap",
            for_seconds=900,
        ),
        Alert(
            name="OpensearchRejectsRequests",
            expression="sum by (service) (increase({__name__=~"
            '"elasticsearch_(breakers_tripped|thread_pool_rejected_count)", service="$service"}[5m]))'
            " > 0",
            summary="$service rejected requests for want of memory or threads",
            for_seconds=0,
        ),
    ),
    panels=(
        Panel(
            title="Heap, up to its maximum",
            expressions={
                "used": 'elasticsearch_jvm_memory_used_bytes{area="heap", service="$service"}',
                "limit": 'elasticsearch_jvm_memory_max_bytes{area="heap", service="$service"}',
            },
            unit=Unit.BYTES,
        ),
        Panel(
            title="Searches and writes",
            expressions={
                "searches": 'rate(elasticsearch_indices_search_query_total{service="$service"}[5m])',
                "writes": 'rate(elasticsearch_indices_indexing_index_total{service="$service"}[5m])',
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Mean time of a search",
            expressions={
                "all indices": "rate"
                '(elasticsearch_indices_search_query_time_seconds{service="$service"}[5m])'
                ' / rate(elasticsearch_indices_search_query_total{service="$service"}[5m])'
            },
            unit=Unit.SECONDS,
        ),
        Panel(
            title="Documents",
            expressions={"all indices": 'elasticsearch_indices_docs{service="$service"}'},
        ),
        Panel(
            title="Disk",
            expressions={
                "indices": 'elasticsearch_indices_store_size_bytes{service="$service"}',
                "available": 'elasticsearch_filesystem_data_available_bytes{service="$service"}',
            },
            unit=Unit.BYTES,
        ),
    ),
)


def _service(name: str, options: EngineOptions) -> Service:
    service = _container(name, options)
    if options.managed is None:
        return service
    # The exporter takes a password from its environment only, and the alerts are about a single node.
    return replace(
        service, ports=(Port(name="http", number=HTTPS_PORT),), monitoring=None, exporter=None
    )


def _container(name: str, options: EngineOptions) -> Service:
    return Service(
        name=name,
        image="opensearch",
        **options.service_fields(DATA_FOLDER, user="1000:1000"),
        memory_mib_minimum=512,
        command=("bash", f"{FOLDER}/start"),
        environment={
            # Half of the memory (OpenSearch documentation, "Important settings"). The other half is for
            # buffers outside of the heap, the JVM itself and the kernel's cache of the indices.
            "OPENSEARCH_JAVA_OPTS": (
                *("-Xms", MemoryMib(0.5), "m -Xmx", MemoryMib(0.5)),
                *("m -XX:MaxDirectMemorySize=", MemoryMib(0.25), "m"),
            )
        },
        # Not 9600: upstream's entry point starts the performance analyzer's agent there, and this
        # command doesn't. Not 9300: other nodes would connect there.
        ports=(Port(name="http", number=PORT),),
        probe=Probe(
            check=HttpProbe(port=PORT, path="/_cluster/health?wait_for_status=yellow&timeout=1s"),
            start_period_seconds=60,
            ready_within_seconds=180,
        ),
        # OpenSearch unpacks and loads native libraries there.
        tmpfs=(Tmpfs(path="/tmp", executable=True),),  # noqa: S108 - a mount in the container
        files=(
            File(path=f"{FOLDER}/start", content=START),
            File(path=f"{FOLDER}/opensearch.yml", content=_configuration(name, options)),
        ),
        stop_grace_seconds=60,
        monitoring=MONITORING,
        exporter=exporter(
            (Endpoint(service=name, port="http", number=PORT),),
            f"{name}-exporter",
            "elasticsearch-exporter",
            EXPORTER_PORT,
            (f"--es.uri=http://{name}:{PORT}",),
        ),
        # OpenSearch documentation, "Important settings".
        kernel=KernelSetting(
            name="vm.max_map_count",
            value=262144,
            or_more=True,
            reason="It maps the files of its indices into memory. At the limit, it can't open more.",
        ),
    )


def _configuration(name: str, options: EngineOptions) -> Text:
    backups = f"path.repo: {restic_backup.FOLDER}/opensearch\n" if options.backup else ""
    return (
        f"cluster.name: {name}\nnode.name: {name}\n"
        "discovery.type: single-node\n"
        # On loopback, a low vm.max_map_count or limit of open files is only a warning.
        "network.host: 127.0.0.1\nhttp.host: [",
        Listen("http"),
        f"]\nhttp.port: {PORT}\n"
        f"path.data: {DATA_FOLDER}\n"
        f"cluster.routing.allocation.disk.watermark.low: {LOW_WATERMARK_GIB}gb\n"
        f"cluster.routing.allocation.disk.watermark.high: {HIGH_WATERMARK_GIB}gb\n"
        f"cluster.routing.allocation.disk.watermark.flood_stage: {FLOOD_STAGE_GIB}gb\n"
        f"{backups}",
    )


@dataclass(frozen=True)
class ManagedPassword:
    """The encoder of a password that AWS accepts: with an upper-case letter, a lower-case one, a digit and
    a special character. "" is the user of the application."""

    user: str = ""

    def __call__(self, material: SecretMaterial) -> str:
        return f"{material.password_of(self.user)}-Aa0"


# What a client of a container can do, without the security plugin's own settings.
ROLE = {
    "cluster_permissions": [
        "cluster_composite_ops",
        "cluster_monitor",
        "cluster_manage_index_templates",
    ],
    "index_permissions": [{"index_patterns": ["*"], "allowed_actions": ["indices_all"]}],
}


def _managed(name: str) -> Managed:
    """OpenSearch of a provider, which creates one user: an administrator. Nothing uses it but the set-up."""
    administrator = Secret(name, ManagedPassword(ADMIN))
    client = ManagedUser(name=USER, password=Secret(name, ManagedPassword()))
    api = "/_plugins/_security/api"
    user = {"password": PLACE, "opendistro_security_roles": [USER]}
    requests = [
        {"method": "PUT", "path": f"{api}/roles/{USER}", "body": ROLE},
        {"method": "PUT", "path": f"{api}/internalusers/{USER}", "body": user},
    ]
    return Managed(
        engine="opensearch",
        version="3.3",
        users=(ManagedUser(name=ADMIN, password=administrator),),
        client=client,
        set_up=http_set_up(name, ADMIN, (administrator,), with_secrets(requests, client.password)),
    )


OPENSEARCH = Engine(
    name="opensearch",
    purpose="OpenSearch 3, a single node without authentication",
    workloads=lambda name, options: (
        backed_up(
            _service(name, options),
            options,
            BACKUP.read_text(),
            BACKUP_MEMORY_MIB,
        ),
    ),
    port="http",
    resources=Resources(memory_mib=1024, cpu=1),
    password=None,
    managed=_managed,
    upgrade="A new version reads indices that the previous major version created; reindex older ones first."
    " Going back requires a backup.",
)
