"""Docker: the platform of a stack on one machine."""

from config import ImageSource, Settings, read_seed
from images.choose import choose
from images.source import Source
from platforms.docker import host, networks, refusals, repair
from platforms.docker.images import Images
from platforms.docker.names import Names, owner_of
from platforms.docker.platform import DockerPlatform
from workload import Override, Overrides, refuse
from workload.secrets import DerivedSecrets


def create(settings: Settings, project: str, stack: str) -> DockerPlatform:
    """The platform of a stack by its settings, with what its Docker host is like."""
    refuse(refusals.of_settings(settings))
    seed = read_seed(settings)
    client = host.connect()
    names = Names(
        project=project,
        stack=stack,
        system=settings.system,
        owner=owner_of(seed),
    )
    return DockerPlatform(
        client=client,
        names=names,
        host=host.inspect(client, names),
        images=Images(client, image_source(settings)),
        hooks=repair.hooks(client, names),
        secrets=DerivedSecrets(seed, stack, settings.secret_generations),
        overrides=Overrides(
            services={
                name: Override(**changed.model_dump())
                for name, changed in settings.services.items()
            },
            profiles=frozenset(settings.profiles),
            secret_owners=frozenset(settings.secret_generations),
        ),
        addresses=settings.network.range or networks.default_range(stack),
        reserved_memory_mib=settings.host.reserved_memory_mib,
    )


def image_source(settings: Settings) -> Source:
    """Where the images of the stack come from."""
    return choose(None if settings.images is ImageSource.AUTO else settings.images)[0]
