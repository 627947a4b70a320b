"""The typed settings of a stack. Nothing below this package reads Pulumi's configuration."""

from config.load import load, read_seed
from config.settings import GpuSettings, ImageSource, Settings

__all__ = ["GpuSettings", "ImageSource", "Settings", "load", "read_seed"]
