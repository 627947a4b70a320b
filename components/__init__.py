"""What a person composes a stack of."""

from components.app_job import AppJob, AppJobArgs
from components.app_service import AppService, AppServiceArgs
from components.connection import Connection
from components.datastore import Datastore, DatastoreArgs, Engine
from components.gateway import Gateway, GatewayArgs, Route
from components.gpu_service import GpuService, GpuServiceArgs

__all__ = [
    "AppJob",
    "AppJobArgs",
    "AppService",
    "AppServiceArgs",
    "Connection",
    "Datastore",
    "DatastoreArgs",
    "Engine",
    "Gateway",
    "GatewayArgs",
    "GpuService",
    "GpuServiceArgs",
    "Route",
]
