"""CA certificates of a Triton behind TLS."""

from __future__ import annotations

from pathlib import Path

from inyeon.runtime.errors import SettingsRefused


def read_certificates(path: Path) -> bytes:
    """PEM. Raises SettingsRefused where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise SettingsRefused(message, reason="NO_CERTIFICATES", field="triton_ca") from error
