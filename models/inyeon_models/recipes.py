"""How each file is made: one function for each recipe of the manifest."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inyeon_models import (
    canaries,
    content,
    content_head,
    index,
    interests,
    nsfw,
    paths,
    text_encoder,
)
from inyeon_models.errors import ConversionError
from inyeon_models.files import sha256_of, sha256_of_bytes
from inyeon_models.index import Space
from inyeon_models.manifest import Product, Recipe
from inyeon_models.overlap import load_projection
from inyeon_models.reduction import Projection, to_npz

# Raise a number when the recipe's code changes what it writes: built files are then made anew.
VERSIONS: Mapping[Recipe, int] = {
    "copy": 1,
    "nsfw_onnx": 1,
    "text_table": 1,
    "text_scale": 1,
    "text_onnx": 1,
    "content_pca": 1,
    "content_head": 1,
    "canaries": 1,
    "interest_projection": 1,
    "trained": 1,
}


@dataclass(frozen=True, slots=True)
class Job:
    """What a recipe may use: its product, the members it named, and the folder built so far."""

    product: Product
    members: Mapping[str, bytes]
    folder: Path
    phrases: Path

    @property
    def metadata(self) -> dict[str, str]:
        """What an ONNX file says about itself."""
        product = self.product
        licence, version = product.licence, product.version
        return {"name": product.name, "version": version, "licence": licence}


@dataclass(frozen=True, slots=True)
class Made:
    """Bytes of the file, and the embedding space where it is a projection."""

    data: bytes
    space: Space | None = None


def make(job: Job) -> Made:
    """Run the recipe of the job's product; raises SourceError or ConversionError."""
    return _RECIPES[job.product.recipe](job)


def fingerprint(
    product: Product, source_sha256: str, needs: Mapping[str, str], phrases: Path
) -> str:
    """Digest of all that decides the file's bytes: entry, code version, package, what it needs."""
    parts = [product.digest, str(VERSIONS[product.recipe]), source_sha256]
    parts += [f"{name}={needs[name]}" for name in sorted(needs)]
    if product.recipe == "interest_projection":
        parts.append(sha256_of(phrases))
    if product.source is None:
        parts += [sha256_of(committed(name)) for name in product.members]
    return sha256_of_bytes("\n".join(parts).encode())


def committed(member: str) -> Path:
    """A file that lies beside the manifest."""
    return paths.MODELS / member


def _copy(job: Job) -> Made:
    return Made(_only_member(job))


def _nsfw_onnx(job: Job) -> Made:
    names = [output.name for output in job.product.outputs]
    model = nsfw.convert(job.members, names, job.metadata)
    return Made(model.SerializeToString(deterministic=True))


def _text_table(job: Job) -> Made:
    buffer = io.BytesIO()
    np.save(buffer, text_encoder.read_parts(_only_member(job)).table, allow_pickle=False)
    return Made(buffer.getvalue())


def _text_scale(job: Job) -> Made:
    return Made(text_encoder.scale_json(text_encoder.read_parts(_only_member(job))))


def _text_onnx(job: Job) -> Made:
    parts = text_encoder.read_parts(_only_member(job))
    model = text_encoder.to_onnx(parts, job.metadata)
    return Made(model.SerializeToString(deterministic=True))


def _content_pca(job: Job) -> Made:
    pictures = dict(job.members)
    for name in ("astronaut.png", "coffee.png"):
        pictures[name] = (job.folder / "clips" / name).read_bytes()
    clip = job.folder / "clips" / "carphone_pristine.mp4"
    scenes = content.training_pictures(clip, pictures)
    features = content.pooled_features(job.folder / "nsfw_mobilenet_v2.onnx", scenes)
    return _projection(job.product, content.fit_content(features))


def _content_head(job: Job) -> Made:
    projection = load_projection(job.folder / "content_pca_64.npz")
    head = content_head.make_head(nsfw.read_classifier(job.members), projection)
    space = index.read(job.folder)["content-pca-64"].space
    if space is None:
        raise ConversionError("content head: content-pca-64 has no embedding space in index.json")
    names = {"model": space.model, "version": space.version}
    return Made(content_head.to_npz(head, labels=job.product.labels, **names))


def _canaries(job: Job) -> Made:
    return Made(canaries.document(job.members, job.folder / "content_head.npz"))


def _interest_projection(job: Job) -> Made:
    return _projection(job.product, interests.fit_from(job.folder, job.phrases))


def _projection(product: Product, projection: Projection) -> Made:
    space = Space(product.name, projection.version(product.version), projection.dims)
    return Made(to_npz(projection, model=space.model, version=space.version), space)


def _only_member(job: Job) -> bytes:
    return job.members[job.product.members[0]]


_RECIPES: Mapping[Recipe, Callable[[Job], Made]] = {
    "copy": _copy,
    "nsfw_onnx": _nsfw_onnx,
    "text_table": _text_table,
    "text_scale": _text_scale,
    "text_onnx": _text_onnx,
    "content_pca": _content_pca,
    "content_head": _content_head,
    "canaries": _canaries,
    "interest_projection": _interest_projection,
    "trained": _copy,
}
