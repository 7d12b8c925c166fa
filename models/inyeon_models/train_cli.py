"""`inyeon-models train`: what is learned from data that nobody may ship."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from inyeon_models import index, paths
from inyeon_models.errors import SourceError
from inyeon_models.files import write_bytes
from inyeon_models.mutual_interest import load_model, to_json
from inyeon_models.mutual_interest_data import read_survey
from inyeon_models.mutual_interest_plot import reliability_svg
from inyeon_models.mutual_interest_train import SHUFFLES
from inyeon_models.mutual_interest_train import train as train_mutual_interest
from inyeon_models.sentences import SentenceEncoder
from inyeon_models.text_safety import TextHead, load_head
from inyeon_models.text_safety_train import read_corpus, train

app = typer.Typer(no_args_is_help=True, help=__doc__)

ENCODER = "text-encoder"
SEED = 1
SHIPPED = paths.TRAINED / "text_safety_head.npz"
SHIPPED_MUTUAL = paths.TRAINED / "mutual_interest.json"

Data = Annotated[Path | None, typer.Option("--data", help="Data folder (INYEON_DATA)")]
Models = Annotated[Path | None, typer.Option("--models", help="Folder of the built files")]
Out = Annotated[Path, typer.Option("--out", help="The head; its figures go beside it as .json")]
Limit = Annotated[int | None, typer.Option("--limit", min=200, help="Texts of each set, for a try")]
Model = Annotated[Path, typer.Option("--out", help="The model; figures go beside it, _figures")]
Shuffles = Annotated[int, typer.Option(min=0, help="Swapped surveys of the permutation test")]
AsJson = Annotated[bool, typer.Option("--json", help="The figures on stdout")]


@app.callback()
def group() -> None:
    """Learned files; each is written with its figures beside it."""


@app.command("text-safety")
def text_safety(
    data: Data = None,
    out: Out = SHIPPED,
    models: Models = None,
    seed: int = SEED,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Train the text-safety head on the multilingual encoder.

    The same seed gives the same head but for its last digits, which the processor's order of sums
    decides (the card tells by how much); what is said to differ from the shipped head shows it.
    """
    console = Console(stderr=True)
    folder = models or paths.default_out()
    entry = index.read(folder).get(ENCODER)
    if entry is None:
        raise SourceError(f"{folder}: no {ENCODER}; run inyeon-models build")
    corpus = read_corpus(data or paths.default_data(), seed, limit)
    name = f"{ENCODER}@{entry.version}"
    trained = train(SentenceEncoder(folder), name, corpus, lambda text: console.print(text))
    document = {"seed": seed, "limit": limit, **trained.figures}
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    console.print(f"largest number apart from the shipped head: {apart_from_shipped(trained.head)}")
    write_bytes(out, trained.file)
    write_bytes(out.with_suffix(".json"), text.encode())
    tweets, suite = trained.figures["tweets"], trained.figures["hatecheck"]
    console.print(f"{out}: macro-F1 {tweets['macro_f1']} held out, HateCheck {suite['macro_f1']}")
    if as_json:
        sys.stdout.write(text)


@app.command("mutual-interest")
def mutual_interest(
    data: Data = None,
    out: Model = SHIPPED_MUTUAL,
    shuffles: Shuffles = SHUFFLES,
    as_json: AsJson = False,
) -> None:
    """Train the mutual-interest model on the speed-dating survey, leaving out one wave in turn.

    Nothing is drawn but the permutation test: the same survey gives the same model but for its last
    digits. About a minute and a half on one core, most of it the permutation test.
    """
    console = Console(stderr=True)
    survey = read_survey(data or paths.default_data())
    trained = train_mutual_interest(survey, shuffles, lambda text: console.print(text))
    text = json.dumps(trained.figures, indent=1) + "\n"
    if SHIPPED_MUTUAL.is_file():
        apart = np.abs(np.subtract(load_model(SHIPPED_MUTUAL).weights, trained.model.weights)).max()
        console.print(f"largest weight apart from the shipped model: {apart}")
    write_bytes(out, to_json(trained.model))
    write_bytes(out.with_name(f"{out.stem}_figures.json"), text.encode())
    plot = reliability_svg(trained.figures["reliability"], trained.figures["both_like"])
    write_bytes(out.with_name(f"{out.stem}_reliability.svg"), plot)
    gain = trained.figures["gain"]["log_loss"]
    console.print(f"{out}: log loss {gain['mean']} [{gain['low']}, {gain['high']}] to the constant")
    if as_json:
        sys.stdout.write(text)


def apart_from_shipped(head: TextHead) -> float:
    """Largest difference of a weight, a bias or an operating point from the committed head's."""
    shipped, _ = load_head(SHIPPED)
    points = [head.points[name] - shipped.points[name] for name in sorted(shipped.points)]
    pairs = (head.weights - shipped.weights, head.bias - shipped.bias, np.asarray(points))
    return max(float(np.abs(differences).max()) for differences in pairs)
