"""The plain data of Strata: what a stack is made of, before any platform is chosen.

Nothing here imports Pulumi, so all of it is tested without an engine.
"""

from workload.budget import Budget, Capacity
from workload.composition import Composition
from workload.gpu import Gpu, GpuMode, GpuSharing
from workload.job import Job
from workload.mistakes import Mistake, MistakesError, refuse
from workload.overrides import Override, Overrides
from workload.service import (
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
    Process,
    Resources,
    Restart,
    Service,
    Tmpfs,
    Ulimit,
    Volume,
)
from workload.text import (
    Accelerator,
    Certificate,
    Cores,
    HostName,
    Listen,
    MemoryMib,
    NameServer,
    Password,
    PasswordHash,
    Placement,
    PrivateKey,
    Text,
    is_secret,
    render,
)
from workload.zone import Zone

__all__ = [
    "Accelerator",
    "Budget",
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
    "Job",
    "Kind",
    "Link",
    "Listen",
    "LogRotation",
    "MemoryMib",
    "Mistake",
    "MistakesError",
    "NameServer",
    "Override",
    "Overrides",
    "Password",
    "PasswordHash",
    "Placement",
    "Port",
    "PrivateKey",
    "Probe",
    "Process",
    "Resources",
    "Restart",
    "Service",
    "Text",
    "Tmpfs",
    "Ulimit",
    "Volume",
    "Zone",
    "is_secret",
    "refuse",
    "render",
]
