"""The one door to ONNX Runtime: sessions, execution providers, timing, and what is installed.

Nothing else in onnxprune imports `onnxruntime`, and this room imports it only when a session is
made or a question about it is asked, so `import onnxprune` stays light.
"""

from onnxprune.runtime.describe import build_info
from onnxprune.runtime.providers import Provider, available_providers, parse_provider
from onnxprune.runtime.session import Optimization, Port, Session
from onnxprune.runtime.timing import TimedRun

__all__ = [
    "Optimization",
    "Port",
    "Provider",
    "Session",
    "TimedRun",
    "available_providers",
    "build_info",
    "parse_provider",
]
