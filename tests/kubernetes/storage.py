"""Provides volumes as a driver does with `volumeBindingMode: WaitForFirstConsumer`: a volume is made when the scheduler
has chosen the node of its first pod, and only nodes of that node's zone reach it."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.api_server import ApiServer

SELECTED_NODE = "volume.kubernetes.io/selected-node"
ZONE = "topology.kubernetes.io/zone"


def provide(api: ApiServer) -> None:
    """Makes a volume for each claim that has a node by now and no volume, and removes those that were let go."""
    volumes = {one["metadata"]["name"]: one for one in api.items("/api/v1/persistentvolumes")}
    for name, one in volumes.items():
        policy = one["spec"]["persistentVolumeReclaimPolicy"]
        if one["status"]["phase"] == "Released" and policy == "Delete":
            api.send("DELETE", f"/api/v1/persistentvolumes/{name}")
    claims = [one for one in api.items("/api/v1/persistentvolumeclaims") if _waits(one)]
    nodes = {one["metadata"]["name"]: one for one in api.items("/api/v1/nodes")} if claims else {}
    for claim in claims:
        node = nodes.get(claim["metadata"]["annotations"][SELECTED_NODE])
        if node is not None and _name(claim) not in volumes:
            api.create("/api/v1/persistentvolumes", _volume(api, claim, node))


def _waits(claim: Any) -> bool:
    metadata = claim["metadata"]
    return (
        claim["status"]["phase"] == "Pending"
        and SELECTED_NODE in metadata.get("annotations", {})
        and "deletionTimestamp" not in metadata
    )


def _name(claim: Any) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def _volume(api: ApiServer, claim: Any, node: Any) -> dict[str, Any]:
    metadata, spec = claim["metadata"], claim["spec"]
    storage_class = api.get(f"/apis/storage.k8s.io/v1/storageclasses/{spec['storageClassName']}")
    assert storage_class["volumeBindingMode"] == "WaitForFirstConsumer", storage_class
    zone = node["metadata"]["labels"][ZONE]
    in_zone = {"key": ZONE, "operator": "In", "values": [zone]}
    return {
        "metadata": {
            "name": _name(claim),
            "annotations": {"pv.kubernetes.io/provisioned-by": storage_class["provisioner"]},
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": spec["volumeMode"],
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
            "csi": {"driver": storage_class["provisioner"], "volumeHandle": _name(claim)},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [in_zone]}]}},
        },
    }
