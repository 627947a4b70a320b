"""Everything that keeps data: a datastore of each engine, and an application with a volume."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs, Engine
from strata.config import Settings
from strata.model import Resources, Volume
from strata.platforms.platform import Platform


def compose(platform: Platform, settings: Settings) -> None:
    del settings
    Datastore("postgres", DatastoreArgs(platform=platform, engine=Engine.POSTGRES))
    Datastore("redis", DatastoreArgs(platform=platform, engine=Engine.REDIS))
    rabbitmq = Datastore("rabbitmq", DatastoreArgs(platform=platform, engine=Engine.RABBITMQ))
    AppService(
        "keeper",
        AppServiceArgs(
            platform=platform,
            image="probe-server",
            resources=Resources(memory_mib=64, cpu=0.5),
            # A link, so that the broker listens on a network at all.
            connections={"RABBITMQ": rabbitmq.connection},
            volumes=(Volume(name="files", path="/data"),),
        ),
    )
