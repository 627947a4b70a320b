"""A Consul, as far as services use its HTTP API: registrations with a TTL, and the lookup of healthy
instances. Its time is set by hand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx

SECONDS = re.compile(r"(\d+)s")


@dataclass
class FakeConsul:
    """`tokens`: those that it accepts. `requests`: what was sent, as method and path."""

    tokens: set[str]
    now: float = 0.0
    available: bool = True
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    passed_at: dict[str, float | None] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((request.method, path))
        if not self.available:
            raise httpx.ConnectError("connection refused")
        if request.headers.get("X-Consul-Token") not in self.tokens:
            return httpx.Response(403, text="ACL not found")
        content = json.loads(request.content or "{}")
        match request.method, path.removeprefix("/v1/").split("/"):
            case "PUT", ["agent", "service", "register"]:
                self.services[content["ID"]] = content
                self.passed_at[content["ID"]] = None
            case "PUT", ["agent", "check", "update", check]:
                identifier = check.removeprefix("service:")
                if identifier not in self.services:
                    return httpx.Response(404, text=f'Unknown check ID "{check}"')
                self.passed_at[identifier] = self.now if content["Status"] == "passing" else None
            case "PUT", ["agent", "service", "deregister", identifier]:
                if self.services.pop(identifier, None) is None:
                    return httpx.Response(404, text="Unknown service ID")
            case "GET", ["health", "service", name]:
                assert "passing" in request.url.params or name == "consul"
                return httpx.Response(200, json=self.healthy(name))
            case other:
                raise AssertionError(f"Consul has no {other}")
        return httpx.Response(200)

    def healthy(self, name: str) -> list[dict[str, Any]]:
        return [
            {
                "Node": {"Address": "127.0.0.1"},
                "Service": {"Address": each["Address"], "Port": each["Port"]},
            }
            for each in self.services.values()
            if each["Name"] == name and self.is_passing(each)
        ]

    def is_passing(self, service: dict[str, Any]) -> bool:
        """Whether a heartbeat came within the TTL."""
        ttl = SECONDS.fullmatch(service["Check"]["TTL"])
        assert ttl
        passed_at = self.passed_at[service["ID"]]
        return passed_at is not None and self.now - passed_at <= int(ttl[1])

    def restart(self) -> None:
        """It forgets everything."""
        self.services.clear()
        self.passed_at.clear()
