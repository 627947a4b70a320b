"""What the wrapper of the CLI checks before a run: that the state of the stack can be read, belongs to this seed, and
agrees with the Docker engine; that no killed run left it with pending operations on a cluster; and that `destroy` won't
stop half-way.

    python -S toolchain/preflight.py up --stack dev

Prints an argument to add to the command: `--refresh` if something of the stack no longer exists in Docker. Uses only
the standard library, without site-packages: it runs before each `pulumi up`.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from strata.errors import SetupError, exit_on_error

REFRESH = "--refresh"
KINDS = {
    "docker:index/container:Container": "containers",
    "docker:index/network:Network": "networks",
    "docker:index/volume:Volume": "volumes",
}
STRATA = Path(__file__).resolve().parent.parent / ".toolchain" / "bin" / "strata"
SOCKET = "unix:///var/run/docker.sock"
ENGINE_SECONDS = 10


def main(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Returns the arguments to add. Raises `SetupError`."""
    backend = environment.get("PULUMI_BACKEND_URL", "")
    name = stack_of(arguments, folder, environment)
    if not backend.startswith("file://") or not name:
        return []
    state = Path(backend.removeprefix("file://")) / ".pulumi"
    deployments = _deployments(state, name)
    destroys = "destroy" in arguments
    # A destroy doesn't run the program, which knows whether the cluster is the stack's.
    empties_cluster = destroys and any(map(is_on_cluster, _resources(deployments)))
    # A cluster that is gone can't be looked at: with this variable, Pulumi's provider does without it.
    is_gone = environment.get("PULUMI_K8S_DELETE_UNREACHABLE") == "true"
    if (empties_cluster or any(map(is_pending_on_cluster, deployments))) and not is_gone:
        repair_on_cluster(name, folder)
        deployments = _deployments(state, name)
    resources = _resources(deployments)
    if destroys:
        check_protected(resources, name, arguments)
    own = [each for each in resources if labels(each).get("strata.stack") == name]
    check_seed(own, name, folder, environment)
    if REFRESH in arguments or not {"up", "update", "preview"} & {*arguments}:
        return []
    missing = missing_in_docker(own, name, environment)
    # The data of a volume in a folder of the host is there without the volume.
    lost = [
        each
        for each in missing
        if "strata.backup" in labels(each) and not each["inputs"].get("driverOpts")
    ]
    if lost:
        raise SetupError(
            f"stack {name}: volumes with data no longer exist in Docker: {names(lost)}",
            "check that this is the right Docker engine; if they are lost, `pulumi up --refresh` creates them empty;"
            " then restore a backup (docs/operations.md)",
        )
    if missing:
        print(f"No longer in Docker, created again: {names(missing)}", file=sys.stderr)
    return [REFRESH] if missing else []


def stack_of(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """The stack of a command: the option, or else the selected one."""
    for index, argument in enumerate(arguments):
        if argument.startswith("--stack="):
            return argument.removeprefix("--stack=").rpartition("/")[2]
        if argument in ("--stack", "-s") and index + 1 < len(arguments):
            return arguments[index + 1].rpartition("/")[2]
    if name := environment.get("PULUMI_STACK"):
        return name.rpartition("/")[2]
    for parent in (folder, *folder.parents):
        project = parent / "Pulumi.yaml"
        if project.is_file():
            # Pulumi's name of the file that has the selected stack of a project.
            digest = hashlib.sha1(str(project).encode(), usedforsecurity=False).hexdigest()
            home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
            for file in home.glob(f"workspaces/*-{digest}-workspace.json"):
                return str(json.loads(file.read_text()).get("stack") or "").rpartition("/")[2]
            break
    return ""


def _deployments(state: Path, name: str) -> list[dict[str, Any]]:
    return [read(path).get("latest") or {} for path in state.glob(f"stacks/*/{name}.json")]


def _resources(deployments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [each for found in deployments for each in found.get("resources") or ()]


def is_on_cluster(resource: Mapping[str, Any]) -> bool:
    return str(resource["type"]).startswith("kubernetes:")


def is_pending_on_cluster(deployment: Mapping[str, Any]) -> bool:
    """Whether a killed run left operations on Kubernetes objects."""
    pending = deployment.get("pending_operations") or ()
    return any(is_on_cluster(each["resource"]) for each in pending)


def repair_on_cluster(name: str, folder: Path) -> None:
    """Records what a killed run created in a cluster: the next one would fail because it exists already. Fails if the
    kubeconfig leads to another cluster than the stack's."""
    command = [str(STRATA), "repair", "--stack", name]
    # The output of this program is the CLI's arguments.
    if status := subprocess.run(command, cwd=folder, stdout=sys.stderr, check=False).returncode:
        raise SystemExit(status)


def check_protected(
    resources: Sequence[Mapping[str, Any]], name: str, arguments: Sequence[str]
) -> None:
    """Rejects a destroy that would remove everything else, and then fail at what is protected."""
    protected = [str(each["urn"]).rpartition("::")[2] for each in resources if each.get("protect")]
    chosen = ("--exclude-protected", "--target", "-t", "--exclude")
    if protected and not any(each.split("=")[0] in chosen for each in arguments):
        raise SetupError(
            f"stack {name}: a destroy would stop half-way, at what is protected: "
            f"{', '.join(sorted(set(protected)))}",
            "add --exclude-protected to keep them; to delete them and their data:"
            f" `pulumi state unprotect --all --stack {name}`",
        )


def read(path: Path) -> dict[str, Any]:
    """The checkpoint in a file of the state."""
    try:
        return dict(json.loads(path.read_text())["checkpoint"])
    except (ValueError, KeyError, TypeError):
        pass
    problem = f"the state of the stack {path.stem} is damaged: {path}"
    if (backup := newest_backup(path)) is None:
        raise SetupError(
            problem, "restore the file from your backup; Pulumi has no readable copy of it"
        )
    raise SetupError(
        problem,
        "restore Pulumi's newest readable copy, and compare it with Docker:\n"
        f"      cp {backup} {path}\n"
        f"      pulumi up --refresh --stack {path.stem}",
    )


def newest_backup(path: Path) -> Path | None:
    """The newest copy of a state that can be read."""
    folder = path.parents[2] / "backups" / path.parent.name / path.stem
    copies = [*folder.glob("*.json"), path.with_name(f"{path.name}.bak")]
    for copy in sorted(filter(Path.is_file, copies), key=_modified, reverse=True):
        try:
            if json.loads(copy.read_text())["checkpoint"]["latest"]:
                return copy
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def labels(resource: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a Docker resource in the state."""
    if resource.get("type") not in KINDS:
        return {}
    return {each["label"]: each["value"] for each in resource["inputs"].get("labels") or ()}


def names(resources: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(sorted(each["inputs"]["name"] for each in resources))


def check_seed(
    resources: Sequence[Mapping[str, Any]],
    name: str,
    folder: Path,
    environment: Mapping[str, str],
) -> None:
    """Rejects a seed other than the one that the stack was created with."""
    file = environment.get("STRATA_SEED_FILE")
    settings = [parent / f"Pulumi.{name}.yaml" for parent in (folder, *folder.parents)]
    own_seed = any("strata:seed:" in path.read_text() for path in settings if path.is_file())
    owners = {labels(each).get("strata.owner") for each in resources}
    if not file or own_seed or not owners:
        return
    seed = Path(file).read_text().strip() if Path(file).is_file() else ""
    # As strata/platforms/docker/names.py; its imports take longer than this program.
    owner = hashlib.sha256(b"strata owner" + seed.encode()).hexdigest()[:12]
    if owners != {owner}:
        raise SetupError(
            f"stack {name}: the seed in {file} is {'not the one' if seed else 'missing; it is one'} that the stack was"
            " created with",
            "restore it from your backup. If it is lost, `STRATA_SEED_FILE= pulumi destroy` deletes the stack and keeps"
            " its volumes with data",
        )


def missing_in_docker(
    resources: Sequence[dict[str, Any]], name: str, environment: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The resources that the engine no longer has. Empty if it doesn't answer: the program reports that."""
    if not resources:
        return []
    address = environment.get("DOCKER_HOST") or SOCKET
    if not address.startswith("unix://") or environment.get("DOCKER_CONTEXT"):
        return []
    try:
        existing = set(ids(address.removeprefix("unix://"), name))
    except (OSError, http.client.HTTPException, ValueError):
        return []
    # Pulumi is about to delete a replaced one.
    return [each for each in resources if each["id"] not in existing and not each.get("delete")]


def ids(path: str, stack: str) -> Iterator[str]:
    """The ids of the containers and networks and the names of the volumes of a stack."""
    filters = quote(json.dumps({"label": [f"strata.stack={stack}"]}))
    for kind, key in (("containers/json", "Id"), ("networks", "Id"), ("volumes", "Name")):
        connection = http.client.HTTPConnection("docker", timeout=ENGINE_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(ENGINE_SECONDS)
        connection.sock.connect(path)
        connection.request("GET", f"/{kind}?all=1&filters={filters}")
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        if response.status != http.client.OK:
            raise ValueError(answer)
        listed = answer["Volumes"] or () if kind == "volumes" else answer
        yield from (str(each[key]) for each in listed)


if __name__ == "__main__":
    with exit_on_error():
        print(*main(sys.argv[1:], Path.cwd(), os.environ))
