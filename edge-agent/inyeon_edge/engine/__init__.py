"""The runtime seam: what runs a model file, and who may have it."""

from inyeon_edge.engine.library import ModelEntry, ModelLibrary
from inyeon_edge.engine.session import Array, RuntimeSession, TensorSpec

__all__ = ["Array", "ModelEntry", "ModelLibrary", "RuntimeSession", "TensorSpec"]
