"""Where on AWS a stack is: names and ARNs that are known at plan time."""

from dataclasses import dataclass

from strata.config import Settings

NO_ACCOUNT = "000000000000"
"""An account that is not set, until that is reported."""


@dataclass(frozen=True, kw_only=True)
class AwsLocation:
    """`account`: 12 digits. `cluster`: its name, and the prefix of other fixed names."""

    account: str
    region: str
    cluster: str

    @property
    def cluster_arn(self) -> str:
        return self.arn("eks", f"cluster/{self.cluster}")

    @property
    def kubeconfig_command(self) -> str:
        """Adds a context for the cluster to the kubeconfig."""
        return f"aws eks update-kubeconfig --name {self.cluster} --region {self.region}"

    @property
    def root_arn(self) -> str:
        """The account as a principal: whoever its IAM policies allow."""
        return f"arn:aws:iam::{self.account}:root"

    @property
    def registry(self) -> str:
        """The image registry of the account in this region."""
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def log_group_arn(self, name: str) -> str:
        return self.arn("logs", f"log-group:{name}")


def stack_location(settings: Settings, project: str, stack: str) -> AwsLocation:
    """The account, the region and the name of the cluster of a stack."""
    return AwsLocation(
        account=settings.aws.account or NO_ACCOUNT,
        region=settings.aws.region,
        cluster=f"{project}-{stack}",
    )


def managed_policy(name: str) -> str:
    """The ARN of a managed policy, such as `AmazonEKSClusterPolicy`."""
    return f"arn:aws:iam::aws:policy/{name}"
