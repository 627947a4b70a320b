"""Docker: a stack on one machine."""

from strata import docker_engine
from strata.config import ImageSource, Settings, read_secrets, read_seed
from strata.errors import raise_problems
from strata.images.choose import choose
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import host, unsupported
from strata.platforms.docker.addresses import Addresses, default_range
from strata.platforms.docker.files import FileVolumes
from strata.platforms.docker.hooks import hooks
from strata.platforms.docker.images import ImageResolver
from strata.platforms.docker.names import ResourceNames, owner_of
from strata.platforms.docker.platform import DockerPlatform


def create(settings: Settings, project: str, stack: str) -> DockerPlatform:
    """The platform for the Docker engine that the environment selects, with the facts of its host."""
    external = read_secrets(settings.secrets)
    raise_problems([*unsupported.settings_problems(settings), *external.problems])
    seed = read_seed(settings)
    client = docker_engine.connect()
    source, _ = choose(None if settings.images is ImageSource.AUTO else settings.images)
    names = ResourceNames(
        project=project, stack=stack, system=settings.system, owner=owner_of(seed)
    )
    secrets = DerivedSecrets(seed, stack, settings.secret_generations)
    needs_quotas = any(
        volume.size_gib is not None
        for service in settings.services.values()
        for volume in (service.volumes or {}).values()
    )
    found = host.discover(client, names, needs_quotas=needs_quotas)
    files = FileVolumes(names=names, host=found, secrets=secrets)
    return DockerPlatform(
        client=client,
        names=names,
        host=found,
        images=ImageResolver(client, source, settings.registries),
        hooks=hooks(client, names, files.files),
        files=files,
        secrets=secrets,
        addresses=Addresses(
            stack=settings.network.range or default_range(stack), zones=settings.network.zones
        ),
        external_secrets=external.values,
        reserved_memory_mib=settings.host.reserved_memory_mib,
    )
