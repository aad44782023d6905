"""Which onnxprune this is."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """The installed version; says so where the package runs from a source tree."""
    try:
        return installed_version("onnxprune")
    except PackageNotFoundError:
        return "(not installed)"
