"""How a node offers its GPUs: whole, time-sliced or as MIG slices.

User data writes a file on nodes with Amazon Linux, which the device plugin reads
(add_ons/device_plugin.py). Bottlerocket has settings and a plugin of its own. Both are fixed when the
node boots: another way of sharing needs another node.
"""

import json

from strata.config.aws import GpuNodes
from strata.model import GpuSharing
from strata.platforms.eks.facts.instances import TYPES
from strata.platforms.kubernetes.cluster import GPU_RESOURCE

CONFIG = "/etc/strata/device-plugin.yaml"
"""The device plugin's configuration on a node."""

MIG_CONFIG = "/run/strata/device-plugin.yaml"
"""The same on a node with MIG. It exists as long as the slices: they and `/run` are lost when the
node restarts."""


def configuration(nodes: GpuNodes) -> str:
    """The plugin's configuration for a group (k8s-device-plugin, README, "As a configuration
    file"). JSON is YAML."""
    flags = {"migStrategy": "mixed" if nodes.sharing is GpuSharing.MIG else "none"}
    config: dict[str, object] = {"version": "v1", "flags": flags}
    if nodes.sharing is GpuSharing.TIME_SLICING:
        config["sharing"] = {
            "timeSlicing": {
                # A request for a whole GPU must not get a time slice, and two time slices give no
                # more than one.
                "renameByDefault": True,
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": GPU_RESOURCE, "replicas": nodes.time_slices}],
            }
        }
    return json.dumps(config, indent=2)


def script(nodes: GpuNodes) -> str:
    """What a node with Amazon Linux runs once, before it joins the cluster."""
    if nodes.sharing is GpuSharing.MIG:
        return _install_mig(nodes)
    return f"""#!/bin/bash
set -euo pipefail
install -d -m 0755 {CONFIG.rpartition("/")[0]}
cat >{CONFIG} <<'CONFIG'
{configuration(nodes)}
CONFIG
"""


def mig_layout(nodes: GpuNodes) -> str:
    """The slices of one GPU, as arguments of `nvidia-smi mig -cgi`. All types of a group have the same
    slices (checks/nodes.py)."""
    profile = nodes.mig_profile or ""
    product = TYPES[nodes.instance_types[0]].gpu
    count = product.mig[profile] if product is not None else 0
    return ",".join([profile] * count)


def _install_mig(nodes: GpuNodes) -> str:
    """Slices each GPU at every boot, because slices don't survive one.

    Why not NVIDIA's MIG manager: it is a privileged DaemonSet with rights to nodes and pods, which
    changes the layout of running nodes; here a node has the layout of its group from the start. An
    A100 enables MIG only when it is reset, which a guest can't do, so the node restarts once
    (Bottlerocket's manager does the same). The device plugin starts once the file that it mounts
    exists. If slicing fails, the node has no slices and its pods stay pending; `journalctl -u
    strata-mig` has the reason.
    """
    return f"""#!/bin/bash
set -euo pipefail
install -d -m 0755 /var/lib/strata
cat >/usr/local/sbin/strata-mig <<'SCRIPT'
#!/bin/bash
set -euo pipefail
enabled() {{
  ! nvidia-smi --query-gpu=mig.mode.current --format=csv,noheader | grep -qv '^Enabled$'
}}
# The driver is loaded beside the other services of the boot.
until nvidia-smi -L >/dev/null 2>&1; do sleep 2; done
enabled || nvidia-smi -mig 1
if ! enabled; then
  if [[ -e /var/lib/strata/mig-restarted ]]; then
    echo 'MIG mode is still off after a restart' >&2
    exit 1
  fi
  touch /var/lib/strata/mig-restarted
  systemctl reboot
  exit 0
fi
if [[ $(nvidia-smi -L) != *MIG-* ]]; then
  nvidia-smi mig -cgi {mig_layout(nodes)} -C
fi
install -d -m 0755 {MIG_CONFIG.rpartition("/")[0]}
cat >{MIG_CONFIG} <<'CONFIG'
{configuration(nodes)}
CONFIG
SCRIPT
chmod 0755 /usr/local/sbin/strata-mig
cat >/etc/systemd/system/strata-mig.service <<'UNIT'
[Unit]
Description=Cut the GPUs into MIG slices
[Service]
Type=oneshot
RemainAfterExit=true
TimeoutStartSec=600
ExecStart=/usr/local/sbin/strata-mig
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable strata-mig.service
# Nothing waits for it here: the driver may be loaded only after kubelet runs.
systemctl start --no-block strata-mig.service
"""
