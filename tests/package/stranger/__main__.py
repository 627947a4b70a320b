"""A GPU service and its database, in a program that isn't Strata's."""

import pulumi

from strata.components import Datastore, DatastoreArgs, GpuService, GpuServiceArgs
from strata.components.engines.postgres import POSTGRES
from strata.model import Gpu, GpuMode, Resources
from strata.stack import open_stack

with open_stack() as stack:
    database = Datastore("database", DatastoreArgs(stack=stack, engine=POSTGRES))
    GpuService(
        "model",
        GpuServiceArgs(
            stack=stack,
            image="./model",
            resources=Resources(memory_mib=128, cpu=0.25),
            gpu=Gpu(mode=GpuMode.PREFER),
            connections={"DATABASE": database.connection},
        ),
    )

pulumi.export("greeting", pulumi.Config().require("greeting"))
