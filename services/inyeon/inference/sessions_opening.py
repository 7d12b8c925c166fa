"""The way in to the session encoder, apart from `opening`: it needs no model files and no
onnxruntime in a process that only pairs."""

from __future__ import annotations

from inyeon.inference.certificates import read_certificates
from inyeon.inference.sessions import InProcessSessionEncoder, SessionEncoder
from inyeon.inference.settings import InferenceSettings
from inyeon.runtime.clock import Clock


def open_session_encoder(settings: InferenceSettings, clock: Clock) -> SessionEncoder:
    """What the settings ask for: on their Triton, else in this process.

    Nothing is asked yet: an encoder that is away is no error. Raises SettingsRefused for a
    certificate that cannot be read.
    """
    if not settings.triton:
        return InProcessSessionEncoder()
    from inyeon.inference.sessions_triton import TritonSessionEncoder  # 20 MB of client

    certificates = None if settings.triton_ca is None else read_certificates(settings.triton_ca)
    return TritonSessionEncoder(settings.triton, clock, certificates)
