"""The typed settings of a stack. No other package reads Pulumi's configuration."""

from strata.config.aws import AwsSettings as AwsSettings
from strata.config.aws import Capacity as Capacity
from strata.config.aws import GpuNodes as GpuNodes
from strata.config.aws import Nat as Nat
from strata.config.aws import NodeImage as NodeImage
from strata.config.aws import SystemNodes as SystemNodes
from strata.config.load import load as load
from strata.config.load import read_seed as read_seed
from strata.config.secrets import ExternalSecrets as ExternalSecrets
from strata.config.secrets import ExternalSecretSettings as ExternalSecretSettings
from strata.config.secrets import read_secrets as read_secrets
from strata.config.settings import Acme as Acme
from strata.config.settings import GatewayClient as GatewayClient
from strata.config.settings import GatewayEngine as GatewayEngine
from strata.config.settings import GpuSettings as GpuSettings
from strata.config.settings import ImageSource as ImageSource
from strata.config.settings import ObservabilitySettings as ObservabilitySettings
from strata.config.settings import Oidc as Oidc
from strata.config.settings import PlatformName as PlatformName
from strata.config.settings import Receivers as Receivers
from strata.config.settings import Remote as Remote
from strata.config.settings import Settings as Settings
