"""Where pictures come from: files, pictures, drawings, scenarios. Newest frame wins."""

from inyeon_edge.capture.latest import Capture
from inyeon_edge.capture.open import open_source
from inyeon_edge.capture.source import Source
from inyeon_edge.capture.switchable import SwitchableSource

__all__ = ["Capture", "Source", "SwitchableSource", "open_source"]
