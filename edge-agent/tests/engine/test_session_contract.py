"""One contract, three sessions: LiteRT and onnxruntime on models made here, and the twin."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inyeon_edge.engine.fake import FakeSession
from inyeon_edge.engine.litert import LiteRtSession
from inyeon_edge.engine.onnx import OnnxSession
from inyeon_edge.engine.session import RuntimeSession, TensorSpec
from inyeon_edge.errors import ModelCorrupt, ShapeError

pytestmark = pytest.mark.contract


class SessionContract(ABC):
    """Every test uses only the Protocol and a session with one float32 input of known shape."""

    @abstractmethod
    @pytest.fixture
    def session(self) -> RuntimeSession: ...

    def picture(self, session: RuntimeSession, seed: int) -> dict[str, np.ndarray]:
        spec = session.inputs[0]
        shape = [1 if side == -1 else side for side in spec.shape]
        return {spec.name: np.random.default_rng(seed).random(shape, np.float32)}

    def test_gives_every_output_by_name_as_float32(self, session: RuntimeSession) -> None:
        out = session.run(self.picture(session, 1))
        assert list(out) == [spec.name for spec in session.outputs]
        assert all(array.dtype == np.float32 for array in out.values())

    def test_outputs_belong_to_the_caller(self, session: RuntimeSession) -> None:
        first = session.run(self.picture(session, 1))
        kept = {name: array.copy() for name, array in first.items()}
        session.run(self.picture(session, 2))
        for name, array in first.items():
            assert (array == kept[name]).all()

    def test_same_input_same_output(self, session: RuntimeSession) -> None:
        one, other = (session.run(self.picture(session, 3)) for _ in range(2))
        assert all((one[name] == other[name]).all() for name in one)

    def test_threads_take_turns(self, session: RuntimeSession) -> None:
        name = session.outputs[0].name
        want = {seed: session.run(self.picture(session, seed))[name] for seed in (4, 5)}
        wrong: list[int] = []

        def ask(seed: int) -> None:
            for _ in range(5):
                if not (session.run(self.picture(session, seed))[name] == want[seed]).all():
                    wrong.append(seed)

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in (4, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert wrong == []

    def test_refuses_what_does_not_fit_and_names_it(self, session: RuntimeSession) -> None:
        fitting = self.picture(session, 6)
        name, array = next(iter(fitting.items()))
        wrong: list[dict[str, np.ndarray]] = [
            {},
            {**fitting, "other": array},
            {name: array[0]},
            {name: np.concatenate([array, array], axis=1)},
            {name: array.astype(np.float64)},
        ]
        for inputs in wrong:
            with pytest.raises(ShapeError) as raised:
                session.run(inputs)
            assert raised.value.field in (name, "other")


class TestFake(SessionContract):
    @pytest.fixture
    def session(self) -> RuntimeSession:
        spec = (TensorSpec("x", (-1, 4, 4, 3)),)
        return FakeSession(spec, (TensorSpec("y", (-1, 4, 4, 3)),), lambda x: {"y": x["x"] * 2})


@pytest.mark.engine("onnxruntime")
class TestOnnx(SessionContract):
    @pytest.fixture
    def session(self, tmp_path: Path) -> RuntimeSession:
        return OnnxSession(_doubling(tmp_path / "double.onnx"))


@pytest.mark.engine("litert")
class TestLiteRt(SessionContract):
    @pytest.fixture
    def session(self, models_dir: Path) -> RuntimeSession:
        return LiteRtSession(models_dir / "face_detection_short_range.tflite")


@pytest.mark.parametrize("kind", [OnnxSession, LiteRtSession])
@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08" * 4096])
def test_unreadable_files_are_named(
    kind: type[OnnxSession] | type[LiteRtSession], content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "broken.bin"
    path.write_bytes(content)
    with pytest.raises(ModelCorrupt) as raised:
        kind(path)
    assert raised.value.field == "broken.bin"


def test_onnx_takes_any_batch(tmp_path: Path) -> None:
    session = OnnxSession(_doubling(tmp_path / "double.onnx"))
    made = session.run({"x": np.ones((3, 2), np.float32)})["y"]
    assert (made == np.full((3, 2), 2)).all()


def _doubling(path: Path) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path
