"""A network namespace that this host reaches by a link of its own."""

import os
import subprocess


class LinkedNetwork:
    """`name` and `prefix` tell it from others of this process. `prefix`: the first three numbers of its addresses,
    which are nobody's in TEST-NET-2 and TEST-NET-3 (RFC 5737)."""

    def __init__(self, name: str, prefix: str) -> None:
        # Each run has names and addresses of its own, for it may not be the only one.
        process, first = os.getpid(), os.getpid() % 64 * 4
        self.address = f"{prefix}.{first + 2}"
        self.inside = ("nsenter", f"--net=/run/netns/strata-{name}-{process}")
        self._name = f"strata-{name}-{process}"
        self._near = f"{prefix}.{first + 1}"
        self._interfaces = f"{name}{process}", f"{name}{process}in"

    def create(self) -> None:
        here, there = self._interfaces
        try:
            for command in (
                f"ip netns add {self._name}",
                f"ip link add {here} type veth peer name {there} netns {self._name}",
                f"ip address add {self._near}/30 dev {here}",
                f"ip link set {here} up",
                f"ip -n {self._name} address add {self.address}/30 dev {there}",
                f"ip -n {self._name} link set lo up",
                f"ip -n {self._name} link set {there} up",
                f"ip -n {self._name} route add default via {self._near}",
            ):
                subprocess.run(command.split(), check=True)
        except subprocess.CalledProcessError:
            self.delete()
            raise

    def delete(self) -> None:
        # The link would go with the namespace, but only some time later. It may not exist, after a failure.
        link = ["ip", "link", "delete", self._interfaces[0]]
        subprocess.run(link, capture_output=True, check=False)
        subprocess.run(["ip", "netns", "delete", self._name], check=True)
