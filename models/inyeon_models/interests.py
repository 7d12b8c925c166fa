"""The interest embedding: sentence embeddings reduced to what is worth sending.

Fitted when the models are built, on the sentences of models/phrases/interests.tsv; how many
directions are kept was chosen by `inyeon-models recall` (see the card).
"""

from __future__ import annotations

from pathlib import Path

from inyeon_models.errors import SourceError
from inyeon_models.reduction import Projection, fit
from inyeon_models.sentences import Float, SentenceEncoder

# The smallest candidate that loses at most 1.5 points of recall@10 against 512 float numbers.
DIMS = 64


def read_phrases(path: Path) -> tuple[str, ...]:
    """Sentences of a file `language<TAB>sentence`; raises SourceError naming a broken line."""
    sentences = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        language, tab, sentence = line.partition("\t")
        if not (language and tab and sentence.strip()):
            raise SourceError(f"{path.name}:{number}: not language<TAB>sentence")
        sentences.append(sentence)
    return tuple(sentences)


def fit_interests(embeddings: Float, dims: int = DIMS) -> Projection:
    """Directions through the origin, so that the cosine of two interests keeps its meaning."""
    return fit(embeddings, dims, centred=False)


def fit_from(folder: Path, phrases: Path) -> Projection:
    """The projection that ships, from the encoder in `folder`."""
    return fit_interests(SentenceEncoder(folder).encode(read_phrases(phrases)))
