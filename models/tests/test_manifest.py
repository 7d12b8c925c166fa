from __future__ import annotations

from pathlib import Path

import pytest

from inyeon_models import paths
from inyeon_models.errors import ManifestError
from inyeon_models.manifest import Manifest, load, parse

pytestmark = pytest.mark.unit

_SOURCE = f"""
[[source]]
name = "p"
ecosystem = "npm"
package = "p"
version = "1"
file = "p-1.tgz"
sha256 = "{"0" * 64}"
size_bytes = 1
licence = "MIT"
"""
_PRODUCT = """
[[product]]
name = "a"
version = "1"
file = "a.onnx"
kind = "onnx"
recipe = "nsfw_onnx"
source = "p"
members = ["x"]
licence = "MIT"
summary = "s"
"""


def _parse(text: str) -> Manifest:
    return parse("schema_version = 1\n" + text)


def test_the_real_manifest_holds_together() -> None:
    manifest = load(paths.MANIFEST)
    assert all(product.licence for product in manifest.product)
    copies = [product for product in manifest.product if product.recipe == "copy"]
    assert all(product.sha256 and product.size_bytes for product in copies)
    models = [product for product in manifest.product if product.kind in ("tflite", "onnx")]
    assert all(product.inputs and product.outputs for product in models)


def test_every_anchor_of_a_detector_has_its_row() -> None:
    for product in load(paths.MANIFEST).product:
        if product.decoding is not None:
            layers = product.decoding.anchors
            anchors = sum(layer.grid**2 * layer.per_cell for layer in layers)
            assert [output.shape[1] for output in product.outputs] == [anchors, anchors]
            numbers = 4 + 2 * product.decoding.key_points
            assert product.outputs[0].shape[2] == numbers


def test_every_product_has_a_card() -> None:
    cards = {path.stem for path in paths.CARDS.glob("*.md")}
    text = "\n".join(path.read_text("utf-8") for path in paths.CARDS.glob("*.md"))
    for product in load(paths.MANIFEST).product:
        assert product.name in cards or product.file in text, product.name


def test_a_product_brings_what_it_needs_in_build_order() -> None:
    manifest = load(paths.MANIFEST)
    names = [product.name for product in manifest.closure(("content-pca-64",))]
    needed = ["carphone-pristine", "astronaut", "coffee", "nsfw-mobilenet-v2", "content-pca-64"]
    assert names == needed
    assert manifest.closure(()) == manifest.product


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_SOURCE.replace('"npm"', '"cpan"') + _PRODUCT, "ecosystem"),
        (_SOURCE.replace("0" * 64, "0" * 63) + _PRODUCT, "source.0.sha256"),
        (_SOURCE.replace("p-1.tgz", "../p-1.tgz") + _PRODUCT, "source.0.file"),
        (_SOURCE + _PRODUCT.replace('"p"', '"q"'), "unknown source q"),
        (_SOURCE + _PRODUCT + 'needs = ["later"]', "not built before it"),
        (_SOURCE + _PRODUCT + _PRODUCT, "product names used twice"),
        (_SOURCE + _SOURCE + _PRODUCT, "source names used twice"),
        (_SOURCE + _PRODUCT + _PRODUCT.replace('"a"', '"b"'), "file names used twice"),
        (_SOURCE + _PRODUCT.replace("nsfw_onnx", "copy"), "a copy needs"),
        (_SOURCE + _PRODUCT.replace("nsfw_onnx", "magic"), "product.0.recipe"),
        (_SOURCE + _PRODUCT + 'colour = "red"', "product.0.colour"),
        ("[[", "manifest:"),
    ],
)
def test_a_wrong_field_is_named(text: str, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        _parse(text)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    manifest = _parse(_SOURCE + _PRODUCT)
    with pytest.raises(ManifestError, match="there are a"):
        manifest.closure(("b",))
    with pytest.raises(ManifestError, match="no source is called b"):
        manifest.source_named("b")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        load(tmp_path / "manifest.toml")


def test_the_digest_of_a_product_follows_every_field() -> None:
    one = _parse(_SOURCE + _PRODUCT).product[0]
    other = _parse(_SOURCE + _PRODUCT + 'labels = ["x"]').product[0]
    assert one.digest != other.digest
