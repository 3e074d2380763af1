"""The version that the service reports."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("netwright")
except PackageNotFoundError:  # a checkout that was not installed
    VERSION = "0"
