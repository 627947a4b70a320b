"""Docker: a stack on one machine."""

from strata import docker_engine
from strata.config import ImageSource, Settings, read_seed
from strata.errors import raise_problems
from strata.images.choose import choose
from strata.images.source import Source
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import host, networks, repair, unsupported
from strata.platforms.docker.images import ImageResolver
from strata.platforms.docker.names import ResourceNames, owner_of
from strata.platforms.docker.platform import DockerPlatform


def create(settings: Settings, project: str, stack: str) -> DockerPlatform:
    """The platform for the Docker engine that the environment selects, with the facts of its host."""
    raise_problems(unsupported.settings_problems(settings))
    seed = read_seed(settings)
    client = docker_engine.connect()
    names = ResourceNames(
        project=project, stack=stack, system=settings.system, owner=owner_of(seed)
    )
    return DockerPlatform(
        client=client,
        names=names,
        host=host.discover(client, names),
        images=ImageResolver(client, image_source(settings), settings.registries),
        hooks=repair.hooks(client, names),
        secrets=DerivedSecrets(seed, stack, settings.secret_generations),
        addresses=settings.network.range or networks.default_range(stack),
        reserved_memory_mib=settings.host.reserved_memory_mib,
    )


def image_source(settings: Settings) -> Source:
    """Where the stack gets its images."""
    return choose(None if settings.images is ImageSource.AUTO else settings.images)[0]
