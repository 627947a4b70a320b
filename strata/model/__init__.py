"""The model: what a stack consists of, as plain data that no platform is part of.

Nothing here imports Pulumi, so tests need no engine.
"""

from strata.errors import InvalidStackError as InvalidStackError
from strata.errors import Problem as Problem
from strata.errors import raise_problems as raise_problems
from strata.model.budget import Budget as Budget
from strata.model.budget import Capacity as Capacity
from strata.model.composition import Composition as Composition
from strata.model.gpu import Gpu as Gpu
from strata.model.gpu import GpuMode as GpuMode
from strata.model.gpu import GpuSharing as GpuSharing
from strata.model.network import Endpoint as Endpoint
from strata.model.network import Link as Link
from strata.model.network import Port as Port
from strata.model.network import Protocol as Protocol
from strata.model.overrides import Overrides as Overrides
from strata.model.secrets import Secret as Secret
from strata.model.secrets import certificate as certificate
from strata.model.secrets import private_key as private_key
from strata.model.text import ByDevice as ByDevice
from strata.model.text import Cores as Cores
from strata.model.text import HostName as HostName
from strata.model.text import Listen as Listen
from strata.model.text import MemoryMib as MemoryMib
from strata.model.text import NameServer as NameServer
from strata.model.text import Ordinal as Ordinal
from strata.model.text import Peers as Peers
from strata.model.text import RenderContext as RenderContext
from strata.model.text import ReplicaHost as ReplicaHost
from strata.model.text import Text as Text
from strata.model.text import is_secret as is_secret
from strata.model.text import render as render
from strata.model.workload import TMP as TMP
from strata.model.workload import Capability as Capability
from strata.model.workload import ExecProbe as ExecProbe
from strata.model.workload import File as File
from strata.model.workload import HttpProbe as HttpProbe
from strata.model.workload import Job as Job
from strata.model.workload import Kind as Kind
from strata.model.workload import LogRotation as LogRotation
from strata.model.workload import Probe as Probe
from strata.model.workload import Resources as Resources
from strata.model.workload import Restart as Restart
from strata.model.workload import Service as Service
from strata.model.workload import Tmpfs as Tmpfs
from strata.model.workload import Ulimit as Ulimit
from strata.model.workload import Volume as Volume
from strata.model.workload import Workload as Workload
from strata.model.workload import Zone as Zone
