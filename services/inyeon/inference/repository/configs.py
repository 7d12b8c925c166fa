"""`config.pbtxt` of each model: everything is written out, nothing is guessed by the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from inyeon.inference import session_recipe
from inyeon.inference.catalogue import JUDGE, JUDGE_BATCH, SESSION_ENCODER, Backend, ImageModel
from inyeon.inference.head import ContentHead

pb: Any = model_config_pb2  # its classes are made at run time


@dataclass(frozen=True, slots=True)
class Queue:
    """How requests wait. Times in microseconds."""

    delay_us: int
    size: int
    timeout_us: int


# Callers state their own time, which may only be shorter than these.
# Judging is 0.1 ms: half a millisecond gathers a batch under load and nobody notices it without.
# 1,024 waiting at 2,000/s are half a second; 2 s leave room for the parts of a bank.
JUDGE_QUEUE = Queue(delay_us=500, size=1024, timeout_us=2_000_000)
# Inception takes 130 ms on two cores: 16 waiting are 2 s; who waits 5 s has no use for it.
IMAGE_QUEUE = Queue(delay_us=5_000, size=16, timeout_us=5_000_000)
IMAGE_BATCH = 4
# Matching asks with whole batches of its own, a millisecond each, and nobody waits for the answer:
# nothing is gathered. 256 batches are a quarter of a second; 2 s old ones are asked again anyway.
SESSION_QUEUE = Queue(delay_us=100, size=256, timeout_us=2_000_000)
SESSION_WARM_DIMS = 64
"""As the device agent's interests have; others work as well."""


def judge_config(head: ContentHead) -> str:
    """Of the embedding judge: Python backend everywhere, because it keeps the bank."""
    config = _config(JUDGE, "python", JUDGE_BATCH, JUDGE_QUEUE)
    # one instance: every instance would be a process with a bank of its own
    config.instance_group.add(count=1, kind=pb.ModelInstanceGroup.KIND_CPU)
    config.parameters["space"].string_value = space_name(head)
    dims = head.space.dims
    _tensors(config.input, {"EMBEDDING": ("FP32", [dims]), "SPACE": ("STRING", [2])})
    _tensors(config.input, {"BANK_HEADER": ("INT64", [5]), "BANK_VECTORS": ("FP32", [-1, dims])})
    _tensors(config.input, {"BANK_NAMES": ("STRING", [-1, 2])})
    for tensor in config.input:
        tensor.optional = True
    _tensors(config.output, {"PROBABILITIES": ("FP32", [len(head.labels)])})
    _tensors(config.output, {"HIT_NAMES": ("STRING", [-1, 2]), "HIT_SIMILARITIES": ("FP32", [-1])})
    _tensors(config.output, {"GENERATION": ("INT64", [2])})
    inputs = {"EMBEDDING": ("FP32", [dims], "zero"), "SPACE": ("STRING", [2], "space")}
    _warm_up(config, inputs)
    return _text(config)


def image_config(model: ImageModel, labels: Sequence[str], backend: Backend) -> str:
    """Of one image filter."""
    config = _config(model.name, backend, IMAGE_BATCH, IMAGE_QUEUE)
    group = config.instance_group.add(count=1)
    if backend == "python":
        group.kind = pb.ModelInstanceGroup.KIND_CPU
    else:
        config.default_model_filename = "model.onnx"
        config.parameters["inter_op_thread_count"].string_value = "1"
    config.parameters["intra_op_thread_count"].string_value = str(model.threads)
    shape = [model.side, model.side, 3]
    _tensors(config.input, {"pictures": ("FP32", shape)})
    _tensors(config.output, {"probabilities": ("FP32", [len(labels)])})
    _warm_up(config, {"pictures": ("FP32", shape, "random")})
    return _text(config)


def session_config() -> str:
    """Of matching's session encoder; vectors of any number of dimensions."""
    config = _config(SESSION_ENCODER, "python", session_recipe.BATCH, SESSION_QUEUE)
    config.instance_group.add(count=1, kind=pb.ModelInstanceGroup.KIND_CPU)
    talks, dims = session_recipe.TALKS, SESSION_WARM_DIMS
    _tensors(config.input, {"BEFORE": ("FP64", [-1]), "TALKS": ("FP64", [talks, 2])})
    _tensors(config.input, {"PARTNERS": ("FP32", [talks, -1])})
    _tensors(config.output, {"STATE": ("FP64", [-1]), "MODEL": ("STRING", [1])})
    inputs = {"BEFORE": ("FP64", [dims + session_recipe.SUMS], "zero")}
    inputs |= {"TALKS": ("FP64", [talks, 2], "zero")}
    inputs |= {"PARTNERS": ("FP32", [talks, dims], "zero")}
    _warm_up(config, inputs)
    return _text(config)


def space_name(head: ContentHead) -> str:
    """model@version of the head's embedding space."""
    return f"{head.space.model}@{head.space.version}"


def space_tensor(head: ContentHead) -> bytes:
    """The warm-up's SPACE as Triton reads texts from a file: 4 bytes of length, then the bytes."""
    texts = (space_name(head).encode(), b"warm-up")
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _config(name: str, backend: str, batch: int, queue: Queue) -> Any:
    config = pb.ModelConfig(name=name, backend=backend, max_batch_size=batch)
    config.version_policy.latest.num_versions = 1
    batching = config.dynamic_batching
    batching.max_queue_delay_microseconds = queue.delay_us
    policy = batching.default_queue_policy
    policy.timeout_action = pb.ModelQueuePolicy.REJECT
    policy.default_timeout_microseconds = queue.timeout_us
    policy.allow_timeout_override = True  # a caller with less time says so
    policy.max_queue_size = queue.size
    return config


def _tensors(field: Any, tensors: Mapping[str, tuple[str, list[int]]]) -> None:
    for name, (kind, dims) in tensors.items():
        field.add(name=name, data_type=pb.DataType.Value(f"TYPE_{kind}"), dims=dims)


def _warm_up(config: Any, inputs: Mapping[str, tuple[str, list[int], str]]) -> None:
    sample = config.model_warmup.add(name="first", batch_size=1)
    for name, (kind, dims, source) in inputs.items():
        tensor = sample.inputs[name]
        tensor.data_type = pb.DataType.Value(f"TYPE_{kind}")
        tensor.dims.extend(dims)
        if source == "zero":
            tensor.zero_data = True
        elif source == "random":
            tensor.random_data = True
        else:
            tensor.input_data_file = source


def _text(config: Any) -> str:
    return str(text_format.MessageToString(config))
