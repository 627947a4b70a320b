"""The configuration files of the parts, written from plain data."""

import base64
import string
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from strata.components.observability.documents import STACK, document, plain_document
from strata.components.observability.gpu import PRICE
from strata.components.observability.pages import Page
from strata.components.observability.targets import Target
from strata.config import ObservabilitySettings, Receivers
from strata.model import (
    PLACE,
    SERVICE,
    Alert,
    Confidential,
    Endpoint,
    File,
    Secret,
    Service,
    Text,
    with_secrets,
)
from strata.model.monitoring import Unit
from strata.model.secrets import SecretMaterial

SECRETS = "/run/secrets"
USER = "strata"
LOGIN = {"username": USER, "password_file": f"{SECRETS}/password"}

# vmui shows a number as it is, with the unit behind it: each unit as shown, and the factor to it.
UNITS = {
    Unit.NUMBER: ("", None),
    Unit.BYTES: ("MiB", "1 / 1048576"),
    Unit.SECONDS: ("s", None),
    Unit.PER_SECOND: ("/s", None),
    Unit.SHARE: ("%", "100"),
    Unit.CELSIUS: ("°C", None),
    Unit.WATTS: ("W", None),
}


def static_jobs(targets: Iterable[Target], protected: Collection[str]) -> Iterator[dict[str, Any]]:
    """The jobs that scrape each replica by its name. `protected`: services that ask for the password."""
    for target in targets:
        yield {
            "job_name": target.job,
            # The container exporter names the service of each container.
            "honor_labels": True,
            "metrics_path": target.path,
            **target.tls,
            **({"basic_auth": LOGIN} if target.service in protected else {}),
            "static_configs": [
                {
                    "targets": [f"{replica}.{target.endpoint.host}:{target.endpoint.number}"],
                    "labels": {"service": target.service, "instance": replica},
                }
                for replica in target.replicas
            ],
        }


def prometheus(
    settings: ObservabilitySettings,
    system: str,
    jobs: Iterable[Mapping[str, Any]],
    probes: Iterable[tuple[Endpoint, str]],
    *,
    alertmanager: Endpoint,
    blackbox: Endpoint,
    remote_write: Sequence[Mapping[str, Any]],
    own_address: str,
    instance: str,
    has_login: bool = False,
) -> Text:
    """`jobs`: those of the services. `own_address`: where Prometheus listens. `instance`: its own name.
    `has_login`: it asks for the password (`login`)."""
    interval = f"{settings.scrape_interval_seconds}s"
    return document(
        {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
                "external_labels": {"stack": STACK, "system": system},
            },
            "rule_files": [f"{SECRETS}/rules.json"],
            "alerting": {
                "alertmanagers": [
                    {
                        "static_configs": [
                            {"targets": [f"{alertmanager.host}:{alertmanager.number}"]}
                        ]
                    }
                ]
            },
            **({"remote_write": list(remote_write)} if remote_write else {}),
            "scrape_configs": [
                *jobs,
                {
                    "job_name": "prometheus",
                    **({"basic_auth": LOGIN} if has_login else {}),
                    "static_configs": [
                        {
                            "targets": [own_address],
                            "labels": {"service": "prometheus", "instance": instance},
                        }
                    ],
                    # The others, several hundred, are about its own implementation.
                    "metric_relabel_configs": [
                        {
                            "source_labels": ["__name__"],
                            "regex": "prometheus_(remote_storage|notifications|rule_evaluation)_.*"
                            "|prometheus_tsdb_(head_samples_appended_total|storage_blocks_bytes"
                            "|head_chunks_storage_size_bytes|wal_storage_size_bytes)",
                            "action": "keep",
                        }
                    ],
                },
                {
                    "job_name": "probes",
                    "metrics_path": "/probe",
                    "static_configs": [
                        {"targets": [url], "labels": {"service": endpoint.service}}
                        for endpoint, url in probes
                    ],
                    "relabel_configs": [
                        {"source_labels": ["__address__"], "target_label": "__param_target"},
                        {"source_labels": ["__param_target"], "target_label": "instance"},
                        {
                            "target_label": "__address__",
                            "replacement": f"{blackbox.host}:{blackbox.number}",
                        },
                    ],
                },
            ],
        }
    )


def alerts_of(stack: Iterable[Alert], services: Iterable[Service]) -> Iterator[tuple[str, Alert]]:
    """The alerts of the stack and of these services, each with the service that it's for."""
    yield from (("", alert) for alert in stack)
    for service in services:
        if service.monitoring is not None:
            yield from ((service.name, alert) for alert in service.monitoring.alerts)


def prices(settings: ObservabilitySettings) -> dict[str, str]:
    """The price of a GPU as a recording rule."""
    price = settings.gpu_dollars_per_hour
    return {} if price is None else {PRICE: f"vector({price})"}


def rules(
    alerts: Iterable[tuple[str, Alert]], recorded: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The rule file: one group, each alert with the service that it's for ('' for the stack).
    `recorded`: expressions by the metric that they define; alerts see them in the same evaluation."""
    return plain_document(
        {
            "groups": [
                {
                    "name": "strata",
                    "rules": [
                        *({"record": name, "expr": expr} for name, expr in recorded.items()),
                        *(
                            {
                                "alert": alert.name,
                                "expr": alert.expression.replace(SERVICE, service),
                                "for": f"{alert.for_seconds}s",
                                "labels": {"severity": str(alert.severity)}
                                | ({"service": service} if service else {}),
                                "annotations": {
                                    "summary": alert.summary.replace(SERVICE, service),
                                    "runbook": f"docs/runbooks.md#{alert.name.lower()}",
                                },
                            }
                            for service, alert in alerts
                        ),
                    ],
                }
            ]
        }
    )


def alertmanager(receivers: Receivers) -> tuple[File, ...]:
    """The routes and receivers, with their secrets in files. Without a receiver, alerts are only
    shown."""
    files: list[File] = []
    receiver: dict[str, Any] = {"name": "team"}

    def secret(name: str, value: str) -> str:
        path = f"{SECRETS}/{name}"
        files.append(File(path=path, content=Confidential(value)))
        return path

    if receivers.webhook_url is not None:
        path = secret("webhook-url", receivers.webhook_url.get_secret_value())
        receiver["webhook_configs"] = [{"url_file": path, "send_resolved": True}]
    if receivers.slack_url is not None:
        path = secret("slack-url", receivers.slack_url.get_secret_value())
        receiver["slack_configs"] = [{"api_url_file": path, "send_resolved": True}]
    if receivers.pagerduty_key is not None:
        path = secret("pagerduty-key", receivers.pagerduty_key.get_secret_value())
        receiver["pagerduty_configs"] = [{"routing_key_file": path}]
    if (mail := receivers.mail) is not None:
        receiver["email_configs"] = [
            {"to": mail.to, "from": mail.sender, "smarthost": mail.smarthost, "send_resolved": True}
            | ({"auth_username": mail.username} if mail.username else {})
            | (
                {"auth_password_file": secret("mail-password", mail.password.get_secret_value())}
                if mail.password
                else {}
            )
        ]
    content = plain_document(
        {
            "route": {
                "receiver": "team",
                "group_by": ["alertname", "service"],
                # An alert reaches people within a minute; what belongs together arrives together.
                "group_wait": "5s",
                "group_interval": "1m",
                "repeat_interval": "4h",
                "routes": [
                    {
                        "matchers": ['alertname="DeadMansSwitch"'],
                        "receiver": "team",
                        "group_wait": "0s",
                        "group_interval": "1m",
                        "repeat_interval": "5m",
                    }
                ],
            },
            "receivers": [receiver],
            "inhibit_rules": [
                {
                    "source_matchers": ['severity="critical"'],
                    "target_matchers": ['severity="warning"', 'alertname!="DeadMansSwitch"'],
                    "equal": ["service"],
                }
            ],
        }
    )
    return (File(path=f"{SECRETS}/alertmanager.json", content=content), *files)


BLACKBOX = plain_document(
    {
        "modules": {
            "http_2xx": {
                "prober": "http",
                "timeout": "5s",
                "http": {
                    "preferred_ip_protocol": "ip4",
                    # Any answer of the service itself counts; a gateway's 502 doesn't.
                    "valid_status_codes": [200, 204, 301, 302, 303, 307, 308, 401, 403, 404],
                    # The stack's own authority issues certificates for the names that people use.
                    "tls_config": {"insecure_skip_verify": True},
                },
            }
        }
    }
)


@dataclass(frozen=True)
class BcryptHash:
    """The encoder of what Prometheus stores of a password."""

    def __call__(self, material: SecretMaterial) -> str:
        import bcrypt

        # The salt is derived too, so that the file is always the same. bcrypt has its own alphabet.
        salt = base64.b64encode(material.derive("bcrypt-salt", 16)).rstrip(b"=")
        letters = string.ascii_uppercase + string.ascii_lowercase + string.digits
        salt = salt.translate(bytes.maketrans(f"{letters}+/".encode(), f"./{letters}".encode()))
        # The least rounds, which are enough: the password has 256 random bits.
        return bcrypt.hashpw(material.password.encode(), b"$2b$04$" + salt).decode()


def login(password: Secret) -> Text:
    """The file with the user of Prometheus."""
    users = {"basic_auth_users": {USER: PLACE}}
    return with_secrets(users, Secret(password.owner, BcryptHash()))


def dashboards(pages: Iterable[Page]) -> tuple[File, ...]:
    """The dashboards of vmui, where its image has a link to them."""
    content = plain_document({"dashboardsSettings": [_dashboard(page) for page in pages]})
    return (File(path=f"{SECRETS}/dashboards.json", content=content),)


def _dashboard(page: Page) -> dict[str, Any]:
    """A dashboard has one row, because vmui shows further ones collapsed."""
    return {
        "title": page.title,
        "rows": [
            {
                "title": page.title,
                "panels": [
                    {
                        "title": panel.title,
                        "width": 4,  # Of 12: below, values are cut off on a laptop.
                        "unit": UNITS[panel.unit][0],
                        "expr": [
                            _scaled(UNITS[panel.unit][1], expression)
                            for expression in panel.expressions.values()
                        ],
                        "alias": list(panel.expressions),
                    }
                    for panel in page.panels
                ],
            }
        ],
    }


def _scaled(factor: str | None, expression: str) -> str:
    return f"{factor} * ({expression})" if factor else expression
