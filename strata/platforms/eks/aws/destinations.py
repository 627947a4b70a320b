"""What pods reach outside the cluster: the API server, kubelets, and AWS."""

from strata.config.aws import AwsSettings
from strata.platforms.kubernetes.cluster import KUBELET_PORT, Destination
from strata.platforms.kubernetes.network_policies import INTERNET, NOT_THE_INTERNET

HTTPS = 443

POD_IDENTITY_AGENT = Destination(ranges=("169.254.170.23/32",), port=80)
"""Where pods get credentials (Amazon EKS User Guide, "EKS Pod Identity agent")."""

S3 = Destination(ranges=(INTERNET,), port=HTTPS, excluded=NOT_THE_INTERNET)
"""S3 has public addresses, which change, even where the VPC's gateway endpoint leads to them."""


def api_server(aws: AwsSettings) -> Destination:
    """It is called at its Service's address and answers at its own in the VPC, as the interface
    endpoints of AWS services do."""
    return Destination(ranges=(str(aws.range), str(aws.service_range)), port=HTTPS)


def kubelets(aws: AwsSettings) -> Destination:
    return Destination(ranges=(str(aws.range),), port=KUBELET_PORT)
