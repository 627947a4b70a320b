"""The connection to a cluster's API by a kubeconfig, with the official client, and why it fails."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import urllib3
import yaml

from strata.errors import StrataError
from strata.model import InvalidStackError, Problem

if TYPE_CHECKING:
    from kubernetes.client import Configuration
    from kubernetes.client.exceptions import ApiException

PATH = "strata:kubernetes.context"
ANSWER_SECONDS = 5
"""How long a cluster may take for one answer: five times what a call may take at the 99th percentile
(Kubernetes SLO "API call latency": 1 s for one object). A person waits for it."""


def unusable(message: str, fix: str) -> InvalidStackError:
    return InvalidStackError([Problem(PATH, message, fix)])


def configuration(context: str | None) -> "tuple[Configuration, str]":
    """The configuration of the client for a context, or for the kubeconfig's current one, and the name
    of the context. Raises `InvalidStackError` if it can't be used."""
    # Imported here: it takes a second, and only this target needs it.
    from kubernetes import client, config

    clusters, current = contexts()
    chosen = context or current
    if chosen is None or chosen not in clusters:
        fix = f"use one of: {', '.join(sorted(clusters))}" if clusters else "add a context to it"
        raise unusable(f"the kubeconfig has no context {chosen}", fix)
    loaded = client.Configuration()
    try:
        config.load_kube_config(  # type: ignore[no-untyped-call]
            context=chosen, client_configuration=loaded
        )
    except (config.ConfigException, OSError, ValueError, KeyError) as error:
        fix = "correct it until `kubectl get nodes` works"
        raise unusable(f"context {chosen} can't be used: {error}", fix) from None
    # One try: an error is reported at once.
    loaded.retries = False
    return loaded, chosen


def configuration_of(kubeconfig: str) -> "Configuration":
    """The configuration of the client for the text of a kubeconfig."""
    from kubernetes import client, config

    loaded = client.Configuration()
    config.load_kube_config_from_dict(  # type: ignore[no-untyped-call]
        yaml.safe_load(kubeconfig), client_configuration=loaded
    )
    return loaded


def contexts(
    fix: str = "set KUBECONFIG, or create ~/.kube/config",
) -> tuple[dict[str, str], str | None]:
    """The cluster of each context of the kubeconfig, and the name of the current context. Raises
    `InvalidStackError`, with the fix, if there is no kubeconfig."""
    from kubernetes import config

    try:
        entries, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
        clusters = {entry["name"]: str(entry["context"]["cluster"]) for entry in entries}
    except config.ConfigException as error:
        raise unusable(f"there is no usable kubeconfig: {error}", fix) from None
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        yaml.YAMLError,
    ) as error:  # the file's content
        raise unusable(f"the kubeconfig can't be read: {error}", fix) from None
    return clusters, str(current["name"]) if current else None


@contextmanager
def explained(
    cluster: str, rights: str, error: Callable[[str, str], StrataError] = unusable
) -> Iterator[None]:
    """Raises an error that explains why a call in the block failed. `rights`: what the user must be
    allowed to do. `error` makes the error from a message and a fix."""
    from kubernetes.client.exceptions import ApiException

    try:
        yield
        return
    except ApiException as failed:
        problem, fix = _api_problem(failed, rights)
    except urllib3.exceptions.HTTPError as failed:
        problem = _connection_problem(failed)
        fix = "check that the cluster runs and is reachable from here (`kubectl get nodes`)"
    except ValueError as failed:
        problem, fix = f"sent an unexpected answer: {failed}", "check that it is a Kubernetes API"
    raise error(f"{cluster} {problem}", fix) from None


def _api_problem(error: "ApiException", rights: str) -> tuple[str, str]:
    match error.status:
        case 0:  # the client's status for a failed handshake
            problem = f"has a certificate that the kubeconfig doesn't trust: {_reason(error)}"
            return problem, "update the kubeconfig, with the cluster's certificate authority"
        case 401:
            fix = "log in again, so that `kubectl get nodes` works"
            return "doesn't accept the credentials", fix
        case 403:
            problem = f"doesn't let this user {rights}: {_reason(error)}"
            return problem, "use a user who may"
        case status:
            return f"answered {status} {_reason(error)}", "check the logs of its API server"


def _reason(error: "ApiException") -> str:
    """The message of the API server, or else that of HTTP."""
    try:
        message = json.loads(error.body or "")["message"]
    except (KeyError, TypeError, ValueError):
        message = error.reason
    return " ".join(str(message).split())


def _connection_problem(error: Exception) -> str:
    match error:
        case urllib3.exceptions.NameResolutionError():
            return "has a name that doesn't resolve"
        case urllib3.exceptions.NewConnectionError():
            return f"doesn't answer: {error}"
        case urllib3.exceptions.TimeoutError():
            return f"didn't answer within {ANSWER_SECONDS} s"
        case _:
            return f"doesn't answer: {error}"
