"""Settings of translation: frozen, read once, prefix INYEON_TRANSLATION_."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from inyeon.runtime.settings import StrictSettings
from inyeon.translation.data import PHRASEBOOK, SCREEN_POLICY


class TranslationSettings(StrictSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix="INYEON_TRANSLATION_", frozen=True, extra="forbid", validate_default=True
    )

    phrasebook: Path = PHRASEBOOK
    """Phrasebook file; the format is that of the one which ships."""
    apertium: bool = True
    """Use Apertium where it is found."""
    apertium_root: Path | None = None
    """A tree with `usr/share/apertium`; empty: the system's, then the tools folder's."""
    tools_dir: Path = Field(
        default=Path("build/tools"),
        validation_alias=AliasChoices(
            "tools_dir", "INYEON_TRANSLATION_TOOLS_DIR", "INYEON_TOOLS_DIR"
        ),
    )
    """Where the installer puts programs that the system lacks."""
    warm_pairs: tuple[str, ...] = ("en-es", "es-en")
    """Pairs whose pipes start with the service; others start with their first sentence."""
    cache_size: int = Field(default=50_000, ge=0, le=10_000_000)
    """Sentences kept in memory, about 0.5 kB each: 25 MB."""
    screen: bool = True
    """Screen what people say, before and after translation."""
    screen_policy: Path = SCREEN_POLICY
    """What happens to which scores; the format is that of the file which ships."""
    models_dir: Path = Field(
        default=Path("build/models"),
        validation_alias=AliasChoices(
            "models_dir", "INYEON_TRANSLATION_MODELS_DIR", "INYEON_MODELS_DIR"
        ),
    )
    """Built model files. Development goes on without the text screen's; production does not."""
    mac_key: SecretStr = SecretStr("")
    """Key of caption MACs, 32 bytes in hex; the same on every replica. Empty: one of this
    installation.
    """
