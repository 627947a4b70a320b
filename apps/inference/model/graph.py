"""The model as one ONNX graph: token ids in, normalised sentence embeddings out.

Mean pooling and normalisation are in the graph, so that what runs on the accelerator is the whole
model and a client has nothing left to do. Attention is ONNX Runtime's fused operator, which has a
CPU and a CUDA kernel.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from apps.inference.model.weights import SHAPE, Array, Shape

OPSET = 20
# The newest that every ONNX Runtime of the locks reads.
IR_VERSION = 10
FUSED = "com.microsoft"
# A text has at least its two marker tokens, so this only guards a division.
SMALL = 1e-9


class _Builder:
    """Collects nodes and constants; `node` gives the name of what a node puts out."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, operator: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, inputs, [output], output, domain=domain, **attributes)
        )
        return output


def build(weights: dict[str, Array], shape: Shape = SHAPE) -> onnx.ModelProto:
    """The graph. Inputs `input_ids` and `attention_mask` (int64, batch x length), output
    `embedding` (float32)."""
    graph = _Builder()
    hidden = _embeddings(graph, weights, shape)
    mask = graph.node("Cast", ["attention_mask"], to=TensorProto.INT32)
    for layer in range(shape.layers):
        hidden = _layer(graph, weights, shape, f"encoder.layer.{layer}", hidden, mask)
    _pool(graph, hidden)
    tokens = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    embedding = helper.make_tensor_value_info(
        "embedding", TensorProto.FLOAT, ["batch", shape.hidden]
    )
    return helper.make_model(
        helper.make_graph(
            graph.nodes, "all-MiniLM-L6-v2", tokens, [embedding], list(graph.constants.values())
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)],
        ir_version=IR_VERSION,
    )


def _norm(graph: _Builder, weights: dict[str, Array], shape: Shape, name: str, value: str) -> str:
    scale = graph.constant(f"{name}.weight", weights[f"{name}.weight"])
    shift = graph.constant(f"{name}.bias", weights[f"{name}.bias"])
    return graph.node(
        "LayerNormalization", [value, scale, shift], axis=-1, epsilon=shape.layer_norm_epsilon
    )


def _dense(graph: _Builder, weights: dict[str, Array], name: str, value: str) -> str:
    # Weights are stored as output x input; the graph multiplies from the right.
    matrix = graph.constant(f"{name}.weight", weights[f"{name}.weight"].T)
    bias = graph.constant(f"{name}.bias", weights[f"{name}.bias"])
    return graph.node("Add", [graph.node("MatMul", [value, matrix]), bias])


def _embeddings(graph: _Builder, weights: dict[str, Array], shape: Shape) -> str:
    words = graph.constant("words", weights["embeddings.word_embeddings.weight"])
    # There is one kind of segment, so its embedding is added to the positions once, here.
    places = (
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    positions = graph.constant("positions", places)
    length = graph.node("Shape", ["input_ids"], start=1, end=2)
    start = graph.constant("start", np.array([0], dtype=np.int64))
    used = graph.node("Slice", [positions, start, length])
    total = graph.node("Add", [graph.node("Gather", [words, "input_ids"]), used])
    return _norm(graph, weights, shape, "embeddings.LayerNorm", total)


def _layer(
    graph: _Builder, weights: dict[str, Array], shape: Shape, name: str, hidden: str, mask: str
) -> str:
    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    matrix = graph.constant(
        f"{name}.qkv.weight",
        np.concatenate([weights[f"{part}.weight"].T for part in parts], axis=1),
    )
    bias = graph.constant(
        f"{name}.qkv.bias", np.concatenate([weights[f"{part}.bias"] for part in parts])
    )
    attended = graph.node(
        "Attention", [hidden, matrix, bias, mask], domain=FUSED, num_heads=shape.heads
    )
    projected = _dense(graph, weights, f"{name}.attention.output.dense", attended)
    hidden = _norm(
        graph,
        weights,
        shape,
        f"{name}.attention.output.LayerNorm",
        graph.node("Add", [projected, hidden]),
    )
    inner = graph.node(
        "Gelu", [_dense(graph, weights, f"{name}.intermediate.dense", hidden)], approximate="none"
    )
    outer = _dense(graph, weights, f"{name}.output.dense", inner)
    return _norm(
        graph, weights, shape, f"{name}.output.LayerNorm", graph.node("Add", [outer, hidden])
    )


def _pool(graph: _Builder, hidden: str) -> None:
    """The mean over a text's own tokens, scaled to length 1."""
    last = graph.constant("last_axis", np.array([-1], dtype=np.int64))
    middle = graph.constant("token_axis", np.array([1], dtype=np.int64))
    small = graph.constant("small", np.array(SMALL, dtype=np.float32))
    weight = graph.node(
        "Unsqueeze", [graph.node("Cast", ["attention_mask"], to=TensorProto.FLOAT), last]
    )
    total = graph.node("ReduceSum", [graph.node("Mul", [hidden, weight]), middle], keepdims=0)
    count = graph.node("Max", [graph.node("ReduceSum", [weight, middle], keepdims=0), small])
    mean = graph.node("Div", [total, count])
    length = graph.node("Max", [graph.node("ReduceL2", [mean, last], keepdims=1), small])
    graph.nodes.append(helper.make_node("Div", [mean, length], ["embedding"], "embedding"))
