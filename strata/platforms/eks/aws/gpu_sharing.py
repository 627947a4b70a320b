"""How the GPUs of a node are offered: whole, in turns or in slices.

A node of Amazon Linux is told when it boots, and has it in a file that the device plugin reads
(device_plugin.py); Bottlerocket has settings for it, and a plugin of its own. Both are a node's own
from the start: another way of sharing is another node.
"""

import json

from strata.config.aws import GpuNodes
from strata.model import GpuSharing
from strata.platforms.eks.facts.instances import TYPES
from strata.platforms.kubernetes.cluster import GPU_RESOURCE

CONFIG = "/etc/strata/device-plugin.yaml"
"""The device plugin's configuration on a node."""

MIG_CONFIG = "/run/strata/device-plugin.yaml"
"""The same on a node whose GPUs are cut into slices: it is there as soon as they are, and gone with
them when the node restarts."""


def configuration(nodes: GpuNodes) -> str:
    """The plugin's configuration for a group (k8s-device-plugin, README, "As a configuration
    file"). JSON is YAML."""
    flags = {"migStrategy": "mixed" if nodes.sharing is GpuSharing.MIG else "none"}
    config: dict[str, object] = {"version": "v1", "flags": flags}
    if nodes.sharing is GpuSharing.TIME_SLICING:
        config["sharing"] = {
            "timeSlicing": {
                # Who asks for a whole GPU must not get a turn, and who asks for two turns would
                # get no more than with one.
                "renameByDefault": True,
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": GPU_RESOURCE, "replicas": nodes.time_slices}],
            }
        }
    return json.dumps(config, indent=2)


def script(nodes: GpuNodes) -> str:
    """What a node of Amazon Linux runs once, before it joins the cluster."""
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
    """The slices of one GPU of the group, as `nvidia-smi mig -cgi` takes them.

    The types of a group have the same slices (checks/nodes.py).
    """
    profile = nodes.mig_profile or ""
    product = TYPES[nodes.instance_types[0]].gpu
    count = product.mig[profile] if product is not None else 0
    return ",".join([profile] * count)


def _install_mig(nodes: GpuNodes) -> str:
    """Cuts each GPU into slices at every boot, for slices do not outlive one.

    Why not NVIDIA's MIG manager: it is a privileged DaemonSet with rights to nodes and pods, made
    to change the layout of nodes at work; here a node has the layout of its group from the start.
    An A100 takes up the mode only when it is reset, which a guest cannot do, so the node restarts
    once (Bottlerocket's manager does the same). The device plugin starts once the file that it
    mounts is there. Where the cut fails the node stays without slices and its pods wait;
    `journalctl -u strata-mig` has the reason.
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
