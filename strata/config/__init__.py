"""The typed settings of a stack. No other package reads Pulumi's configuration."""

from strata.config.aws import AwsSettings, Capacity, GpuNodes, Nat, NodeImage, SystemNodes
from strata.config.load import load, read_seed
from strata.config.settings import GpuSettings, ImageSource, PlatformName, Settings

__all__ = [
    "AwsSettings",
    "Capacity",
    "GpuNodes",
    "GpuSettings",
    "ImageSource",
    "Nat",
    "NodeImage",
    "PlatformName",
    "Settings",
    "SystemNodes",
    "load",
    "read_seed",
]
