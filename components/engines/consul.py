"""Consul: service discovery. Services register themselves over HTTP, and look each other up.

One server, which keeps its state in memory: services register again with their next heartbeat, and the
tokens are created at each start. Clients have a token that may write and read services, and nothing
else. Without a token, the metrics and the configuration of the agent can be read, and nothing else.
Consul's image has no bash, so its scripts are for sh.
"""

import json
import uuid
from dataclasses import dataclass

from strata.components.engines.engine import Engine, EngineOptions
from strata.components.mutual_tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    CLIENT_CERTIFICATE_FILE,
    FOLDER,
    PRIVATE_KEY_FILE,
    tls_files,
)
from strata.model import (
    TMP,
    Alert,
    ExecProbe,
    File,
    Listen,
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
)
from strata.model.secrets import SecretMaterial

PORT = 8500
ADMIN = "admin"
POLICY = "services"
METRICS_POLICY = "metrics"
METRICS_PATH = "/v1/agent/metrics"
# Consul documentation, "ACL tokens".
ANONYMOUS = "00000000-0000-0000-0000-000000000002"

DATA_FOLDER = "/consul/data"
CONFIGURATION_FILE = f"{FOLDER}/consul.json"
ADMIN_HEADER_FILE = f"{FOLDER}/admin-header"
CLIENT_HEADER_FILE = f"{FOLDER}/client-header"

RULES = """\
service_prefix "" { policy = "write" }
node_prefix "" { policy = "read" }
"""
METRICS_RULES = """\
agent_prefix "" { policy = "read" }
"""

# Tokens are in files, not in the arguments of curl. `@api@` is its options for TLS and the URL of the API.
CURL = "curl --silent --output /dev/null --max-time 2"
# The token of clients doesn't exist until it was created.
WORKS = f"{CURL} --fail --header @{CLIENT_HEADER_FILE} @api@/acl/token/self"
HAS_METRICS = f"{CURL} --fail @api@/agent/metrics"
START = f"""\
set -eu

put() {{
    {CURL} --header @{ADMIN_HEADER_FILE} --request PUT --data @"{FOLDER}/$1.json" @api@/acl/$2 || true
}}

create() {{
    until {WORKS} && {HAS_METRICS}; do
        # Rejected until there is a leader, and once they exist.
        put policy policy
        put token token
        put metrics-policy policy
        put anonymous token/{ANONYMOUS}
        sleep 0.5
    done
}}

create &
exec consul agent -config-file={CONFIGURATION_FILE}
"""

# The metrics are those of Consul's documentation, "Agent telemetry".
MONITORING = Monitoring(
    port="http",
    path=METRICS_PATH,
    alerts=(
        Alert(
            name="ConsulWithoutLeader",
            expression='max by (service) (consul_server_isLeader{service="$service"}) == 0',
            summary="$service has no leader: it takes no registrations",
            severity=Severity.CRITICAL,
            # The leader is elected within seconds of a start.
            for_seconds=15,
        ),
    ),
    panels=(
        Panel(
            title="Registered services",
            expressions={
                "services": 'max(consul_state_services{service="$service"})',
                "instances": 'max(consul_state_service_instances{service="$service"})',
            },
        ),
        Panel(
            title="Requests",
            expressions={"all": 'sum(rate(consul_rpc_request{service="$service"}[5m]))'},
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Memory of Consul",
            expressions={
                "heap": 'consul_runtime_alloc_bytes{service="$service"}',
                "resident": 'process_resident_memory_bytes{service="$service"}',
            },
            unit=Unit.BYTES,
        ),
    ),
)


def _script(script: str, name: str, options: EngineOptions) -> str:
    """A script with the API that it calls. Consul's certificate is for its name."""
    api = f"http://127.0.0.1:{PORT}/v1"
    if options.mutual_tls:
        api = (
            f"--resolve {name}:{PORT}:127.0.0.1 --cacert {CA_FILE} --cert {CLIENT_CERTIFICATE_FILE}"
            f" --key {PRIVATE_KEY_FILE} https://{name}:{PORT}/v1"
        )
    return script.replace("@api@", api)


@dataclass(frozen=True)
class Token:
    """The encoder of an ACL token, which must be a UUID. "" is the token of clients."""

    user: str = ""

    def __call__(self, material: SecretMaterial) -> str:
        return str(uuid.UUID(bytes=material.derive(f"token of {self.user}", 16), version=4))


def _token(name: str, user: str = "") -> Secret:
    return Secret(name, Token(user))


def _configuration(name: str, options: EngineOptions) -> Text:
    ports: dict[str, int] = {}
    tls: dict[str, object] = {}
    scheme = "http"
    if options.mutual_tls:
        scheme = "https"
        ports = {"http": -1, "https": PORT}
        files = {"ca_file": CA_FILE, "cert_file": CERTIFICATE_FILE, "key_file": PRIVATE_KEY_FILE}
        tls = {"tls": {"https": {**files, "verify_incoming": True}}}
    before, tokens, after = json.dumps(
        {
            "server": True,
            "bootstrap_expect": 1,
            "node_name": name,
            "data_dir": DATA_FOLDER,
            # Servers would connect to it. There is one.
            "bind_addr": "127.0.0.1",
            "addresses": {scheme: "@"},
            "ports": {"dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1, **ports},
            **tls,
            "connect": {"enabled": False},
            "peering": {"enabled": False},
            "disable_update_check": True,
            "telemetry": {"prometheus_retention_time": "60s", "disable_hostname": True},
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "tokens": "@",
            },
        },
        indent=2,
    ).split('"@"')
    admin = _token(name, ADMIN)
    return (
        f'{before}"',
        Listen("http", separator=" "),
        f'"{tokens}{{"initial_management": "',
        admin,
        '", "agent": "',
        admin,
        f'"}}{after}\n',
    )


def _service(name: str, options: EngineOptions) -> Service:
    return Service(
        **{
            **options.service_fields(DATA_FOLDER, user="100:1000"),
            # The image declares a volume at this path.
            "volumes": (),
            "tmpfs": (TMP, Tmpfs(path=DATA_FOLDER, size_mib=128)),
        },
        name=name,
        image="consul",
        memory_mib_minimum=256,
        command=("sh", f"{FOLDER}/start"),
        ports=(Port(name="http", number=PORT, mutual_tls=options.mutual_tls),),
        # During a rollout, a second one would have a part of the registrations.
        stateful=True,
        probe=Probe(check=ExecProbe(command=("sh", "-c", _script(WORKS, name, options)))),
        files=(
            File(path=f"{FOLDER}/start", content=_script(START, name, options)),
            File(path=CONFIGURATION_FILE, content=_configuration(name, options)),
            File(path=ADMIN_HEADER_FILE, content=("X-Consul-Token: ", _token(name, ADMIN), "\n")),
            File(path=CLIENT_HEADER_FILE, content=("X-Consul-Token: ", _token(name), "\n")),
            File(
                path=f"{FOLDER}/policy.json",
                content=json.dumps({"Name": POLICY, "Rules": RULES}),
            ),
            File(
                path=f"{FOLDER}/token.json",
                content=(
                    '{"SecretID": "',
                    _token(name),
                    f'", "Policies": [{{"Name": "{POLICY}"}}]}}\n',
                ),
            ),
            File(
                path=f"{FOLDER}/metrics-policy.json",
                content=json.dumps({"Name": METRICS_POLICY, "Rules": METRICS_RULES}),
            ),
            File(
                path=f"{FOLDER}/anonymous.json",
                content=json.dumps({"Policies": [{"Name": METRICS_POLICY}]}),
            ),
            # The probe is a client.
            *tls_files(name, server=options.mutual_tls, client=options.mutual_tls),
        ),
        monitoring=MONITORING,
    )


CONSUL = Engine(
    name="consul",
    purpose="Consul 2, one server without persistence",
    workloads=lambda name, options: (_service(name, options),),
    port="http",
    resources=Resources(memory_mib=384, cpu=0.5),
    password=_token,
    has_mutual_tls=True,
    upgrade="A new version starts empty, like every restart.",
)
