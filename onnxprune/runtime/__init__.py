"""The one door to ONNX Runtime: sessions, execution providers, timing, and what is installed.

Nothing else in onnxprune imports `onnxruntime`, and this room imports it only when a session is
made or a question about it is asked, so `import onnxprune` stays light.
"""

from onnxprune.runtime.describe import build_info
from onnxprune.runtime.fresh import in_fresh_process
from onnxprune.runtime.loading import Optimization
from onnxprune.runtime.observation import Load, Observation, observe
from onnxprune.runtime.profile import Profile
from onnxprune.runtime.providers import Provider, available_providers, parse_provider
from onnxprune.runtime.session import Port, Session
from onnxprune.runtime.timing import TimedRun

__all__ = [
    "Load",
    "Observation",
    "Optimization",
    "Port",
    "Profile",
    "Provider",
    "Session",
    "TimedRun",
    "available_providers",
    "build_info",
    "in_fresh_process",
    "observe",
    "parse_provider",
]
