"""A web server on Docker, as any user of pulumi-docker would write it."""

import pulumi
import pulumi_docker as docker

# The digest stands for a real one: the program is only previewed.
IMAGE = "caddy:2.10@sha256:" + "5f" * 32

network = docker.Network("front")
image = docker.RemoteImage("caddy", name=IMAGE)
site = docker.Container(
    "site",
    image=IMAGE,
    user="10001:10001",
    command=["caddy", "file-server", "--listen", ":8080"],
    read_only=True,
    tmpfs={"/data": "rw,size=16m", "/config": "rw,size=1m"},
    capabilities={"drops": ["ALL"]},
    security_opts=["no-new-privileges:true"],
    memory=128,
    memory_swap=128,
    cpus="0.5",
    ulimits=[
        {"name": "nofile", "soft": 1024, "hard": 4096},
        {"name": "nproc", "soft": 64, "hard": 128},
    ],
    log_driver="json-file",
    log_opts={"max-size": "10m", "max-file": "3"},
    labels=[{"label": "prometheus.io/scrape", "value": "true"}],
    envs=["NVIDIA_VISIBLE_DEVICES=void"],
    networks_advanced=[{"name": network.name}],
    ports=[{"ip": "127.0.0.1", "internal": 8080, "external": 8080}],
    healthcheck={"tests": ["CMD", "wget", "-qO-", "http://127.0.0.1:8080/"], "interval": "5s"},
    restart="unless-stopped",
    opts=pulumi.ResourceOptions(depends_on=[image]),
)

pulumi.export("container", site.name)
