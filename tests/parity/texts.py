"""Parts of a text."""

from collections.abc import Callable

from strata.components.engines.rabbitmq import PasswordHash
from strata.model import (
    BucketName,
    ByDevice,
    Confidential,
    Cores,
    ExternalSecret,
    File,
    Gpu,
    GpuMode,
    HostName,
    Listen,
    ListenAddress,
    Managed,
    ManagedAuthority,
    ManagedHost,
    MemoryMib,
    NameServer,
    Namespace,
    Ordinal,
    Peers,
    Region,
    ReplicaHost,
    Secret,
    StackName,
    Text,
    Workload,
    certificate,
    private_key,
)
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes.pods import ORDINAL_VARIABLE
from tests.cluster_ip import cluster_ip
from tests.components.stack import SEED
from tests.parity import finds
from tests.parity.row import (
    Change,
    Check,
    Made,
    Refused,
    Row,
    Same,
    Seen,
    fields,
)

BOTH = ("app", "task")
SECRETS = DerivedSecrets(SEED, "test", {})
ON_GPU = fields(gpu=Gpu(mode=GpuMode.REQUIRE))


def _said(text: Text) -> Change:
    return fields(environment={"SAID": text})


def _kept(text: Text) -> Change:
    return fields(files=(File(path="/run/secrets/kept", content=text),))


def _unchanged(process: Workload) -> Workload:
    return process


def _becomes(change: Change, docker: str, kubernetes: str, given: Change = _unchanged) -> Check:
    """What the variable of `_said` becomes."""
    return Check(
        given=given,
        change=change,
        docker=Seen(finds.variable("SAID"), docker),
        kubernetes=Seen(finds.variable_in_pod("SAID"), kubernetes),
    )


def _holds(given: Change, change: Change, content: str) -> Check:
    """What the file of `_kept` holds, on both."""
    return Check(
        given=given,
        change=change,
        docker=Seen(finds.content("-run-secrets/kept"), content),
        kubernetes=Seen(finds.kept_file("/run/secrets/kept"), content),
    )


def _no_bucket(text: Text) -> Check:
    """Neither platform of the tests has buckets (tests/components/eks has)."""
    refused = Refused("service {name}: bucket")
    return Check(given=fields(bucket=True), change=_said(text), docker=refused, kubernetes=refused)


def _not_managed(text: Text) -> Check:
    """Neither platform of the tests has managed services (tests/components/eks has)."""
    refused = Refused("strata:services.{name}.managed")
    managed = Managed(engine="postgres", version="17", users=())
    return Check(
        given=fields(managed=managed), change=_said(text), docker=refused, kubernetes=refused
    )


def _part(
    field: str,
    docker: str,
    kubernetes: str,
    *checks: Check,
    on: tuple[str, ...] = BOTH,
) -> Row:
    return Row(field=field, docker=docker, kubernetes=kubernetes, checks=checks, on=on)


def _on_own_address(made: Made, name: str) -> int:
    """How many addresses the variable has."""
    said = finds.variable("SAID")(made, name) or ""
    return len([one for one in said.split(",") if one])


def _both(*changes: Change) -> Change:
    def change(process: Workload) -> Workload:
        for one in changes:
            process = one(process)
        return process

    return change


def _mode(end: str) -> Callable[[Made, str], int | None]:
    """The mode of the file of the workload whose path in its volumes ends so."""

    def find(made: Made, name: str) -> int | None:
        recorded = made.recorded
        return next(
            (
                file.mode
                for volume, inputs in recorded.of("Volume").items()
                for each, file in recorded.volume_files.get(inputs["name"], {}).items()
                if f"/{volume}/{each}".endswith(end)
            ),
            None,
        )

    return find


CLUSTER = fields(stateful=True, replicas=2)
POD_INDEX = "metadata.labels['apps.kubernetes.io/pod-index']"

SECRETS_OF: tuple[Callable[[str], Secret], ...] = (
    Secret,
    lambda owner: Secret(owner, PasswordHash()),
    lambda owner: certificate(owner, ("a.test",)),
    lambda owner: private_key(owner, ("a.test",)),
)
"""The kinds of secrets, by owner."""

TEXT = (
    _part(
        "Listen.port",
        "the name of the port. Its addresses are loopback, and the service's own on"
        " each network that leads to the port",
        "the name of the port. Its address is always 0.0.0.0",
        # Nobody calls the port `admin`, so it is loopback alone.
        Check(
            given=_said(Listen("http")),
            change=_said(Listen("admin")),
            docker=Seen(_on_own_address, 1),
            kubernetes=Same(),
        ),
        on=("app",),
    ),
    _part(
        "Listen.template",
        "filled in for each address (`{address}`, and its number `{index}`)",
        "filled in for 0.0.0.0, number 1",
        _becomes(
            _said(Listen("admin", template="{index}={address}")),
            "1=127.0.0.1",
            "1=0.0.0.0",
            given=_said(Listen("admin")),
        ),
        on=("app",),
    ),
    _part(
        "Listen.separator",
        "joins them",
        "no effect: there's one address",
        Check(
            given=_said(Listen("http")),
            change=_said(Listen("http", separator=" ")),
            docker=Seen(
                lambda made, name: str(finds.variable("SAID")(made, name)).startswith(
                    "127.0.0.1 10."
                ),
                True,
            ),
            kubernetes=Same(),
        ),
        on=("app",),
    ),
    _part(
        "ListenAddress.port",
        "the name of the port. The address is the service's own on the first network that leads to"
        " the port, or loopback",
        "the name of the port. The address is always 0.0.0.0",
        # Nobody calls the port `admin`.
        Check(
            given=_said(ListenAddress("http")),
            change=_said(ListenAddress("admin")),
            docker=Seen(finds.variable("SAID"), "127.0.0.1"),
            kubernetes=Same(),
        ),
        on=("app",),
    ),
    _part(
        "HostName.service",
        "the service's name, which Docker's DNS server resolves",
        "the address of its Service",
        _becomes(
            _said(HostName("store")),
            "store",
            cluster_ip("store"),
            given=_said(HostName("server")),
        ),
    ),
    _part(
        "NameServer",
        "127.0.0.11, Docker's DNS server in every container",
        "the cluster's DNS Service where the pod may query it (see `Workload.egress`), otherwise 127.0.0.1",
        _becomes(_said(NameServer()), "127.0.0.11", "127.0.0.1"),
        Check(
            given=fields(egress=True),
            change=_said(NameServer()),
            docker=Seen(finds.variable("SAID"), "127.0.0.11"),
            kubernetes=Seen(finds.variable_in_pod("SAID"), "10.96.0.10"),
        ),
    ),
    _part(
        "BucketName",
        "rejected, as `Service.bucket` is",
        "the name of the bucket: `PROJECT-STACK-NAME-ACCOUNT` on EKS; rejected on any other cluster",
        _no_bucket(BucketName()),
        on=("app",),
    ),
    _part(
        "Region",
        "rejected, as `Service.bucket` is",
        "the region of the bucket on EKS; rejected on any other cluster",
        _no_bucket(Region()),
        on=("app",),
    ),
    _part(
        "ManagedHost.service",
        "rejected, as `Service.managed` is",
        "the host name of the managed service on EKS; rejected on any other cluster",
        _not_managed(ManagedHost("app")),
        on=("app",),
    ),
    _part(
        "ManagedAuthority.service",
        "rejected, as `Service.managed` is",
        "the certificates of its authority on EKS; rejected on any other cluster",
        _not_managed(ManagedAuthority("app")),
        on=("app",),
    ),
    _part(
        "StackName",
        "the name of the stack",
        "as on Docker",
        _becomes(_said(StackName()), "test", "test"),
    ),
    _part(
        "Namespace",
        "empty: Docker has no namespaces",
        "the namespace of the stack's services: `PROJECT-STACK`",
        _becomes(_said(Namespace()), "", "strata-test"),
    ),
    _part(
        "Confidential.value",
        "the value, only in files, with mode 0400",
        "the value, only in files, in a Secret",
        _holds(_kept(Confidential("before")), _kept(Confidential("after")), "after"),
        Check(
            change=_said(Confidential("a value")),
            docker=Refused("{noun} {name}: environment.SAID"),
            kubernetes=Refused("{noun} {name}: environment.SAID"),
        ),
    ),
    _part(
        "ExternalSecret.name",
        "the value of `strata:secrets.NAME`, only in files, with mode 0400",
        "the value of `strata:secrets.NAME`, only in files, in a Secret",
        _holds(
            _kept(ExternalSecret("before")), _kept(ExternalSecret("after")), "the value of after"
        ),
        Check(
            change=_said(ExternalSecret("token")),
            docker=Refused("{noun} {name}: environment.SAID"),
            kubernetes=Refused("{noun} {name}: environment.SAID"),
        ),
    ),
    _part(
        "ExternalSecret.encode",
        "formats the value",
        "formats the value",
        _holds(
            _kept(ExternalSecret("token")),
            _kept(ExternalSecret("token", encode=str.upper)),
            "THE VALUE OF TOKEN",
        ),
    ),
    _part(
        "Ordinal",
        "the ordinal of the replica, from 0",
        "a variable set from the pod's label `apps.kubernetes.io/pod-index`",
        Check(
            given=CLUSTER,
            change=_both(CLUSTER, _said(Ordinal())),
            docker=Seen(finds.variable("SAID"), "1"),
            kubernetes=Seen(
                lambda made, name: (
                    POD_INDEX in finds.fields_in_pod(made, name),
                    finds.variable_in_pod("SAID")(made, name),
                ),
                (True, f"$({ORDINAL_VARIABLE})"),
            ),
        ),
        Check(
            change=_said(Ordinal()),
            docker=Refused("service {name}: environment.SAID"),
            kubernetes=Refused("service {name}: environment.SAID"),
        ),
        on=("app",),
    ),
    _part(
        "ReplicaHost",
        "`NAME-ORDINAL`",
        "`NAME-ORDINAL.NAME-pods`",
        Check(
            given=CLUSTER,
            change=_both(CLUSTER, _said(ReplicaHost())),
            docker=Seen(finds.variable("SAID"), "app-1"),
            kubernetes=Seen(
                lambda made, name: str(finds.variable_in_pod("SAID")(made, name)).endswith(
                    ".app-pods"
                ),
                True,
            ),
        ),
        on=("app",),
    ),
    _part(
        "Peers.template",
        "filled in for each replica (`{host}`, and its `{ordinal}`); hosts are `NAME-ORDINAL`",
        "filled in for each replica (`{host}`, and its `{ordinal}`); hosts are"
        " `NAME-ORDINAL.NAME-pods`",
        _becomes(
            _both(CLUSTER, _said(Peers(template="{ordinal}={host}"))),
            "0=app-0,1=app-1",
            "0=app-0.app-pods,1=app-1.app-pods",
            given=_both(CLUSTER, _said(Peers())),
        ),
        on=("app",),
    ),
    _part(
        "Peers.separator",
        "joins them",
        "as on Docker",
        _becomes(
            _both(CLUSTER, _said(Peers(separator=" "))),
            "app-0 app-1",
            "app-0.app-pods app-1.app-pods",
            given=_both(CLUSTER, _said(Peers())),
        ),
        on=("app",),
    ),
    _part(
        "Secret.owner",
        "the secret derived for this owner, in its generation (`strata:secretGenerations`)",
        "as on Docker",
        *(
            _holds(_kept(secret("server")), _kept(secret("store")), SECRETS.encode(secret("store")))
            for secret in SECRETS_OF
        ),
    ),
    _part(
        "Secret.encode",
        "how it's written: as a password, or as what the encoder returns, such as a"
        " hash or a certificate issued by the stack's authority (followed by the"
        " authority's own)",
        "as on Docker",
        _holds(
            _kept(Secret("server")),
            _kept(Secret("server", PasswordHash())),
            SECRETS.encode(Secret("server", PasswordHash())),
        ),
        _holds(
            _kept(certificate("server", ("a.test",))),
            _kept(certificate("server", ("b.test",))),
            SECRETS.encode(certificate("server", ("b.test",))),
        ),
        # The private key is the same for all names.
        Check(
            given=_kept(private_key("server", ("a.test",))),
            change=_kept(private_key("server", ("b.test",))),
            docker=Same(),
            kubernetes=Same(),
        ),
    ),
    _part(
        "Secret.public",
        "True: it may be shown, so a command and the environment may contain it",
        "True: as on Docker; a folder with no other secret is a ConfigMap",
        _becomes(
            _said(Secret("app", public=True)),
            SECRETS.encode(Secret("app")),
            SECRETS.encode(Secret("app")),
            given=_said(Secret("app")),
        ),
        Check(
            given=_kept(Secret("app")),
            change=_kept(Secret("app", public=True)),
            docker=Seen(_mode("-run-secrets/kept"), 0o444),
            kubernetes=Seen(finds.within_mount("/run/secrets", "configMap", "defaultMode"), 0o444),
        ),
    ),
    _part(
        "ByDevice.gpu",
        "the text if GPUs were granted",
        "as on Docker",
        _becomes(
            _said(ByDevice(gpu="cuda:0", cpu="cpu")),
            "cuda:0",
            "cuda:0",
            given=_both(ON_GPU, _said(ByDevice(gpu="cuda", cpu="cpu"))),
        ),
    ),
    _part(
        "ByDevice.cpu",
        "the text otherwise",
        "as on Docker",
        _becomes(
            _said(ByDevice(gpu="cuda", cpu="none")),
            "none",
            "none",
            given=_said(ByDevice(gpu="cuda", cpu="cpu")),
        ),
    ),
    _part(
        "MemoryMib.share",
        "this share of the memory limit, in whole MiB",
        "as on Docker",
        _becomes(_said(MemoryMib(0.25)), "16", "16", given=_said(MemoryMib(0.5))),
    ),
    _part(
        "MemoryMib.at_least",
        "the minimum, in MiB",
        "as on Docker",
        _becomes(_said(MemoryMib(0.5, at_least=40)), "40", "40", given=_said(MemoryMib(0.5))),
    ),
    _part(
        "Cores",
        "the CPU limit, rounded up to whole cores",
        "as on Docker",
        _becomes(_said(Cores()), "1", "1"),
    ),
)
