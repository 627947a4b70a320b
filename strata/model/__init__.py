"""The plain data of Strata: what a stack is made of, before any platform is chosen.

Nothing here imports Pulumi, so all of it is tested without an engine.
"""

from strata.errors import InvalidStackError, Problem, raise_problems
from strata.model.budget import Budget, Capacity
from strata.model.composition import Composition
from strata.model.gpu import Gpu, GpuMode, GpuSharing
from strata.model.job import Job
from strata.model.overrides import Override, Overrides
from strata.model.service import (
    Capability,
    Endpoint,
    ExecProbe,
    File,
    HttpProbe,
    Kind,
    Link,
    LogRotation,
    Port,
    Probe,
    Resources,
    Restart,
    Service,
    Tmpfs,
    Ulimit,
    Volume,
    Workload,
)
from strata.model.text import (
    ByDevice,
    Certificate,
    Cores,
    HostName,
    Listen,
    MemoryMib,
    NameServer,
    Password,
    PasswordHash,
    PrivateKey,
    RenderContext,
    Text,
    is_secret,
    render,
)
from strata.model.zone import Zone

__all__ = [
    "Budget",
    "ByDevice",
    "Capability",
    "Capacity",
    "Certificate",
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
    "Override",
    "Overrides",
    "Password",
    "PasswordHash",
    "Port",
    "PrivateKey",
    "Probe",
    "Problem",
    "RenderContext",
    "Resources",
    "Restart",
    "Service",
    "Text",
    "Tmpfs",
    "Ulimit",
    "Volume",
    "Workload",
    "Zone",
    "is_secret",
    "raise_problems",
    "render",
]
