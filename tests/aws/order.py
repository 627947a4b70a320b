"""Whether a program says that a resource needs what it refers to.

Here every resource is made in one of the orders that the program allows. The engine may take
another one, in which what was only made earlier by chance is not there yet. So what a resource
refers to has to be among what it waits for: its inputs, its `depends_on`, its parent, and theirs.
"""

from collections.abc import Iterable, Iterator, Mapping

from tests.aws.references import Use
from tests.planned import Planned

# Without its role's policies EKS neither makes a cluster or nodes nor cleans up after them, and only
# the role is named in the request: https://docs.aws.amazon.com/eks/latest/userguide/
# cluster-iam-role.html and create-node-role.html.
_USERS_OF_POLICIES = ("aws:eks/cluster:Cluster::", "aws:eks/nodeGroup:NodeGroup::")
_POLICIES = ("aws:iam/rolePolicy:RolePolicy::", "aws:iam/rolePolicyAttachment:")

# Add-ons with Deployments, and not only a pod for each node that comes.
_NEED_NODES = frozenset(("aws-ebs-csi-driver", "coredns", "metrics-server", "snapshot-controller"))


def unsaid(resources: Iterable[Planned], uses: Iterable[Use]) -> list[str]:
    """The references that a program does not wait for, one line each."""
    by_urn = {one.urn: one for one in resources}
    waits_for: dict[str, frozenset[str]] = {}
    for urn in by_urn:
        waits_for[_end(urn)] = frozenset(map(_end, _all_before(by_urn, urn)))
    uses = set(uses)
    return sorted(
        f"{use.by} does not wait for {use.of} ({use.what})"
        for use in {*uses, *_policies(uses), *_network_of_pods(by_urn.values())}
        if use.of not in waits_for[use.by]
    ) + sorted(_without_nodes(by_urn.values(), waits_for))


def _network_of_pods(resources: Iterable[Planned]) -> Iterator[Use]:
    """Without it a node is never ready, and EKS gives up on the group. EKS brings it itself unless
    the cluster says not to."""
    found = list(resources)
    bare = any(
        one.inputs.get("bootstrapSelfManagedAddons") is False
        for one in found
        if one.type == "aws:eks/cluster:Cluster"
    )
    for addon in found if bare else ():
        if addon.type == "aws:eks/addon:Addon" and addon.inputs["addonName"] == "vpc-cni":
            for group in found:
                if group.type == "aws:eks/nodeGroup:NodeGroup":
                    what = "the network of its pods"
                    yield Use(by=_end(group.urn), of=_end(addon.urn), what=what)


def _without_nodes(
    resources: Iterable[Planned], waits_for: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    """Add-ons whose pods no node would take as they are made: EKS waits for these pods, in vain."""
    for one in resources:
        if one.type == "aws:eks/addon:Addon" and one.inputs["addonName"] in _NEED_NODES:
            before = waits_for[_end(one.urn)]
            if not any(end.startswith("aws:eks/nodeGroup:NodeGroup::") for end in before):
                yield f"{_end(one.urn)} does not wait for any node"


def _policies(uses: set[Use]) -> Iterator[Use]:
    """What uses a role needs the role's policies."""
    for user in uses:
        if user.by.startswith(_USERS_OF_POLICIES) and user.of.startswith("aws:iam/role:Role::"):
            for policy in uses:
                if policy.by.startswith(_POLICIES) and policy.of == user.of:
                    yield Use(by=user.by, of=policy.by, what=f"policy of {user.what}")


def _all_before(by_urn: Mapping[str, Planned], urn: str) -> set[str]:
    found: set[str] = set()
    ahead = [urn]
    while ahead:
        one = by_urn.get(ahead.pop())
        if one is not None:
            new = ({*one.dependencies, one.parent} - {""}) - found
            found |= new
            ahead += new
    return found


def _end(urn: str) -> str:
    """A resource's type and name."""
    types, name = urn.split("::")[2:4]
    return f"{types.split('$')[-1]}::{name}"
