"""The services of the lean set, each with its limits, flags and volumes. The standard set has
Alertmanager, the node exporter and the blackbox exporter too.

The limits are about twice what the parts were measured to use with the reference system
(docs/observability.md).
"""

from collections.abc import Iterable

from strata.components.exporter import PROBE_INTERVAL_SECONDS, exporter
from strata.components.mutual_tls import tls_files
from strata.components.observability import configuration, remote
from strata.components.observability.configuration import SECRETS, USER
from strata.components.observability.pages import Page
from strata.config import ObservabilitySettings, Receivers
from strata.model import (
    TMP,
    Endpoint,
    ExecProbe,
    File,
    HostFolder,
    HostMount,
    HttpProbe,
    Listen,
    ListenAddress,
    Monitoring,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    StackName,
    Text,
    Volume,
    Zone,
)

PASSWORD = Secret("observability")
"""Of the pages that people open, and of the agents that write to the stores."""

PASSWORD_FILE = File(path=f"{SECRETS}/password", content=PASSWORD)
METRICS, LOGS = "prometheus", "victoria-logs"
"""The stores, which people open."""
NODES = "node-exporter"
RECORDS = Volume(name="records", path="/records", size_gib=1, cache=True)
"""Where `strata backup` and `strata restore` leave metrics, as files that node-exporter reads."""
CONTAINERS = "/containers"
CGROUPS = "/cgroup"
ROOT = "0:0"

# The programs' own defaults, but for the container exporter, which has none.
PROMETHEUS = 9090
ALERTMANAGER = 9093
LOG_STORE = 9428
LOG_AGENT = 9429
BLACKBOX = 9115
CONTAINER_EXPORTER = 9300
NODE_EXPORTER = 9100


def _probe(port: int, path: str) -> Probe:
    return Probe(check=HttpProbe(port=port, path=path), interval_seconds=PROBE_INTERVAL_SECONDS)


FLUSH_DEADLINE = "--storage.remote.flush-deadline=3s"
"""How long a Prometheus that stops still sends samples. Its default of a minute is longer than its
grace period: it would be killed. What it didn't send is in its log, and is sent after a restart."""

# With the login that every path of Prometheus asks for.
READY = f"""\
exec 3<>"/dev/tcp/$LISTEN_ADDRESS/{PROMETHEUS}"
login=$(printf '{USER}:%s' "$(< {PASSWORD_FILE.path})" | base64 --wrap=0)
printf 'GET /-/ready HTTP/1.0\\r\\nAuthorization: Basic %s\\r\\n\\r\\n' "$login" >&3
read -r protocol status rest <&3 && [ "$status" = 200 ]
"""


def prometheus(
    content: Text,
    rules: str,
    links: tuple[Endpoint, ...],
    settings: ObservabilitySettings,
    published: int,
    pages: Iterable[Page],
) -> Service:
    """Scrapes all targets, evaluates the alerts, keeps metrics and shows the dashboards. `published`: the
    port of this machine for people; without dashboards, it has none."""
    dashboards = configuration.dashboards(pages) if settings.dashboards else ()
    store = settings.remote_write
    return Service(
        name=METRICS,
        image="prometheus",
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=256, cpu=0.5, cpu_reserved=0.05),
        command=(
            f"--config.file={SECRETS}/prometheus.json",
            f"--web.config.file={SECRETS}/web.json",
            "--web.user-assets=/usr/share/vmui",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={settings.metrics_days}d",
            # A query with more fails. The default, 50 million of at least 16 bytes, and 5 million as well,
            # took the process that evaluates the alerts over its memory limit.
            "--query.max-samples=1000000",
            # A Prometheus that is replaced doesn't notice which series ended meanwhile. By default, they would count
            # for 5 minutes. All jobs have the same interval.
            f"--query.lookback-delta={5 * settings.scrape_interval_seconds}s",
            FLUSH_DEADLINE,
            ("--web.listen-address=", ListenAddress("http"), f":{PROMETHEUS}"),
        ),
        environment={"LISTEN_ADDRESS": ListenAddress("http")},
        ports=(Port(name="http", number=PROMETHEUS, published=published if dashboards else None),),
        probe=Probe(
            check=ExecProbe(command=("timeout", "2", "bash", "-c", READY)),
            interval_seconds=PROBE_INTERVAL_SECONDS,
        ),
        # A backup doesn't stop what evaluates the alerts.
        volumes=(Volume(name="data", path="/prometheus", size_gib=5, cache=True),),
        files=(
            File(path=f"{SECRETS}/prometheus.json", content=content),
            File(path=f"{SECRETS}/rules.json", content=rules),
            File(path=f"{SECRETS}/web.json", content=configuration.login(PASSWORD)),
            PASSWORD_FILE,
            *dashboards,
            *remote.password_files(store),
            *tls_files("prometheus", client=any(link.mutual_tls for link in links)),
        ),
        links=links,
        egress=store is not None,
    )


def alertmanager(receivers: Receivers) -> Service:
    return Service(
        name="alertmanager",
        image="alertmanager",
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=96, cpu=0.25, cpu_reserved=0.02),
        command=(
            f"--config.file={SECRETS}/alertmanager.json",
            "--storage.path=/alertmanager",
            "--cluster.listen-address=",
            f"--web.listen-address=:{ALERTMANAGER}",
        ),
        ports=(Port(name="http", number=ALERTMANAGER, bound=False),),
        probe=_probe(ALERTMANAGER, "/-/ready"),
        # Silences, and which alerts were sent.
        volumes=(Volume(name="data", path="/alertmanager", size_gib=1, cache=True),),
        files=configuration.alertmanager(receivers),
        egress=bool(receivers.model_fields_set),
        monitoring=Monitoring(),
    )


def log_store(settings: ObservabilitySettings, published: int) -> Service:
    """A database of VictoriaMetrics. Its page and its API ask for the password."""
    folder = f"/{LOGS}-data"
    return Service(
        name=LOGS,
        image=LOGS,
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=256, cpu=0.5, cpu_reserved=0.05),
        command=(
            f"-storageDataPath={folder}",
            f"-httpListenAddr=:{LOG_STORE}",
            f"-httpAuth.username={USER}",
            f"-httpAuth.password=file://{SECRETS}/password",
            f"-retentionPeriod={settings.logs_days}d",
            f"-retention.maxDiskSpaceUsageBytes={settings.logs_mib}MiB",
        ),
        ports=(Port(name="http", number=LOG_STORE, published=published, bound=False),),
        probe=_probe(LOG_STORE, "/health"),
        volumes=(Volume(name="data", path=folder, size_gib=5),),
        files=(PASSWORD_FILE,),
        # It finishes requests for up to 7 s, then writes what it has in memory.
        stop_grace_seconds=30,
        monitoring=Monitoring(),
    )


def log_agent(store: Endpoint) -> Service:
    """Sends every line that a container of the stack writes to the store. While the store is unavailable,
    the lines stay in Docker's own files, and then in the agent's volume."""
    return Service(
        name="log-agent",
        image="vlagent",
        zone=Zone.MONITORING,
        # Docker's log files belong to root. All capabilities are dropped.
        user=ROOT,
        resources=Resources(memory_mib=96, cpu=0.5, cpu_reserved=0.02),
        command=(
            "-fileCollector.glob=/tmp/containers/*/*-json.log",
            "-fileCollector.msgField=log",
            "-fileCollector.timeField=time",
            "-fileCollector.streamFields=attrs.strata.stack,attrs.strata.service,attrs.strata.job",
            f"-remoteWrite.url={store.url}/insert/native",
            f"-remoteWrite.basicAuth.username={USER}",
            f"-remoteWrite.basicAuth.passwordFile={SECRETS}/password",
            "-remoteWrite.maxDiskUsagePerURL=1GiB",
            "-tmpDataPath=/vlagent-data",
            # The name of the agent's container, and a path with an id, tell nothing.
            "-fileCollector.hostnameField=",
            "-fileCollector.fileField=",
            "-insert.disable",
            ("-httpListenAddr=", Listen("http", template=f"{{address}}:{LOG_AGENT}")),
        ),
        environment={"STACK": StackName()},
        ports=(Port(name="http", number=LOG_AGENT),),
        probe=_probe(LOG_AGENT, "/health"),
        volumes=(Volume(name="data", path="/vlagent-data", size_gib=2, cache=True),),
        host_mounts=(
            HostMount(
                folder=HostFolder.CONTAINERS, path=CONTAINERS, reason="reads the containers' logs"
            ),
        ),
        tmpfs=(TMP,),
        files=(PASSWORD_FILE,),
        links=(store.without_waiting(),),
        monitoring=Monitoring(),
    )


def container_exporter() -> Service:
    return Service(
        name="container-exporter",
        image="container-exporter",
        zone=Zone.MONITORING,
        # Docker's files about containers belong to root. All capabilities are dropped.
        user=ROOT,
        resources=Resources(memory_mib=64, cpu=0.25, cpu_reserved=0.02),
        environment={
            "STACK": StackName(),
            "LISTEN_ADDRESSES": Listen("http"),
            "LISTEN_PORT": str(CONTAINER_EXPORTER),
        },
        ports=(Port(name="http", number=CONTAINER_EXPORTER),),
        probe=_probe(CONTAINER_EXPORTER, "/health"),
        host_mounts=(
            HostMount(
                folder=HostFolder.CONTAINERS,
                path=CONTAINERS,
                reason="reads the labels, health and restarts of containers",
            ),
            HostMount(
                folder=HostFolder.CGROUPS,
                path=CGROUPS,
                reason="reads the CPU and memory that containers use",
            ),
        ),
        monitoring=Monitoring(),
    )


def node_exporter(*, records: bool) -> Service:
    """Metrics of the host. /proc shows the host's CPU, memory and disks in any container, and the mounts
    of /etc/hostname and the like by Docker and kubelet show the disk that they keep data on; so it
    mounts nothing of the host. `records`: it also serves the metrics in the volume `RECORDS`."""
    return Service(
        name=NODES,
        image="node-exporter",
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=64, cpu=0.25, cpu_reserved=0.02),
        command=(
            f"--web.listen-address=:{NODE_EXPORTER}",
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in ("cpu", "diskstats", "filesystem", "loadavg")),
            *(f"--collector.{name}" for name in ("meminfo", "pressure", "stat", "vmstat")),
            # The default leaves out what is mounted below /etc.
            "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run|tmp)($|/)",
            *(
                ("--collector.textfile", f"--collector.textfile.directory={RECORDS.path}")
                if records
                else ()
            ),
        ),
        ports=(Port(name="http", number=NODE_EXPORTER, bound=False),),
        probe=_probe(NODE_EXPORTER, "/"),
        volumes=(RECORDS,) if records else (),
        # A volume is on one node.
        on_every_node=not records,
        monitoring=Monitoring(),
    )


def blackbox(links: tuple[Endpoint, ...]) -> Service:
    """Requests every published URL, as a user would."""
    return exporter(
        links,
        "blackbox-exporter",
        "blackbox-exporter",
        BLACKBOX,
        (f"--config.file={SECRETS}/blackbox.json", "--log.level=warn"),
        files=(File(path=f"{SECRETS}/blackbox.json", content=configuration.BLACKBOX),),
    )
