"""Where the picture as sent goes, beside the call: preview, file, nowhere."""

from inyeon_edge.outputs.file import FileOutput
from inyeon_edge.outputs.null import NullOutput
from inyeon_edge.outputs.output import Output
from inyeon_edge.outputs.preview import PreviewOutput

__all__ = ["FileOutput", "NullOutput", "Output", "PreviewOutput"]
