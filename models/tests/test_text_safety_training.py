"""Training on made-up tweets with a made-up encoder, and on a slice of the real ones."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from inyeon_models import paths
from inyeon_models import text_safety_data as data
from inyeon_models import text_safety_figures as figures
from inyeon_models.cli import app
from inyeon_models.errors import ConversionError, SourceError
from inyeon_models.text_safety import HATE, NEITHER, OFFENSIVE, Float, TextHead, clean, load_head
from inyeon_models.text_safety_fit import calibration, decide, fit
from inyeon_models.text_safety_train import choose_points, read_corpus, train
from inyeon_models.train_cli import SHIPPED, apart_from_shipped

pytestmark = pytest.mark.unit

WORDS = {HATE: "vermin", OFFENSIVE: "idiot", NEITHER: "picnic"}
SAME = 1e-3  # the largest weights are above 1; another seed or another text moves them by tenths
FILLERS = ("the", "old", "train", "was", "late", "again", "today", "we", "said", "so")


class BagOfWords:
    """An encoder that knows nothing but which words there are."""

    def encode(self, texts: Sequence[str]) -> Float:
        rows = np.zeros((len(texts), 512), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                rows[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % 512] += 1
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1))


def sentence(draw: np.random.Generator, label: int) -> str:
    return " ".join([*draw.choice(FILLERS, 6), WORDS[label]])


def assert_same(one: TextHead, other: TextHead) -> None:
    """The same but for last digits: the processor decides the order of sums."""
    np.testing.assert_allclose(one.weights, other.weights, atol=SAME)
    np.testing.assert_allclose(one.bias, other.bias, atol=SAME)
    assert one.points == pytest.approx(other.points, abs=0.011)  # a step of the grid


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in the real formats."""
    folder, draw = tmp_path_factory.mktemp("data"), np.random.default_rng(3)
    for name in (data.TWEETS, data.HATECHECK, data.KOREAN):
        (folder / name).parent.mkdir(parents=True)
    with (folder / data.TWEETS).open("w", newline="") as file:
        fields = ("hate_speech", "offensive_language", "neither", "class", "tweet")
        writer = csv.writer(file)
        writer.writerow(("", *fields))
        for number in range(600):
            label = int(draw.choice(3, p=(0.2, 0.5, 0.3)))
            votes = [0, 0, 0]
            votes[label] = 3
            text = f"{sentence(draw, label)} {draw.integers(1000)}"
            writer.writerow((number, *votes, label, text))
        writer.writerow((600, 0, 3, 0, 1, "RT @a: you &amp; your\nidiot"))
        writer.writerow((601, 0, 3, 0, 1, "you & your idiot https://example.org"))
    with (folder / data.HATECHECK).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("", "functionality", "test_case", "label_gold", "target_ident"))
        for number in range(40):
            hateful = number % 2 == 0
            text = sentence(draw, HATE if hateful else NEITHER)
            gold, kind = ("hateful", "plain_h") if hateful else ("non-hateful", "plain_nh")
            writer.writerow((number, kind, text, gold, "trains"))
    lines = ["comments\tcontain_gender_bias\tbias\thate"]
    for label, name in ((HATE, "hate"), (OFFENSIVE, "offensive"), (NEITHER, "none")):
        lines += [f'"{sentence(draw, label)}\tFalse\tnone\t{name}' for _ in range(10)]
    (folder / data.KOREAN).write_text("\n".join(lines) + "\n")
    (folder / data.EVERYDAY).mkdir(parents=True)
    for suffix in ("eng", "kor", "heb"):
        text = "\n".join(sentence(draw, NEITHER) for _ in range(40))
        (folder / data.EVERYDAY / f"eng-kor.{suffix}").write_text(text)
    (folder / data.LISTS).mkdir()
    (folder / data.LISTS / "en").write_text("idiot\n\n")
    return folder


def test_tweets_are_read_once_each(made_up: Path) -> None:
    tweets = data.read_tweets(made_up)
    assert len(set(tweets.groups.tolist())) == len(tweets)
    same = [text for text in tweets.texts if "your" in text]
    assert [clean(text) for text in same] == ["you & your idiot"]
    assert tweets.targets.sum(axis=1) == pytest.approx(1.0)


def test_other_sets_are_read(made_up: Path) -> None:
    korean, suite = data.read_korean(made_up), data.read_hatecheck(made_up)
    assert np.bincount(korean.labels).tolist() == [10, 10, 10] and korean.texts[0][0] == '"'
    assert suite.hateful.sum() == 20 and set(suite.target) == {"trains"}
    assert set(data.read_everyday(made_up)) == {"en", "ko"}
    assert data.read_lists(made_up) == {"en": ("idiot",)}


def test_absent_data_is_named(tmp_path: Path) -> None:
    for read in (data.read_tweets, data.read_korean, data.read_hatecheck, data.read_everyday):
        with pytest.raises(SourceError, match=str(tmp_path)):
            read(tmp_path)


def test_the_head_learns_and_repeats_itself(made_up: Path) -> None:
    told: list[str] = []
    corpus = read_corpus(made_up, seed=1)
    first = train(BagOfWords(), "bag@1", corpus, told.append)
    again = train(BagOfWords(), "bag@1", read_corpus(made_up, seed=1))
    assert_same(first.head, again.head)
    assert first.figures["tweets"]["macro_f1"] > 0.95
    assert first.figures["hatecheck"]["by_functionality"]["plain_nh"]["share"] == 1.0
    assert first.figures["korean"]["texts"] == 30 and first.figures["word_lists"]["en"]
    assert first.head.encoder == "bag@1" and told[-1].endswith("word list, en")
    assert first.figures["learned_from"]["tweets"] < len(corpus.tweets)


def test_a_limit_keeps_so_many(made_up: Path) -> None:
    corpus = read_corpus(made_up, seed=1, limit=200)
    assert len(corpus.tweets) == 200 and len(corpus.suite.texts) == 40
    assert read_corpus(made_up, 2, 200).tweets.texts != corpus.tweets.texts


def test_the_suite_and_the_transfer_language_are_never_learned(made_up: Path) -> None:
    """The head is the same, whatever HateCheck, the Korean comments and the lists say."""
    corpus = read_corpus(made_up, seed=1)
    other = read_corpus(made_up, seed=1)
    suite = data.Suite(("x",) * 2, np.array([True, False]), ("f", "f"), ("t", "t"))
    changed = type(other)(other.tweets, other.tweets, suite, other.everyday, {})
    first, second = train(BagOfWords(), "b", corpus), train(BagOfWords(), "b", changed)
    assert_same(first.head, second.head)


def test_a_class_without_a_row_is_refused() -> None:
    rows = np.eye(4)[:2]
    with pytest.raises(ConversionError, match=r"\[1, 1, 0\]"):
        fit(rows, np.eye(3)[:2], np.array([0, 1]))


def test_calibration_finds_a_scale_that_was_taken_away() -> None:
    draw = np.random.default_rng(5)
    logits = draw.normal(size=(4000, 3)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scale, shift = calibration(logits / 4, shares)
    assert scale == pytest.approx(4.0, rel=0.01) and np.abs(shift).max() < 0.01


def test_hate_is_decided_by_its_own_threshold() -> None:
    rows = np.array([[0.3, 0.6, 0.1], [0.2, 0.3, 0.5], [0.9, 0.1, 0.0]])
    assert decide(rows, 0.3).tolist() == [HATE, NEITHER, HATE]
    assert decide(rows, 0.95).tolist() == [OFFENSIVE, NEITHER, OFFENSIVE]


def test_points_reach_what_they_promise() -> None:
    draw = np.random.default_rng(6)
    labels = draw.choice(3, size=4000, p=(0.1, 0.6, 0.3))
    rows = draw.dirichlet((1, 1, 1), size=4000) + np.eye(3)[labels]
    rows /= rows.sum(axis=1, keepdims=True)
    points = choose_points(rows, labels)
    masked = rows[:, HATE] >= points[figures.HATE_MASK]
    assert (labels[masked] == HATE).mean() >= 0.5
    alarms = figures.harm(rows)[labels == NEITHER] >= points[figures.HARM_MASK]
    assert alarms.mean() <= 0.025
    assert points[figures.HATE_MASK] <= points[figures.HATE_ESCALATE]


def test_a_precision_that_is_never_reached_masks_nothing() -> None:
    labels = np.array([OFFENSIVE, NEITHER] * 100)
    rows = np.tile([[0.5, 0.3, 0.2]], (200, 1))
    assert choose_points(rows, labels)[figures.HATE_MASK] == 1.0


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_the_chance_of_a_right_order(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in pairs], dtype=float)
    positive = np.array([good for _, good in pairs])
    if positive.all() or not positive.any():
        return
    ones, zeros = scores[positive], scores[~positive]
    better = (ones[:, None] > zeros).mean() + 0.5 * (ones[:, None] == zeros).mean()
    assert figures.ranking(scores, positive) == pytest.approx(better)


def test_f1_scores_by_hand() -> None:
    truth, said = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    np.testing.assert_allclose(figures.f1_scores(truth, said), [0.5, 2 / 3, 0.0])


def test_calibration_error_by_hand() -> None:
    rows = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])
    labels = np.array([0, 1, 0, 0])
    assert figures.calibration_error(rows, labels) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


@pytest.fixture
def real_data() -> Path:
    folder = paths.default_data()
    if not (folder / data.TWEETS).is_file():
        if os.environ.get("CI"):
            pytest.fail(f"no {data.TWEETS} in {folder}")
        pytest.skip(f"no {data.TWEETS} in {folder}")
    return folder


def test_no_row_of_the_suite_is_among_the_texts_that_are_learned(real_data: Path) -> None:
    suite = {data.group_of(text) for text in data.read_hatecheck(real_data).texts}
    tweets = data.read_tweets(real_data)
    learned = {int(group) for group in tweets.groups}
    for texts in data.read_everyday(real_data).values():
        learned |= {data.group_of(text) for text in texts}
    assert len(suite) > 3_000 and not suite & learned


@pytest.mark.timeout(400)  # 6,000 sentences at 2 ms, on a shared machine ten times that
def test_a_slice_of_the_real_data_gives_the_same_head_twice(
    real_data: Path, built: Path, tmp_path: Path
) -> None:
    heads = []
    for name in ("a.npz", "b.npz"):
        command = ["train", "text-safety", "--limit", "200", "--data", str(real_data), "--json"]
        where = ["--models", str(built), "--out", str(tmp_path / name)]
        found = CliRunner().invoke(app, [*command, *where])
        assert found.exit_code == 0, found.output
        heads.append(load_head(tmp_path / name)[0])
    assert_same(heads[0], heads[1])
    measured = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert measured["limit"] == 200 and measured["tweets"]["auc_harm"] > 0.75
    assert measured["encoder"].startswith("text-encoder@usem3")


def test_it_is_told_how_far_a_head_is_from_the_shipped_one() -> None:
    shipped, _ = load_head(SHIPPED)
    other = replace(shipped, bias=shipped.bias + np.float32(0.25))
    assert apart_from_shipped(shipped) == 0.0
    assert apart_from_shipped(other) == pytest.approx(0.25)


def test_training_without_an_encoder_says_what_to_do(real_data: Path, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["train", "text-safety", "--models", str(tmp_path)])
    assert isinstance(found.exception, SourceError) and "inyeon-models build" in str(
        found.exception
    )
