"""A GPU service and its database, in a program that isn't Strata's."""

import pulumi
from pulumi.runtime.config import CONFIG

from strata import config
from strata.components import Datastore, DatastoreArgs, Engine, GpuService, GpuServiceArgs
from strata.model import Gpu, GpuMode, Resources
from strata.platforms import choose

settings = config.load(CONFIG.get(), "strata")
platform = choose(settings, pulumi.get_project(), pulumi.get_stack())
database = Datastore("database", DatastoreArgs(platform=platform, engine=Engine.POSTGRES))
GpuService(
    "model",
    GpuServiceArgs(
        platform=platform,
        image="probe-server",
        resources=Resources(memory_mib=128, cpu=0.25),
        gpu=Gpu(mode=GpuMode.PREFER),
        connections={"DATABASE_URL": database.connection},
    ),
)
for name, value in platform.deploy().outputs.items():
    pulumi.export(name, value)
pulumi.export("greeting", pulumi.Config().require("greeting"))
