"""The service's key for caption MACs."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from inyeon.runtime.errors import SettingsRefused
from inyeon.translation.domain.mac import KEY_BYTES


def caption_key(configured: str, data_dir: Path) -> bytes:
    """The configured key (hex), or one of this installation, made once and kept for its owner's
    eyes only.

    Replicas need the same key, so a cluster configures it. Raises SettingsRefused for anything but
    32 bytes.
    """
    if configured:
        return _checked(configured, "INYEON_TRANSLATION_MAC_KEY")
    path = data_dir / "caption-mac.key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        _write_once(path)
    return _checked(path.read_text("ascii").strip(), str(path))


def _write_once(path: Path) -> None:
    """Writes aside, then links: a process that starts at the same time sees a whole key or none."""
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_hex(KEY_BYTES), "ascii")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _checked(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsRefused(f"{where} is not {KEY_BYTES} bytes in hex", field=where)
    return key
