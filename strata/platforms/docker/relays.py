"""Relays: how services on Docker reach servers outside of the stack, and nothing else there.

A Docker network leads either to every address outside or to none. So the clients of an external server
have no way out. A relay of the stack has: it passes TCP connections on to one port of one host. Clients
find it by the server's own host name, in their /etc/hosts, so they verify the server's certificate as if
there were no relay, and it can't read what is encrypted.
"""

from collections.abc import Mapping

import pulumi

from strata.model import (
    TMP,
    Composition,
    ExternalServer,
    File,
    HttpProbe,
    Listen,
    NameServer,
    Port,
    Probe,
    Resources,
    Service,
    Workload,
    Zone,
)
from strata.platforms.docker.networks import NetworkPlan

PROBE_PORT = 8081
CONFIGURATION_FILE = "/etc/strata/nginx.conf"

RESOURCES = Resources(memory_mib=64, cpu=1, cpu_reserved=0.05)
"""For 1024 connections: two buffers of 16 KiB each, and NGINX itself."""

# Only Debian's NGINX has modules to load. A host name is looked up for each connection (at most every
# 10 s), because the address of a managed database changes when it fails over. Idle connections stay open
# as long as both ends answer TCP's keepalive. The probe has a server of its own, so that it opens no
# connections to the host: that it is away is no fault of the relay. It is HTTP, because the `return` of a
# stream closes the connection before it has read the request, and the reset can overtake the answer.
HEAD = """\
include /etc/nginx/modules-enabled/*.conf;
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server {
    listen 127.0.0.1:%(probe_port)d;
    return 200;
  }
}
stream {
  server {
"""
LISTEN = "    listen {address}:%(port)d so_keepalive=on;\n"
RESOLVER = "    resolver "
TAIL = """\
 valid=10s ipv6=off;
    resolver_timeout 5s;
    set $server %(host)s:%(port)d;
    proxy_pass $server;
    proxy_connect_timeout 10s;
    proxy_socket_keepalive on;
    proxy_timeout 7d;
  }
}
"""


def with_relays(composition: Composition) -> Composition:
    """The composition with a relay for each external server, which has the server's name."""
    return composition.with_services(map(_relay, composition.external_servers))


def _relay(server: ExternalServer) -> Service:
    probe_port = PROBE_PORT if server.port != PROBE_PORT else PROBE_PORT + 1
    values = {"host": server.host, "port": server.port, "probe_port": probe_port}
    content = (
        HEAD % values,
        Listen("external", template=LISTEN % values, separator=""),
        RESOLVER,
        NameServer(),
        TAIL % values,
    )
    return Service(
        name=server.name,
        image="nginx",
        zone=Zone.FRONTEND,
        user="101:101",
        resources=RESOURCES,
        command=("nginx", "-c", CONFIGURATION_FILE, "-g", "daemon off;"),
        ports=(Port(name="external", number=server.port),),
        probe=Probe(check=HttpProbe(port=probe_port, path="/")),
        tmpfs=(TMP,),
        egress=True,
        files=(File(path=CONFIGURATION_FILE, content=content),),
    )


def addresses(client: Workload, plan: NetworkPlan) -> dict[str, str]:
    """The address of the relay by the host name of its server, for /etc/hosts of a client. A server that
    has no DNS name is found by the name of its relay."""
    return {
        server.host: network.address(0)
        for server in client.external_servers
        if not server.is_address
        for network in plan.of(client.name)
        if network.server == server.name
    }


def components(
    composition: Composition, components: Mapping[str, pulumi.Resource]
) -> Mapping[str, pulumi.Resource]:
    """The parents of all resources, with those of the relays: the component of the external server, or
    that of a client if a program has linked to the plain data."""
    clients = {
        server.name: components[client.name]
        for client in composition.workloads
        for server in client.external_servers
    }
    return {**clients, **components}
