"""Files of services and jobs: an immutable Secret or ConfigMap per folder, named by its content.

A changed file changes the name, so only pods that mount it are replaced, and the old ones keep the
files that they started with until they stop.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import pulumi
from pulumi_kubernetes.core import v1 as core

from strata.config.settings import RegistryCredentials
from strata.model import RenderContext, Workload, is_secret, render_file
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes.objects import Objects, WorkloadObjects

PULL_SECRET = "registries"  # noqa: S105 - a name
"""The Secret with the logins of private image registries."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The files of one folder; `secret` if any of them is. `name`: of the object."""

    path: str
    name: pulumi.Input[str]
    key: str
    secret: bool
    contents: Mapping[str, pulumi.Input[str]]


def folders(
    workload: Workload, context: RenderContext, secrets: DerivedSecrets
) -> tuple[Folder, ...]:
    """The folders with files of a service or a job."""
    owner = workload.name
    contents_by_path: dict[str, dict[str, pulumi.Input[str]]] = defaultdict(dict)
    secret: set[str] = set()
    for file in workload.files:
        location = PurePosixPath(file.path)
        contents_by_path[str(location.parent)][location.name] = render_file(file.content, context)
        if is_secret(file.content):
            secret.add(str(location.parent))
    result = []
    for path, contents in sorted(contents_by_path.items()):
        key = f"{owner}-{re.sub(r'[^a-z0-9]+', '-', path.lower()).strip('-')}"
        fingerprint = secrets.fingerprint_of(contents, partial(_describe, path))
        # Names end at 253 characters (RFC 1123 subdomain).
        prefix = f"{key[:240].rstrip('-')}-"
        result.append(
            Folder(
                path=path,
                name=f"{prefix}{fingerprint}"
                if isinstance(fingerprint, str)
                else pulumi.Output.concat(prefix, fingerprint),
                key=f"{owner}{path}",
                secret=path in secret,
                contents=contents,
            )
        )
    return tuple(result)


def _describe(path: str, contents: dict[str, str]) -> list[object]:
    return [path, contents]


def make(folder: Folder, own: WorkloadObjects) -> pulumi.Resource:
    """The Secret or ConfigMap of a folder."""
    metadata, options = own.metadata(), own.options()
    metadata.name = folder.name
    contents = dict(folder.contents)
    if not folder.secret:
        return core.ConfigMap(
            folder.key, metadata=metadata, immutable=True, data=contents, opts=options
        )
    return core.Secret(
        folder.key,
        metadata=metadata,
        immutable=True,
        type="Opaque",
        # The SDK marks it as a secret of the state (test_a_secret_is_nowhere_in_the_clear).
        string_data=contents,
        opts=options,
    )


def make_pull_secret(
    resource_name: str,
    registries: Mapping[str, RegistryCredentials],
    objects: Objects,
    namespace: pulumi.Resource,
) -> tuple[pulumi.Resource, ...]:
    """The Secret with the logins of private registries, by host; none without any."""
    if not registries:
        return ()
    logins = {
        host: {"username": login.username, "password": login.password.get_secret_value()}
        for host, login in sorted(registries.items())
    }
    return (
        core.Secret(
            resource_name,
            metadata=objects.metadata(PULL_SECRET),
            type="kubernetes.io/dockerconfigjson",
            # The SDK marks it as a secret of the state.
            string_data={".dockerconfigjson": json.dumps({"auths": logins})},
            opts=objects.options(namespace, [namespace]),
        ),
    )
