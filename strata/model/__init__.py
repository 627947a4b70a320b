"""The model: what a stack consists of, as plain data that no platform is part of.

Nothing here imports Pulumi, so tests need no engine.
"""

from strata.errors import InvalidStackError, Problem, raise_problems
from strata.model.budget import Budget, Capacity
from strata.model.composition import Composition
from strata.model.gpu import Gpu, GpuMode, GpuSharing
from strata.model.job import Job
from strata.model.network import Endpoint, Link, Port, Protocol
from strata.model.overrides import Overrides
from strata.model.secrets import Secret, certificate, private_key
from strata.model.service import Service
from strata.model.text import (
    ByDevice,
    Cores,
    HostName,
    Listen,
    MemoryMib,
    NameServer,
    Ordinal,
    Peers,
    RenderContext,
    ReplicaHost,
    Text,
    is_secret,
    render,
)
from strata.model.workload import (
    Capability,
    ExecProbe,
    File,
    HttpProbe,
    Kind,
    LogRotation,
    Probe,
    Resources,
    Restart,
    Tmpfs,
    Ulimit,
    Volume,
    Workload,
)
from strata.model.zone import Zone

__all__ = [
    "Budget",
    "ByDevice",
    "Capability",
    "Capacity",
    "Composition",
    "Cores",
    "Endpoint",
    "ExecProbe",
    "File",
    "Gpu",
    "GpuMode",
    "GpuSharing",
    "HostName",
    "HttpProbe",
    "InvalidStackError",
    "Job",
    "Kind",
    "Link",
    "Listen",
    "LogRotation",
    "MemoryMib",
    "NameServer",
    "Ordinal",
    "Overrides",
    "Peers",
    "Port",
    "Probe",
    "Problem",
    "Protocol",
    "RenderContext",
    "ReplicaHost",
    "Resources",
    "Restart",
    "Secret",
    "Service",
    "Text",
    "Tmpfs",
    "Ulimit",
    "Volume",
    "Workload",
    "Zone",
    "certificate",
    "is_secret",
    "private_key",
    "raise_problems",
    "render",
]
