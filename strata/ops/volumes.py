"""Reads and writes volumes, in short-lived containers with one volume and no network.

Such a container runs the service's own image, which the engine has. It runs as root with only
`CAPABILITIES`: a volume may hold files of any user, and all of them must be read, moved and
removed. The Docker engine itself unpacks archives, which can be streamed to it.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from strata.errors import OpsError
from strata.ops import scripts
from strata.ops.content import ROOT
from strata.ops.running_stack import DataService, DataVolume
from strata.platforms.docker import leftovers
from strata.platforms.docker.names import KIND, OWNER, STACK, ResourceNames

BACKUP_KIND = "backup"
MEMORY_MIB = 128
PROCESSES_MAXIMUM = 32
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
"""To set the owner of the volume's folder, to read files whatever their mode, to move files of other
users, and to set a mode with a set-group bit."""
FOLDER = "/volume"
"""Where the volume is mounted, except to archive it: then at /`ROOT`, the top folder of archives."""


class Volumes:
    """The volumes of one stack."""

    def __init__(self, client: Any, names: ResourceNames) -> None:
        self._client = client
        self._api = client.api
        self._names = names

    def read(self, service: DataService, volume: DataVolume) -> Generator[bytes, None, None]:
        """The whole volume as a tar. Close it unless you read it to its end."""
        return self._output(service, volume, scripts.READ, f"/{ROOT}", read_only=True)

    def read_staged(self, service: DataService, volume: DataVolume) -> Generator[bytes, None, None]:
        """The content that `stage` unpacked, as a tar."""
        return self._output(service, volume, scripts.READ_STAGED, FOLDER, read_only=True)

    def stage(self, service: DataService, volume: DataVolume, archive: Iterable[bytes]) -> None:
        """Unpacks an archive beside the content of the volume."""
        with self._container(service, volume, "true", FOLDER, read_only=False) as container:
            self._api.put_archive(container, FOLDER, iter(archive))

    def run(self, service: DataService, volume: DataVolume, script: str) -> None:
        """Runs one of `scripts` in the volume. Raises `OpsError` if it fails."""
        for _ in self._output(service, volume, script, FOLDER, read_only=False):
            pass

    def remove_leftovers(self) -> None:
        """Removes the containers of an interrupted backup or restore."""
        labels = {STACK: self._names.stack, OWNER: self._names.owner, KIND: BACKUP_KIND}
        leftovers.remove(self._client, labels)

    def _output(
        self, service: DataService, volume: DataVolume, script: str, folder: str, *, read_only: bool
    ) -> Generator[bytes, None, None]:
        """The output of the script. Raises `OpsError` at its end if the script failed."""
        with self._container(service, volume, script, folder, read_only=read_only) as container:
            errors = b""
            attached = self._api.attach(
                container, stdout=True, stderr=True, stream=True, demux=True
            )
            with closing(attached):
                self._api.start(container)
                for output, error in attached:
                    if output:
                        yield output
                    errors = (errors + (error or b""))[-2000:]
            status = self._api.wait(container)["StatusCode"]
            if status != 0:
                message = errors.decode(errors="replace").strip() or f"status {status}"
                raise OpsError(f"volume {volume.docker_name}: {message}")

    @contextmanager
    def _container(
        self, service: DataService, volume: DataVolume, script: str, folder: str, *, read_only: bool
    ) -> Iterator[str]:
        from docker.types import LogConfig, Mount

        api = self._api
        # no_copy: an empty volume must not be filled from the image.
        mount = Mount(folder, volume.docker_name, type="volume", read_only=read_only, no_copy=True)
        container = api.create_container(
            service.image_id,
            name=f"{self._names.prefix}-{BACKUP_KIND}",
            entrypoint=["bash", "-euc"],
            command=[script],
            user="0:0",
            working_dir=folder,
            labels={**self._names.labels(), KIND: BACKUP_KIND},
            environment={"NVIDIA_VISIBLE_DEVICES": "void"},
            healthcheck={"test": ["NONE"]},
            host_config=api.create_host_config(
                mounts=[mount],
                network_mode="none",
                read_only=True,
                cap_drop=["ALL"],
                cap_add=list(CAPABILITIES),
                security_opt=["no-new-privileges:true"],
                mem_limit=f"{MEMORY_MIB}m",
                memswap_limit=f"{MEMORY_MIB}m",
                pids_limit=PROCESSES_MAXIMUM,
                log_config=LogConfig(type="none"),
            ),
        )["Id"]
        try:
            yield container
        finally:
            leftovers.remove_container(self._client, container)
