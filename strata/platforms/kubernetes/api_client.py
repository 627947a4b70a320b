"""How a cluster is asked: by a kubeconfig, once, and with a reason where there is no answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3
from yaml import YAMLError

from strata.model import InvalidStackError, Problem

ANSWER_SECONDS = 5
"""How long a cluster may take for one answer: five times what a call may take at the 99th percentile
(Kubernetes SLO "API call latency": 1 s for one object). A person waits for it."""


def configuration(context: str | None) -> tuple[Any, str]:
    """The configuration of the client, and the name of the context."""
    from kubernetes import client, config

    path = "strata:kubernetes.context"
    remedy = "set KUBECONFIG, or have a ~/.kube/config"
    try:
        contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise _cannot(path, f"there is no usable kubeconfig: {error}", remedy) from None
    except (OSError, TypeError, ValueError, YAMLError) as error:  # as Python says it of a file
        raise _cannot(path, f"the kubeconfig cannot be read: {error}", remedy) from None
    known = sorted(one["name"] for one in contexts)
    chosen = context or (str(current["name"]) if current else None)
    if chosen is None or chosen not in known:
        raise _cannot(
            path,
            f"the kubeconfig has no context {chosen}",
            f"use one of: {', '.join(known) or 'there is none'}",
        )
    found = client.Configuration()
    try:
        config.load_kube_config(  # type: ignore[no-untyped-call]
            context=chosen, client_configuration=found
        )
    except (config.ConfigException, OSError, ValueError, KeyError) as error:
        raise _cannot(
            path, f"context {chosen} cannot be used: {error}", "`kubectl get nodes` has to work"
        ) from None
    # One try: what does not answer at once is told at once.
    found.retries = False
    return found, chosen


@dataclass(frozen=True)
class ApiClient:
    """Asks, and says in a person's words why there is no answer."""

    context: str
    address: str

    def __call__(self, question: Callable[[], Any]) -> Any:
        from kubernetes.client.exceptions import ApiException

        try:
            return question()
        except ApiException as error:
            problem, remedy = {
                # What the client makes of a failed handshake.
                0: (
                    f"has a certificate that the kubeconfig does not vouch for: {' '.join(str(error.reason).split())}",
                    "write the cluster's kubeconfig anew, with its certificate authority",
                ),
                401: ("does not know who asks", "log in again, so that `kubectl get nodes` works"),
                403: (
                    "does not let this user read nodes, storage classes and versions",
                    "use a user who may: it has to make namespaces, too",
                ),
            }.get(
                error.status,
                (f"answered {error.status} {' '.join(str(error.reason).split())}", "see its logs"),
            )
        except urllib3.exceptions.HTTPError as error:
            problem, remedy = _connection_problem(error)
        except ValueError as error:
            problem, remedy = (
                f"answered something else: {error}",
                "see that it is a Kubernetes API",
            )
        raise _cannot(
            "strata:kubernetes.context",
            f"the cluster of context {self.context} ({self.address}) {problem}",
            remedy,
        ) from None


def _connection_problem(error: Exception) -> tuple[str, str]:
    reach = "see that the cluster runs and this machine reaches it (`kubectl get nodes`)"
    match error:
        case urllib3.exceptions.NameResolutionError():
            return ("has a name that does not resolve", reach)
        case urllib3.exceptions.TimeoutError() if not isinstance(
            error, urllib3.exceptions.NewConnectionError
        ):
            return (f"did not answer within {ANSWER_SECONDS} s", reach)
        case _:
            return (f"does not answer: {error}", reach)


def _cannot(path: str, problem: str, remedy: str) -> InvalidStackError:
    return InvalidStackError([Problem(path, problem, remedy)])
