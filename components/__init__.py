"""The components that a stack is composed of."""

from strata.components.app_job import AppJob, AppJobArgs
from strata.components.app_service import AppService, AppServiceArgs
from strata.components.connection import Connection
from strata.components.datastore import Datastore, DatastoreArgs
from strata.components.engines.engine import Engine
from strata.components.gateway import Gateway, GatewayArgs, Route
from strata.components.gpu_service import GpuService, GpuServiceArgs

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
