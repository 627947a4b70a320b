"""The operations that moto lacks, as little of each as the tests need.

They are served behind the same botocore client, so their requests are checked like all others.
`test_not_in_moto.py` fails for each of them that moto has got.
"""

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.elasticache.models import elasticache_backends

from tests.aws.errors import RefusedError

Parameters = Mapping[str, Any]
Answer = dict[str, Any]


class Store:
    """What these operations made in one account."""

    def __init__(self, account: str) -> None:
        self._account, self._region = account, ""
        self._kept: dict[tuple[str, ...], Answer] = {}
        self._numbers = itertools.count(1)
        self._operations: dict[tuple[str, str], Callable[[Parameters], Answer]] = {
            ("eks", "CreateAddon"): self._create_addon,
            ("eks", "DeleteAddon"): self._delete_addon,
            ("eks", "ListAddons"): lambda asked: {
                "addons": self._last_parts("addon", asked["clusterName"])
            },
            ("eks", "CreateAccessEntry"): self._create_access_entry,
            ("eks", "DeleteAccessEntry"): self._delete_access_entry,
            ("eks", "ListAccessEntries"): lambda asked: {
                "accessEntries": self._last_parts("entry", asked["clusterName"])
            },
            ("eks", "AssociateAccessPolicy"): self._associate_access_policy,
            ("eks", "DisassociateAccessPolicy"): self._disassociate_access_policy,
            ("eks", "ListAssociatedAccessPolicies"): lambda asked: {
                "clusterName": asked["clusterName"],
                "principalArn": asked["principalArn"],
                "associatedAccessPolicies": self._all(
                    "access policy", asked["clusterName"], asked["principalArn"]
                ),
            },
            ("eks", "CreatePodIdentityAssociation"): self._create_pod_identity,
            ("eks", "DeletePodIdentityAssociation"): lambda asked: {
                "association": self._take(
                    "pod identity", asked["clusterName"], asked["associationId"]
                )
            },
            ("eks", "ListPodIdentityAssociations"): lambda asked: {
                "associations": self._all("pod identity", asked["clusterName"])
            },
            ("backup", "CreateBackupSelection"): self._create_selection,
            ("backup", "DeleteBackupSelection"): self._delete_selection,
            ("backup", "ListBackupSelections"): lambda asked: {
                "BackupSelectionsList": self._all("selection", asked["BackupPlanId"])
            },
            ("ec2", "CreatePlacementGroup"): self._create_placement_group,
            ("ec2", "DeletePlacementGroup"): self._delete_placement_group,
            ("ec2", "DescribePlacementGroups"): lambda _: {
                "PlacementGroups": self._all("placement group")
            },
            ("elasticache", "CreateCacheParameterGroup"): self._create_cache_parameter_group,
            ("elasticache", "ModifyCacheParameterGroup"): lambda asked: {
                "CacheParameterGroupName": asked["CacheParameterGroupName"]
            },
            ("elasticache", "DeleteCacheParameterGroup"): lambda asked: self._forget(
                "cache parameter group", asked["CacheParameterGroupName"]
            ),
            ("elasticache", "DescribeCacheParameterGroups"): lambda _: {
                "CacheParameterGroups": self._all("cache parameter group")
            },
            ("elasticache", "DeleteCacheSubnetGroup"): self._delete_cache_subnet_group,
            ("elasticache", "CreateUserGroup"): self._create_user_group,
            ("elasticache", "DeleteUserGroup"): lambda asked: self._take(
                "user group", asked["UserGroupId"]
            ),
            ("elasticache", "DescribeUserGroups"): lambda _: {
                "UserGroups": self._all("user group")
            },
        }

    def names(self) -> frozenset[tuple[str, str]]:
        """Service and operation of each."""
        return frozenset(self._operations)

    def answer(
        self, service: str, operation: str, parameters: Parameters, region: str
    ) -> Answer | None:
        """The answer to a request; None where moto answers."""
        serve, self._region = self._operations.get((service, operation)), region
        return None if serve is None else serve(parameters)

    # --- eks ---

    def _create_addon(self, asked: Parameters) -> Answer:
        associations = [
            self._create_pod_identity(
                {**one, "clusterName": asked["clusterName"], "namespace": "kube-system"}
            )["association"]["associationArn"]
            for one in asked.get("podIdentityAssociations", ())
        ]
        addon = {
            "addonName": asked["addonName"],
            "clusterName": asked["clusterName"],
            "status": "ACTIVE",
            "addonVersion": asked.get("addonVersion", ""),
            "addonArn": self._arn("eks", f"addon/{asked['clusterName']}/{asked['addonName']}"),
            "podIdentityAssociations": associations,
            "createdAt": _now(),
            "modifiedAt": _now(),
        }
        return {"addon": self._keep(addon, "addon", asked["clusterName"], asked["addonName"])}

    def _delete_addon(self, asked: Parameters) -> Answer:
        addon = self._take("addon", asked["clusterName"], asked["addonName"])
        # They are the add-on's, and go with it.
        for arn in addon["podIdentityAssociations"]:
            self._take("pod identity", asked["clusterName"], arn.split("/")[-1])
        return {"addon": addon}

    def _create_access_entry(self, asked: Parameters) -> Answer:
        cluster, principal = asked["clusterName"], asked["principalArn"]
        entry = {
            "clusterName": cluster,
            "principalArn": principal,
            "accessEntryArn": self._arn("eks", f"access-entry/{cluster}/{next(self._numbers)}"),
            "type": asked.get("type", "STANDARD"),
            "username": asked.get("username", principal),
            "kubernetesGroups": asked.get("kubernetesGroups", []),
            "createdAt": _now(),
            "modifiedAt": _now(),
        }
        return {"accessEntry": self._keep(entry, "entry", cluster, principal)}

    def _delete_access_entry(self, asked: Parameters) -> Answer:
        cluster, principal = asked["clusterName"], asked["principalArn"]
        self._take("entry", cluster, principal)
        # Its policies go with it.
        for key in [one for one in self._kept if one[:3] == ("access policy", cluster, principal)]:
            self._take(*key)
        return {}

    def _associate_access_policy(self, asked: Parameters) -> Answer:
        cluster, principal = asked["clusterName"], asked["principalArn"]
        if ("entry", cluster, principal) not in self._kept:
            raise RefusedError(f"{cluster}: {principal} has no access entry")
        association = {
            "policyArn": asked["policyArn"],
            "accessScope": asked["accessScope"],
            "associatedAt": _now(),
            "modifiedAt": _now(),
        }
        self._keep(association, "access policy", cluster, principal, asked["policyArn"])
        return {
            "clusterName": cluster,
            "principalArn": principal,
            "associatedAccessPolicy": association,
        }

    def _disassociate_access_policy(self, asked: Parameters) -> Answer:
        self._take("access policy", asked["clusterName"], asked["principalArn"], asked["policyArn"])
        return {}

    def _create_pod_identity(self, asked: Parameters) -> Answer:
        cluster = asked["clusterName"]
        for other in self._all("pod identity", cluster):
            if all(other[key] == asked[key] for key in ("namespace", "serviceAccount")):
                raise RefusedError(f"{cluster}: {asked['serviceAccount']} has a role already")
        number = f"a-{next(self._numbers):017d}"
        association = {
            "clusterName": cluster,
            "namespace": asked["namespace"],
            "serviceAccount": asked["serviceAccount"],
            "roleArn": asked["roleArn"],
            "associationArn": self._arn("eks", f"podidentityassociation/{cluster}/{number}"),
            "associationId": number,
        }
        return {"association": self._keep(association, "pod identity", cluster, number)}

    # --- backup ---

    def _create_selection(self, asked: Parameters) -> Answer:
        plan, number = asked["BackupPlanId"], f"selection-{next(self._numbers)}"
        selection = {
            "BackupPlanId": plan,
            "SelectionId": number,
            "SelectionName": asked["BackupSelection"]["SelectionName"],
            "IamRoleArn": asked["BackupSelection"]["IamRoleArn"],
            "CreationDate": _now(),
        }
        return self._keep(selection, "selection", plan, number)

    def _delete_selection(self, asked: Parameters) -> Answer:
        self._take("selection", asked["BackupPlanId"], asked["SelectionId"])
        return {}

    # --- ec2 ---

    def _create_placement_group(self, asked: Parameters) -> Answer:
        number = f"pg-{next(self._numbers):017x}"
        group = {
            "GroupName": asked["GroupName"],
            "GroupId": number,
            "GroupArn": self._arn("ec2", f"placement-group/{asked['GroupName']}"),
            "Strategy": asked.get("Strategy", "cluster"),
            "State": "available",
        }
        return {"PlacementGroup": self._keep(group, "placement group", asked["GroupName"])}

    def _delete_placement_group(self, asked: Parameters) -> Answer:
        self._take("placement group", asked["GroupName"])
        return {}

    # --- elasticache ---

    def _create_cache_parameter_group(self, asked: Parameters) -> Answer:
        name = asked["CacheParameterGroupName"]
        group = {
            "CacheParameterGroupName": name,
            "CacheParameterGroupFamily": asked["CacheParameterGroupFamily"],
            "Description": asked["Description"],
            "ARN": self._arn("elasticache", f"parametergroup:{name}"),
        }
        return {"CacheParameterGroup": self._keep(group, "cache parameter group", name)}

    def _delete_cache_subnet_group(self, asked: Parameters) -> Answer:
        groups = elasticache_backends[self._account][self._region].cache_subnet_groups
        del groups[asked["CacheSubnetGroupName"]]
        return {}

    def _create_user_group(self, asked: Parameters) -> Answer:
        name = asked["UserGroupId"]
        group = {
            "UserGroupId": name,
            "Engine": asked["Engine"],
            "Status": "active",
            "UserIds": asked.get("UserIds", []),
            "ARN": self._arn("elasticache", f"usergroup:{name}"),
        }
        return self._keep(group, "user group", name)

    def _forget(self, *key: str) -> Answer:
        self._take(*key)
        return {}

    # --- what they are kept in ---

    def _keep(self, thing: Answer, *key: str) -> Answer:
        if key in self._kept:
            raise RefusedError(f"there is a {' '.join(key)} already")
        self._kept[key] = thing
        return thing

    def _take(self, *key: str) -> Answer:
        if key not in self._kept:
            raise RefusedError(f"there is no {' '.join(key)}")
        return self._kept.pop(key)

    def _all(self, *beginning: str) -> list[Answer]:
        return [one for key, one in self._kept.items() if key[: len(beginning)] == beginning]

    def _last_parts(self, *beginning: str) -> list[str]:
        return [key[-1] for key in self._kept if key[: len(beginning)] == beginning]

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self._region}:{self._account}:{resource}"


def _now() -> datetime:
    return datetime.now(UTC)
