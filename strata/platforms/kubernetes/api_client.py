"""How a cluster is queried: by a kubeconfig, once, with a reason if there is no answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import urllib3
from yaml import YAMLError

from strata.model import InvalidStackError, Problem

if TYPE_CHECKING:
    from kubernetes.client import Configuration

T = TypeVar("T")

PATH = "strata:kubernetes.context"
ANSWER_SECONDS = 5
"""How long a cluster may take for one answer: five times what a call may take at the 99th percentile
(Kubernetes SLO "API call latency": 1 s for one object). A person waits for it."""


def configuration(context: str | None) -> "tuple[Configuration, str]":
    """The configuration of the client, and the name of the context."""
    from kubernetes import client, config

    fix = "set KUBECONFIG, or create ~/.kube/config"
    try:
        contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise _unusable(f"there is no usable kubeconfig: {error}", fix) from None
    except (OSError, TypeError, ValueError, YAMLError) as error:  # depends on the file's content
        raise _unusable(f"the kubeconfig can't be read: {error}", fix) from None
    names = sorted(entry["name"] for entry in contexts)
    chosen = context or (str(current["name"]) if current else None)
    if chosen is None or chosen not in names:
        fix = f"use one of: {', '.join(names)}" if names else "add a context to it"
        raise _unusable(f"the kubeconfig has no context {chosen}", fix)
    loaded = client.Configuration()
    try:
        config.load_kube_config(  # type: ignore[no-untyped-call]
            context=chosen, client_configuration=loaded
        )
    except (config.ConfigException, OSError, ValueError, KeyError) as error:
        fix = "correct it until `kubectl get nodes` works"
        raise _unusable(f"context {chosen} can't be used: {error}", fix) from None
    # One try: an error is reported at once.
    loaded.retries = False
    return loaded, chosen


@dataclass(frozen=True)
class ApiClient:
    """Queries the API server, and explains why there is no answer."""

    context: str
    address: str

    def __call__(self, query: Callable[[], T]) -> T:
        from kubernetes.client.exceptions import ApiException

        try:
            return query()
        except ApiException as error:
            problem, fix = _api_problem(error.status, " ".join(str(error.reason).split()))
        except urllib3.exceptions.HTTPError as error:
            problem, fix = _connection_problem(error)
        except ValueError as error:
            problem, fix = (
                f"sent an unexpected answer: {error}",
                "check that it is a Kubernetes API",
            )
        message = f"the cluster of context {self.context} ({self.address}) {problem}"
        raise _unusable(message, fix) from None


def _api_problem(status: int, reason: str) -> tuple[str, str]:
    match status:
        case 0:  # the client's status for a failed handshake
            problem = f"has a certificate that the kubeconfig doesn't trust: {reason}"
            return problem, "update the kubeconfig, with the cluster's certificate authority"
        case 401:
            return (
                "doesn't accept the credentials",
                "log in again, so that `kubectl get nodes` works",
            )
        case 403:
            problem = "doesn't let this user read nodes, storage classes and versions"
            return problem, "use a user who may, and who may create namespaces"
        case _:
            return f"answered {status} {reason}", "check the logs of its API server"


def _connection_problem(error: Exception) -> tuple[str, str]:
    fix = "check that the cluster runs and is reachable from here (`kubectl get nodes`)"
    match error:
        case urllib3.exceptions.NameResolutionError():
            return "has a name that doesn't resolve", fix
        case urllib3.exceptions.NewConnectionError():
            return f"doesn't answer: {error}", fix
        case urllib3.exceptions.TimeoutError():
            return f"didn't answer within {ANSWER_SECONDS} s", fix
        case _:
            return f"doesn't answer: {error}", fix


def _unusable(message: str, fix: str) -> InvalidStackError:
    return InvalidStackError([Problem(PATH, message, fix)])
