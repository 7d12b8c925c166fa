"""The exported repository: whole, valid for its server, and never written over something else."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from typer.testing import CliRunner

from inyeon.cli.inference import inference as command
from inyeon.inference import session_recipe as recipe
from inyeon.inference.canaries import Canaries
from inyeon.inference.catalogue import (
    EXPORTED_NAMES,
    IMAGE_MODELS,
    JUDGE,
    LABELS,
    SESSION_ENCODER,
    Backend,
    ImageModel,
)
from inyeon.inference.engine import Models
from inyeon.inference.export import export
from inyeon.inference.repository.configs import space_name
from inyeon.runtime.errors import SettingsRefused

pytestmark = pytest.mark.unit

BACKENDS: tuple[Backend, ...] = ("onnxruntime", "python")
pb: Any = model_config_pb2


@pytest.fixture
def folder(models: Models) -> Path:
    """Models as `make models` leaves them; what is in the image models does not matter here."""
    for model in IMAGE_MODELS:
        (models.folder / model.file).write_bytes(f"graph of {model.name}".encode())
    names = ["content_head.npz", *(model.file for model in IMAGE_MODELS)]
    entries = [
        {"file": name, "sha256": hashlib.sha256((models.folder / name).read_bytes()).hexdigest()}
        for name in names
    ]
    (models.folder / "index.json").write_text(json.dumps({"files": entries}))
    return models.folder


def config(repository: Path, name: str) -> Any:
    """The parsed config of a model."""
    text = (repository / name / "config.pbtxt").read_text("utf-8")
    return text_format.Parse(text, pb.ModelConfig())


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_model_has_its_files(folder: Path, tmp_path: Path, backend: Backend) -> None:
    out = tmp_path / "repository"
    exported = export(folder, out, backend)
    assert [one.name for one in exported] == list(EXPORTED_NAMES)
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    wanted = {"README.md", f"{JUDGE}/config.pbtxt", f"{JUDGE}/warmup/space"}
    wanted |= {f"{JUDGE}/1/model.py", f"{JUDGE}/1/head.npz", f"{SESSION_ENCODER}/config.pbtxt"}
    wanted |= {f"{SESSION_ENCODER}/1/{name}" for name in ("model.py", "session_recipe.py")}
    for model in IMAGE_MODELS:
        wanted |= {f"{model.name}/config.pbtxt", f"{model.name}/1/model.onnx"}
        wanted |= {f"{model.name}/1/model.py"} if backend == "python" else set()
        copied = (out / model.name / "1" / "model.onnx").read_bytes()
        assert copied == (folder / model.file).read_bytes()
    assert found == wanted
    assert all(one.size_bytes > 0 for one in exported)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EXPORTED_NAMES)
def test_a_queue_has_bounds_and_a_model_is_warm(
    folder: Path, tmp_path: Path, backend: Backend, name: str
) -> None:
    export(folder, tmp_path / "out", backend)
    made = config(tmp_path / "out", name)
    policy = made.dynamic_batching.default_queue_policy
    assert made.name == name and made.max_batch_size > 1
    assert made.dynamic_batching.max_queue_delay_microseconds > 0
    assert policy.timeout_action == pb.ModelQueuePolicy.REJECT
    assert policy.default_timeout_microseconds > 0 and policy.max_queue_size > 0
    assert policy.allow_timeout_override
    [warm] = made.model_warmup
    required = {tensor.name for tensor in made.input if not tensor.optional}
    assert required <= set(warm.inputs) and warm.batch_size >= 1
    assert not made.version_policy.latest.num_versions > 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_runs_a_model_is_written_out(folder: Path, tmp_path: Path, backend: Backend) -> None:
    export(folder, tmp_path / "out", backend)
    judge = config(tmp_path / "out", JUDGE)
    assert judge.backend == "python"
    assert [group.count for group in judge.instance_group] == [1]  # the bank is in its memory
    for model in IMAGE_MODELS:
        image = config(tmp_path / "out", model.name)
        assert image.backend == backend
        if backend == "onnxruntime":
            assert image.default_model_filename == "model.onnx"


def test_the_judge_is_warmed_up_with_the_space_of_its_head(
    folder: Path, tmp_path: Path, models: Models
) -> None:
    export(folder, tmp_path / "out", "python")
    texts, raw = [], (tmp_path / "out" / JUDGE / "warmup" / "space").read_bytes()
    while raw:
        length = int.from_bytes(raw[:4], "little")
        texts.append(raw[4 : 4 + length].decode())
        raw = raw[4 + length :]
    assert texts[0] == space_name(models.head) and len(texts) == 2
    parameter = config(tmp_path / "out", JUDGE).parameters["space"].string_value
    assert parameter == space_name(models.head)


def test_the_session_encoder_is_exported_with_the_recipe_that_runs_here(
    folder: Path, tmp_path: Path
) -> None:
    export(folder, tmp_path / "out", "python")
    copied = tmp_path / "out" / SESSION_ENCODER / "1" / "session_recipe.py"
    assert copied.read_text("utf-8") == Path(recipe.__file__).read_text("utf-8")
    made = config(tmp_path / "out", SESSION_ENCODER)
    assert made.backend == "python" and made.max_batch_size == recipe.BATCH


def test_an_older_one_of_ours_is_replaced_whole(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(folder, out, "python")
    export(folder, out, "onnxruntime")
    assert not list(out.glob("image_*/1/model.py"))
    assert not out.with_name("out.new").exists()


@pytest.mark.parametrize("foreign", ["photos/one.txt", "another_encoder/config.pbtxt"])
def test_a_folder_of_somebody_else_is_left_alone(
    folder: Path, tmp_path: Path, foreign: str
) -> None:
    theirs = tmp_path / "out" / foreign
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    with pytest.raises(SettingsRefused) as caught:
        export(folder, tmp_path / "out", "python")
    assert (caught.value.reason, caught.value.field) == ("FOLDER_IN_USE", "out")
    assert theirs.read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "reason"),
    [("no index", "NO_MODELS"), ("no image", "NO_MODELS"), ("altered", "MODEL_ALTERED")],
)
def test_models_that_are_not_whole_are_refused_and_the_older_one_stays(
    folder: Path, tmp_path: Path, change: str, reason: str
) -> None:
    export(folder, tmp_path / "out", "python")
    image = folder / IMAGE_MODELS[-1].file
    if change == "no index":
        (folder / "index.json").unlink()
    elif change == "no image":
        image.unlink()
    else:
        image.write_bytes(b"another graph")
    with pytest.raises(SettingsRefused) as caught:
        export(folder, tmp_path / "out", "onnxruntime")
    assert (caught.value.reason, caught.value.field) == (reason, "models_dir")
    assert config(tmp_path / "out", IMAGE_MODELS[0].name).backend == "python"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_command_writes_it(folder: Path, tmp_path: Path, backend: Backend) -> None:
    arguments = ["export", "--backend", backend, "--models", str(folder)]
    told = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "out"), "--json"])
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert [one["name"] for one in document["models"]] == list(EXPORTED_NAMES)
    assert {one["backend"] for one in document["models"]} == {"python", backend}
    plain = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "out")])
    assert plain.exit_code == 0 and JUDGE in plain.stdout


def test_the_command_says_what_to_do_without_models(tmp_path: Path) -> None:
    arguments = ["export", "--models", str(tmp_path), "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(command, arguments)
    assert told.exit_code == 2 and "make models" in told.stderr


@pytest.mark.parametrize("model", IMAGE_MODELS, ids=lambda model: model.name)
def test_the_config_is_that_of_the_real_graph(tmp_path: Path, model: ImageModel) -> None:
    """The onnxruntime backend refuses a model whose names, types or shapes are others."""
    folder = Path(os.environ.get("INYEON_MODELS_DIR") or "build/models").resolve()
    if not (folder / model.file).is_file():
        if os.environ.get("CI"):
            pytest.fail(f"no {model.file} in {folder}: CI builds it first")
        pytest.skip(f"no {model.file} in {folder}: run `make models`")
    export(folder, tmp_path / "out", "onnxruntime")
    made = config(tmp_path / "out", model.name)
    path = tmp_path / "out" / model.name / "1" / made.default_model_filename
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    graph = {tensor.name: tensor for tensor in (*session.get_inputs(), *session.get_outputs())}
    for tensor in (*made.input, *made.output):
        shape = graph[tensor.name].shape
        assert not isinstance(shape[0], int), "the first dimension is the batch"
        assert list(tensor.dims) == shape[1:]
        assert tensor.data_type == pb.TYPE_FP32 and graph[tensor.name].type == "tensor(float)"
    batch = np.repeat(Canaries.load(folder).picture(model), made.max_batch_size, axis=0)
    rows = session.run(["probabilities"], {"pictures": batch})[0]
    assert rows.shape == (made.max_batch_size, len(LABELS))
