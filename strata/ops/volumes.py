"""Reading and writing volumes, by short-lived containers that see one volume and no network.

Such a container is made of the service's own image, which is sure to be there. It runs as root
with `CAPABILITIES` alone: a volume may hold files of any user, and all of them must be read, moved
and removed. Only the unpacking is the engine's work, to which an archive can be streamed.
"""

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from strata.ops import scripts
from strata.ops.content import ROOT
from strata.ops.errors import OpsError
from strata.ops.stack import DataService, DataVolume
from strata.platforms.docker.names import KIND, OWNER, STACK, ResourceNames

BACKUP_KIND = "backup"
MEMORY_MIB = 128
PROCESSES_MAXIMUM = 32
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
"""To give the volume's own folder its owner, to pass over the modes of files, to move what others
own, and to set a mode with a set-group bit."""
CONFLICT = 409
REMOVAL_TRIES = 100
REMOVAL_PAUSE_SECONDS = 0.1
FOLDER = "/volume"
"""Where the volume lies in the container, but for the archive of a whole volume, which is read
from /`ROOT`, so that this becomes the name of its folder."""


class Volumes:
    """The volumes of one stack."""

    def __init__(self, client: Any, names: ResourceNames) -> None:
        self._api = client.api
        self._names = names

    def read(self, service: DataService, volume: DataVolume) -> Generator[bytes, None, None]:
        """The whole volume as a tar. Whoever does not read it to its end closes it."""
        return self._output(service, volume, scripts.READ, f"/{ROOT}", read_only=True)

    def read_staged(self, service: DataService, volume: DataVolume) -> Generator[bytes, None, None]:
        """What `stage` unpacked, as a tar."""
        return self._output(service, volume, scripts.READ_STAGED, FOLDER, read_only=True)

    def prepare(self, service: DataService, volume: DataVolume) -> None:
        """Clears away what a restore that was killed has left."""
        self._run(service, volume, scripts.PREPARE)

    def stage(self, service: DataService, volume: DataVolume, archive: Iterable[bytes]) -> None:
        """Unpacks an archive beside the content of the volume."""
        with self._container(service, volume, "true", FOLDER, read_only=False) as container:
            self._api.put_archive(container, FOLDER, iter(archive))

    def exchange(self, service: DataService, volume: DataVolume) -> None:
        """Puts what was staged in the place of the content, which is kept until `commit`."""
        self._run(service, volume, scripts.EXCHANGE)

    def undo(self, service: DataService, volume: DataVolume) -> None:
        """Brings the volume back to what it was before `stage`, whatever was done since."""
        self._run(service, volume, scripts.UNDO)

    def commit(self, service: DataService, volume: DataVolume) -> None:
        """Removes the content that was replaced."""
        self._run(service, volume, scripts.COMMIT)

    def remove_leftovers(self) -> None:
        """Removes the containers of a backup or restore that was killed."""
        labels = {STACK: self._names.stack, OWNER: self._names.owner, KIND: BACKUP_KIND}
        found = self._api.containers(
            all=True, filters={"label": [f"{label}={value}" for label, value in labels.items()]}
        )
        for one in found:
            self._remove(one["Id"])

    def _run(self, service: DataService, volume: DataVolume, script: str) -> None:
        for _ in self._output(service, volume, script, FOLDER, read_only=False):
            pass

    def _output(
        self,
        service: DataService,
        volume: DataVolume,
        script: str,
        folder: str,
        *,
        read_only: bool,
    ) -> Generator[bytes, None, None]:
        """What the script prints. Raises `OpsError` at the end where it failed."""
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
                said = errors.decode(errors="replace").strip() or f"status {status}"
                raise OpsError(f"volume {volume.docker_name}: {said}")

    @contextmanager
    def _container(
        self,
        service: DataService,
        volume: DataVolume,
        script: str,
        folder: str,
        *,
        read_only: bool,
    ) -> Iterator[str]:
        from docker.types import LogConfig, Mount

        api = self._api
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
                # no_copy: an empty volume must not be filled from the image.
                mounts=[
                    Mount(
                        folder,
                        volume.docker_name,
                        type="volume",
                        read_only=read_only,
                        no_copy=True,
                    )
                ],
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
            self._remove(container)

    def _remove(self, container: str) -> None:
        from docker.errors import APIError, NotFound

        for _ in range(REMOVAL_TRIES):
            try:
                # v: the anonymous volumes that its image asks for; never a named one.
                self._api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                # An interrupted removal goes on in the engine, which says so: wait for its end.
                if error.status_code != CONFLICT:
                    raise
                time.sleep(REMOVAL_PAUSE_SECONDS)
            else:
                return
        raise OpsError(f"container {container[:12]} cannot be removed; `docker rm -f` it")
