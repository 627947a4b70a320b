"""RabbitMQ."""

import base64
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strata.components.engines.engine import Engine, EngineOptions
from strata.components.engines.http_set_up import http_set_up
from strata.components.engines.restic_backup import backed_up
from strata.components.mutual_tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    CLIENT_CERTIFICATE_FILE,
    FOLDER,
    PRIVATE_KEY_FILE,
    tls_files,
)
from strata.model import (
    PLACE,
    TMP,
    Alert,
    ExecProbe,
    File,
    Listen,
    ListenAddress,
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
    Unit,
    UserPassword,
    with_secrets,
)
from strata.model.secrets import SecretMaterial

BACKUP = Path(__file__).with_name("rabbitmq_backup.sh")

PORT = 5672
TLS_PORT = 5671
"""Of a managed RabbitMQ, which accepts only TLS."""
USER = "strata"
ADMIN = "admin"
"""The administrator of a managed RabbitMQ."""
VIRTUAL_HOST = "strata"
METRICS_PORT = 15692
"""The default of RabbitMQ's plugin."""

# Each connects the file descriptors 3 and 4 with the broker, for reading and writing.
_TCP = f"exec 3<>/dev/tcp/127.0.0.1/{PORT} 4>&3"
_TLS = (
    f"coproc openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:{PORT} -verify_return_error"
    f" -CAfile {CA_FILE} -cert {CLIENT_CERTIFICATE_FILE} -key {PRIVATE_KEY_FILE};"
    " exec 3<&${COPROC[0]} 4>&${COPROC[1]}"
)


def _healthy(options: EngineOptions) -> str:
    # A running broker answers the AMQP protocol header with a method frame (type 1) on channel 0
    # (AMQP 0-9-1, 2.2.4). RabbitMQ's own commands start an Erlang VM each time, which takes a second
    # of a core.
    return (
        f"{_TLS if options.mutual_tls else _TCP} && printf 'AMQP\\0\\0\\11\\1' >&4 &&"
        " [ \"$(head -c 3 <&3 | od -An -tx1 | tr -d ' ')\" = 010000 ]"
    )


# On a full disk RabbitMQ's quorum queues end and don't return once there is space: the broker responds, but
# never about a queue. So it ends as well, and is started again until its queues start too.
# `ra_systems_sup` has a child for each system of quorum queues.
WATCH = """\
Watch = fun Watch(Most, Missing) ->
    timer:sleep(2000),
    Active = try proplists:get_value(active, supervisor:count_children(ra_systems_sup)) catch exit:_ -> 0 end,
    if
        Active >= Most -> Watch(Active, 0);
        Missing > 1 -> logger:error(#{stopping => the_quorum_queues_ended}), init:stop(1);
        true -> Watch(Most, Missing + 1)
    end
end, spawn(fun() -> Watch(0, 0) end).
"""
# Erlang reads the variable as a command line. RabbitMQ's own variables can't quote.
START = f"""\
export ERL_AFLAGS='-eval "{" ".join(WATCH.split())}"'
exec rabbitmq-server
"""

# Nothing consumes these queues: they keep failed messages for people.
_DEAD_LETTERS = "(.+[._-])?(dead|dlq|dead[._-]?letters?)"
_READY = (
    "sum by (service, queue) (rabbitmq_queue_messages_ready"
    f'{{service="$service", queue!~"{_DEAD_LETTERS}"}})'
)
_CONSUMERS = 'sum by (service, queue) (rabbitmq_queue_consumers{service="$service"})'
_ACKNOWLEDGED = (
    'sum by (service, queue) (rate(rabbitmq_queue_messages_acked_total{service="$service"}[5m]))'
)

MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="RabbitmqQueueWithoutConsumer",
            expression=f"{_READY} > 0 and {_CONSUMERS} == 0",
            summary="queue {{ $labels.queue }} has {{ $value }} messages and no consumer",
            severity=Severity.CRITICAL,
            for_seconds=15,
        ),
        Alert(
            name="RabbitmqQueueSlow",
            # The queue's length over its throughput is the time a message waits (Little's law).
            expression=f"{_READY} / {_ACKNOWLEDGED} > 300",
            summary="a message waits for {{ $value | humanizeDuration }} in queue {{ $labels.queue }}",
            for_seconds=300,
        ),
        Alert(
            name="RabbitmqConsumersStuck",
            expression=f"{_CONSUMERS} > 0 and sum by (service, queue)"
            ' (min_over_time(rabbitmq_queue_messages{service="$service"}[5m])) > 0'
            f" unless {_ACKNOWLEDGED} > 0",
            summary="the consumers of queue {{ $labels.queue }} finish no message",
            for_seconds=120,
        ),
        Alert(
            name="RabbitmqMessagesRejected",
            expression="sum by (service)"
            ' (increase(rabbitmq_global_messages_dead_lettered_rejected_total{service="$service"}'
            "[10m])) > 0",
            summary="consumers rejected {{ $value | humanize }} messages in 10 minutes",
            for_seconds=0,
        ),
        Alert(
            name="RabbitmqBlocksPublishers",
            expression="max by (service)"
            ' ({__name__=~"rabbitmq_alarms_(memory_used|free_disk_space)_watermark",'
            ' service="$service"}) > 0',
            summary="$service has too little memory or disk space to accept messages",
            severity=Severity.CRITICAL,
            for_seconds=0,
        ),
    ),
    panels=(
        Panel(
            title="Messages",
            expressions={
                "{{queue}} ready": "sum by (queue)"
                ' (rabbitmq_queue_messages_ready{service="$service"})',
                "{{queue}} in progress": "sum by (queue)"
                ' (rabbitmq_queue_messages_unacked{service="$service"})',
            },
        ),
        Panel(
            title="Messages per second",
            expressions={
                "published": "sum(rate(rabbitmq_global_messages_received_total"
                '{service="$service"}[5m]))',
                "acknowledged": "sum(rate(rabbitmq_global_messages_acknowledged_total"
                '{service="$service"}[5m]))',
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Consumers",
            expressions={
                "{{queue}}": 'sum by (queue) (rabbitmq_queue_consumers{service="$service"})'
            },
        ),
        Panel(
            title="Memory of RabbitMQ, up to its watermark",
            expressions={
                "used": 'rabbitmq_process_resident_memory_bytes{service="$service"}',
                "limit": 'rabbitmq_resident_memory_limit_bytes{service="$service"}',
            },
            unit=Unit.BYTES,
        ),
    ),
)


def _service(name: str, options: EngineOptions) -> Service:
    service = _container(name, options)
    if options.managed is None:
        return service
    # Its provider serves no metrics of single queues, which most alerts are about.
    port = Port(name="amqp", number=TLS_PORT)
    return replace(service, ports=(port,), files=(), monitoring=None)


def _container(name: str, options: EngineOptions) -> Service:
    return Service(
        name=name,
        image="rabbitmq",
        **options.service_fields("/var/lib/rabbitmq"),
        memory_mib_minimum=256,
        command=("bash", f"{FOLDER}/start"),
        environment={
            # RabbitMQ stores its data under the node name, which so must not depend on the container.
            "RABBITMQ_NODENAME": "rabbit@localhost",
            "RABBITMQ_CONFIG_FILE": f"{FOLDER}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{FOLDER}/enabled_plugins",
            "RABBITMQ_LOGS": "-",
            # The ports between Erlang nodes listen on loopback only.
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # +sbwt: idle Erlang schedulers would busy-wait, which takes a few per cent of a core
            # (RabbitMQ documentation, "Runtime Tuning").
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1}"
                " +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        },
        ports=(
            Port(name="amqp", number=PORT, mutual_tls=options.mutual_tls),
            Port(name="metrics", number=METRICS_PORT, mutual_tls=options.mutual_tls),
        ),
        probe=Probe(
            check=ExecProbe(command=("timeout", "2", "bash", "-c", _healthy(options))),
            ready_within_seconds=180,
        ),
        tmpfs=(TMP,),
        files=(
            File(path=f"{FOLDER}/start", content=START),
            File(path=f"{FOLDER}/rabbitmq.conf", content=_configuration(options)),
            File(path=f"{FOLDER}/definitions.json", content=_definitions(name)),
            File(path=f"{FOLDER}/enabled_plugins", content="[rabbitmq_prometheus].\n"),
            # The probe is a client.
            *tls_files(name, server=options.mutual_tls, client=options.mutual_tls),
        ),
        stop_grace_seconds=60,
        monitoring=MONITORING,
    )


def _configuration(options: EngineOptions) -> Text:
    kind = "ssl" if options.mutual_tls else "tcp"
    listen = f"listeners.{kind}.{{index}} = {{address}}:{PORT}"
    tls = (
        "listeners.tcp = none\nprometheus.tcp.listener = none\n",
        *(
            f"{prefix}.cacertfile = {CA_FILE}\n{prefix}.certfile = {CERTIFICATE_FILE}\n"
            f"{prefix}.keyfile = {PRIVATE_KEY_FILE}\n"
            f"{prefix}.verify = verify_peer\n{prefix}.fail_if_no_peer_cert = true\n"
            for prefix in ("ssl_options", "prometheus.ssl")
        ),
    )
    return (
        Listen("amqp", template=listen, separator="\n"),
        "\n",
        *(tls if options.mutual_tls else ()),
        # Imported at each start, so the restart that brings a rotated password sets it.
        f"load_definitions = {FOLDER}/definitions.json\n",
        # Above this RabbitMQ blocks publishers, before the kernel kills it.
        "vm_memory_high_watermark.absolute = ",
        MemoryMib(0.6),
        "MiB\n",
        f"prometheus.{kind}.ip = ",
        ListenAddress("metrics"),
        f"\nprometheus.{kind}.port = {METRICS_PORT}\n",
        # One line per queue instead of the sum of all.
        "prometheus.return_per_object_metrics = true\n",
        "disk_free_limit.absolute = 256MiB\n",
        "log.console.level = warning\n",
        # The health check leaves once it has its answer, and that would be a warning every few seconds.
        "log.connection.level = error\n",
    )


def _definitions(name: str) -> Text:
    """The application's user. A broker that starts with definitions creates no user `guest` and no virtual
    host `/`."""
    return with_secrets(_objects(_user(USER)), Secret(name, PasswordHash()))


def _objects(*users: dict[str, Any]) -> dict[str, Any]:
    """The virtual host, users, and the rights of the application's."""
    permission = {"user": USER, "vhost": VIRTUAL_HOST}
    return {
        "vhosts": [{"name": VIRTUAL_HOST}],
        "users": [*users],
        "permissions": [{**permission, "configure": ".*", "write": ".*", "read": ".*"}],
    }


def _user(name: str, *tags: str) -> dict[str, Any]:
    """A user with a hash to fill in. Without a tag, it has no rights beyond its virtual host."""
    return {
        "name": name,
        "password_hash": PLACE,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": list(tags),
    }


def _managed(name: str) -> Managed:
    """RabbitMQ of a provider, which creates one user: an administrator. Nothing uses it but the set-up,
    which changes its password too when it is rotated."""
    users = _objects(_user(USER), _user(ADMIN, "administrator"))
    requests = [{"method": "POST", "path": "/api/definitions", "body": users}]
    return Managed(
        engine="rabbitmq",
        version="4.2",
        users=(ManagedUser(name=ADMIN, password=Secret(name, UserPassword(ADMIN))),),
        set_up=http_set_up(
            name,
            ADMIN,
            (Secret(name, UserPassword(ADMIN)), Secret(name, FormerPassword(ADMIN))),
            with_secrets(requests, Secret(name, PasswordHash()), Secret(name, PasswordHash(ADMIN))),
        ),
        set_up_port=443,
    )


@dataclass(frozen=True)
class PasswordHash:
    """The encoder of a user's password as RabbitMQ's `rabbit_password_hashing_sha256` stores it. "" is the
    user of the application.

    Source: RabbitMQ, "Credentials and Passwords": 4 bytes of salt, then SHA-256 of salt and
    password, in base64. The salt is derived too, so that the file is always the same.
    """

    user: str = ""

    def __call__(self, material: SecretMaterial) -> str:
        salt = material.derive(f"password-salt of {self.user}" if self.user else "password-salt", 4)
        digest = hashlib.sha256(salt + material.password_of(self.user).encode()).digest()
        return base64.b64encode(salt + digest).decode()


@dataclass(frozen=True)
class FormerPassword:
    """The encoder of the password that a user had before the last rotation, or has if there was none."""

    user: str

    def __call__(self, material: SecretMaterial) -> str:
        try:
            return material.password_of(self.user, rotations_ago=1)
        except ValueError:
            return material.password_of(self.user)


RABBITMQ = Engine(
    name="rabbitmq",
    purpose="RabbitMQ 4",
    workloads=lambda name, options: (
        backed_up(
            _service(name, options),
            options,
            BACKUP.read_text(),
        ),
    ),
    port="amqp",
    resources=Resources(memory_mib=512, cpu=1),
    user=USER,
    database=VIRTUAL_HOST,
    has_mutual_tls=True,
    managed=_managed,
    upgrade="Enable all stable feature flags before a new minor version: `rabbitmqctl enable_feature_flag"
    " all`. Going back requires a backup.",
)
