"""Service discovery by Consul's HTTP API: a service registers itself, and finds others."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from apps.common import listen, secret, tls, web
from apps.common.errors import UnavailableError, describe
from apps.datapunk.settings import ConsulSettings

LOG = logging.getLogger(__name__)
NAME = "consul"
WITHIN_S = 2.0
HEARTBEAT_S = 5.0
# Three heartbeats. An instance that is silent for longer isn't found any more.
TTL_S = 15
# Consul's minimum.
DEREGISTERED_AFTER_S = 60


@dataclass(frozen=True)
class Instance:
    """One instance of a service."""

    address: str
    port: int


class Consul:
    """Consul's API. Each failure is an `UnavailableError`."""

    def __init__(
        self, settings: ConsulSettings, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """`settings` must have a `consul_host`."""
        self._token_file = settings.consul_password_file
        scheme = "http"
        verify: ssl.SSLContext | bool = True
        if settings.consul_ca_file is not None:
            scheme = "https"
            verify = tls.context(
                settings.consul_ca_file,
                settings.consul_certificate_file,
                settings.consul_private_key_file,
            )
        self._client = httpx.AsyncClient(
            base_url=f"{scheme}://{settings.consul_host}:{settings.consul_port}",
            timeout=WITHIN_S,
            transport=transport,
            verify=verify,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def instances(self, service: str) -> list[Instance]:
        """The healthy instances of a service."""
        response = await self._send("GET", f"/v1/health/service/{service}?passing=true")
        try:
            return [
                Instance(entry["Service"]["Address"], int(entry["Service"]["Port"]))
                for entry in response.json()
            ]
        except (ValueError, TypeError, KeyError) as error:
            raise UnavailableError(NAME, "its answer isn't a list of instances") from error

    async def ping(self) -> None:
        """Raises `UnavailableError` unless Consul has a leader and accepts the token."""
        await self._send("GET", "/v1/health/service/consul")

    async def stay_registered(
        self, service: str, instance: Instance, is_healthy: Callable[[], Awaitable[bool]]
    ) -> None:
        """Keeps an instance registered, with its present health, until this is cancelled. Consul may
        start later or restart without its data."""
        # Each replica has an address of its own.
        identifier = f"{service}-{instance.address}"
        registered = False
        try:
            while True:
                try:
                    if not registered:
                        await self._register(service, identifier, instance)
                        LOG.info("registered", extra={"address": instance.address})
                    registered = True
                    await self._report(identifier, healthy=await is_healthy())
                except UnavailableError as error:
                    if registered:
                        LOG.warning("not registered", extra={"reason": describe(error)})
                    registered = False
                await asyncio.sleep(HEARTBEAT_S)
        finally:
            with contextlib.suppress(UnavailableError):
                await self._send("PUT", f"/v1/agent/service/deregister/{identifier}")

    async def _register(self, service: str, identifier: str, instance: Instance) -> None:
        registration = {
            "Name": service,
            "ID": identifier,
            "Address": instance.address,
            "Port": instance.port,
            # A heartbeat, because Consul has no link to the service. Critical until the first.
            "Check": {
                "TTL": f"{TTL_S}s",
                "DeregisterCriticalServiceAfter": f"{DEREGISTERED_AFTER_S}s",
            },
        }
        await self._send("PUT", "/v1/agent/service/register", registration)

    async def _report(self, identifier: str, *, healthy: bool) -> None:
        status = {"Status": "passing" if healthy else "critical"}
        await self._send("PUT", f"/v1/agent/check/update/service:{identifier}", status)

    async def _send(
        self, method: str, path: str, content: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        # Read for each request, so that a rotated token counts.
        token = await asyncio.to_thread(secret.read, self._token_file)
        try:
            response = await self._client.request(
                method, path, json=content, headers={"X-Consul-Token": token}
            )
        except httpx.HTTPError as error:
            raise UnavailableError(NAME, describe(error)) from error
        if response.status_code != 200:
            raise UnavailableError(NAME, f"it answers {response.status_code}")
        return response


def advertised(addresses: str, port: int, towards: tuple[str, int]) -> Instance:
    """Where clients reach this service: the first address that it listens on for others. If that is
    every address, the one by which it reaches `towards`, a host and port."""
    for address in listen.addresses(addresses):
        if not ipaddress.ip_address(address).is_loopback and address != listen.EVERY_ADDRESS:
            return Instance(address, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing: the kernel only chooses the route.
        probe.connect(towards)
        return Instance(probe.getsockname()[0], port)


class Registration:
    """Keeps this service registered if the stack has a Consul. `addresses` and `port`: where it listens
    for clients."""

    def __init__(
        self,
        service: str,
        addresses: str,
        port: int,
        settings: ConsulSettings,
        is_healthy: Callable[[], Awaitable[bool]],
    ) -> None:
        self.consul = Consul(settings) if settings.consul_host else None
        self._service = service
        self._addresses = addresses
        self._port = port
        self._towards = (settings.consul_host or "", settings.consul_port)
        self._is_healthy = is_healthy

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Registered until the end."""
        if self.consul is None:
            yield
            return
        task = asyncio.create_task(self._stay(self.consul))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.consul.close()

    async def state(self) -> str:
        """The state of Consul, as /health reports it."""
        if self.consul is None:
            return "not part of this stack: services are found by DNS"
        return await web.state(self.consul.ping())

    async def _stay(self, consul: Consul) -> None:
        while True:
            try:
                instance = await asyncio.to_thread(
                    advertised, self._addresses, self._port, self._towards
                )
            except OSError as error:
                # Its name doesn't resolve yet.
                LOG.warning("not registered", extra={"reason": describe(error)})
                await asyncio.sleep(HEARTBEAT_S)
            else:
                await consul.stay_registered(self._service, instance, self._is_healthy)
