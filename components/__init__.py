"""The components that a stack is composed of."""

from strata.components.app_job import AppJob as AppJob
from strata.components.app_job import AppJobArgs as AppJobArgs
from strata.components.app_service import AppService as AppService
from strata.components.app_service import AppServiceArgs as AppServiceArgs
from strata.components.connection import Connection as Connection
from strata.components.datastore import Datastore as Datastore
from strata.components.datastore import DatastoreArgs as DatastoreArgs
from strata.components.engines.engine import Engine as Engine
from strata.components.external_service import ExternalService as ExternalService
from strata.components.external_service import ExternalServiceArgs as ExternalServiceArgs
from strata.components.gateway import Credential as Credential
from strata.components.gateway import Gateway as Gateway
from strata.components.gateway import GatewayArgs as GatewayArgs
from strata.components.gateway import Route as Route
from strata.components.gpu_service import GpuService as GpuService
from strata.components.gpu_service import GpuServiceArgs as GpuServiceArgs
from strata.components.observability.component import ObservabilityStack as ObservabilityStack
from strata.components.observability.component import (
    ObservabilityStackArgs as ObservabilityStackArgs,
)
from strata.components.ray_cluster import RayCluster as RayCluster
from strata.components.ray_cluster import RayClusterArgs as RayClusterArgs
from strata.components.ray_cluster import RayWorkers as RayWorkers
