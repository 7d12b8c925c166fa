"""The real text-safety model from built files: known sentences, windows, broken files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from inyeon.inference.text import InProcessTextScreen
from inyeon.inference.text_model import FILES, LANGUAGES, TextModel, clean, missing
from inyeon.runtime.errors import SettingsRefused
from inyeon_models import text_safety

pytestmark = [pytest.mark.integration, pytest.mark.engine("onnxruntime")]

REPOSITORY = Path(__file__).parents[3]
MODELS = Path(os.environ.get("INYEON_MODELS_DIR", REPOSITORY / "build" / "models"))


@pytest.fixture(scope="module")
def model() -> TextModel:
    if absent := missing(MODELS):
        reason = f"no {absent[0]} in {MODELS}: run inyeon-models build"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return TextModel.load(MODELS)


@pytest.fixture
def folder(model: TextModel, tmp_path: Path) -> Path:
    """The built files as links: a test may break one."""
    for name in FILES:
        (tmp_path / name).symlink_to(MODELS / name)
    return tmp_path


def harm(model: TextModel, text: str) -> float:
    return 1.0 - model.scores(clean(text))[-1]


def test_insults_score_above_ordinary_sentences(model: TextModel) -> None:
    rude = ["You are an idiot.", "shut up, you stupid liar", "Eres un idiota", "du bist ein Idiot"]
    kind = ["See you tomorrow at the station!", "Nos vemos mañana en la estación", "Guten Morgen!"]
    assert min(harm(model, text) for text in rude) > max(harm(model, text) for text in kind)


def test_scores_are_probabilities_of_the_manifests_classes(model: TextModel) -> None:
    scores = model.scores("hello there")
    assert model.classes == text_safety.CLASSES
    assert sum(scores) == pytest.approx(1.0, abs=1e-6) and min(scores) >= 0


def test_an_insult_is_not_diluted_by_a_long_text(model: TextModel) -> None:
    padding = "we took the train to the sea and had a picnic under the old trees. " * 20
    alone, inside = harm(model, "you stupid idiot"), harm(model, padding)
    assert harm(model, f"{padding} you stupid idiot. {padding}") > inside
    assert alone > inside


@pytest.mark.parametrize(
    "text",
    [
        "You IDIOT", "  a\tb\n", "\uff28\uff25\uff2c\uff2c\uff2f", "@rose: hi", "www.example.org x",
        "https://e.org/a?b=c!", "İstanbul", "ﬁne", "\ud800", "", "ß ẞ",
    ],
)  # fmt: skip
def test_texts_are_cleaned_as_in_training(text: str) -> None:
    assert clean(text) == text_safety.clean(text)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_absent_or_cut_off_is_refused_by_name(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()[:200]
    (folder / name).unlink()
    assert missing(folder) == (name,)
    for content in (None, data, b""):
        if content is not None:
            (folder / name).write_bytes(content)
        with pytest.raises(SettingsRefused, match=name) as refused:
            TextModel.load(folder)
        assert refused.value.reason == "NO_MODELS"


def test_a_head_for_another_encoder_is_found_out(folder: Path) -> None:
    """Numbers of the right shape that say other things of the known sentences."""
    path = folder / "text_safety_head.npz"
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays["weights"] = arrays["weights"][:, ::-1]
    path.unlink()
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(SettingsRefused, match="a known sentence is"):
        TextModel.load(folder)


def test_a_head_of_another_form_is_refused(folder: Path) -> None:
    path = folder / "text_safety_head.npz"
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays["bias"] = arrays["bias"][:2]
    path.unlink()
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(SettingsRefused, match="classes"):
        TextModel.load(folder)


def test_numbers_that_are_not_finite_are_no_answer(folder: Path) -> None:
    path = folder / "text_safety_head.npz"
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays["weights"] = arrays["weights"] * np.nan
    path.unlink()
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(SettingsRefused, match="not finite"):
        TextModel.load(folder)


def test_the_languages_are_those_of_the_training(model: TextModel) -> None:
    from inyeon_models.text_safety_data import COVERED

    assert frozenset(COVERED.values()) == LANGUAGES


async def test_the_screen_opens_from_a_folder(model: TextModel) -> None:
    screen = await InProcessTextScreen.open(MODELS)
    found = await screen.screen("You are an idiot.", "en", 10.0)
    assert found.scores == model.scores("you are an idiot.")
    await screen.close()


def test_files_are_only_read(folder: Path) -> None:
    copied = folder / "copy"
    copied.mkdir()
    for name in FILES:
        shutil.copyfile(folder / name, copied / name)
        (copied / name).chmod(0o444)
    assert TextModel.load(copied).version == TextModel.load(folder).version
