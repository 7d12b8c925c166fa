"""What is done to the picture before anybody sees it: background blur, cover, and their order."""

from inyeon_edge.effects.blur import BackgroundBlur
from inyeon_edge.effects.compositor import Composed, Compositor
from inyeon_edge.effects.cover import CoverCard

__all__ = ["BackgroundBlur", "Composed", "Compositor", "CoverCard"]
