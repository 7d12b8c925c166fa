"""The runtime seam: what runs a model file, and who may have it."""

from inyeon_edge.engine.library import ModelLibrary
from inyeon_edge.engine.session import Array, RuntimeSession, TensorSpec

__all__ = ["Array", "ModelLibrary", "RuntimeSession", "TensorSpec"]
