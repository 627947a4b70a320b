"""The model on its device: token ids in, embeddings out."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

# The released builds report their use to their maker unless they are told not to, and they look
# when they are imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from apps.common.errors import SettingsError, describe

LOG = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]
Tokens = Sequence[int]
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# ONNX Runtime's levels: 3 is errors. A GPU build says at length, as a warning, that there is no
# GPU.
ERRORS_ONLY = 3


class ModelSession:
    """One loaded model. `device` is where it really runs."""

    def __init__(
        self,
        path: Path,
        threads: int,
        device: Literal["auto", "cpu", "cuda"],
        cache: Path | None = None,
    ) -> None:
        """`cache`: a folder that keeps the optimized graph for the next start. Raises
        `SettingsError` when the model is missing, or CUDA is demanded and cannot be had."""
        if not path.is_file():
            raise SettingsError(f"MODEL_DIRECTORY: there is no model at {path}")
        ort.set_default_logger_severity(ERRORS_ONLY)
        self._session, self.device = self._open(path, threads, device, cache)

    @staticmethod
    def _open(
        path: Path, threads: int, device: str, cache: Path | None
    ) -> tuple[ort.InferenceSession, Device]:
        if device != "cpu" and CUDA in ort.get_available_providers():
            # CUDA's libraries are Python packages here, so the loader has to be shown to them.
            ort.preload_dlls()
            session = _session(path, threads, [CUDA, CPU], cache)
            # Without a working GPU the session is silently one on the CPU: ask it.
            if session.get_providers()[0] == CUDA:
                # From here on, an error of the GPU is an error, not a reason to go on slowly on the
                # CPU.
                session.disable_fallback()
                return session, "cuda"
        if device == "cuda":
            raise SettingsError("DEVICE is cuda, but no GPU answers in this container")
        return _session(path, threads, [CPU], cache), "cpu"

    def embed(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """One normalised row a text; shorter texts are padded to the longest."""
        longest = max(len(text) for text in texts)
        ids = np.zeros((len(texts), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        vectors: NDArray[np.float32] = self._session.run(
            ["embedding"], {"input_ids": ids, "attention_mask": mask}
        )[0]
        return vectors


def _session(
    path: Path, threads: int, providers: list[str], cache: Path | None
) -> ort.InferenceSession:
    if cache:
        try:
            return _from_cache(path, threads, providers, cache)
        except Exception as error:
            LOG.warning("the cache of the model isn't used", extra={"reason": describe(error)})
    return ort.InferenceSession(str(path), _options(threads), providers=providers)


def _from_cache(
    path: Path, threads: int, providers: list[str], cache: Path
) -> ort.InferenceSession:
    """A session of the optimized graph, which the first start writes."""
    model = path.stat()
    name = f"{model.st_size}-{model.st_mtime_ns}-{ort.__version__}-{providers[0]}.onnx"
    optimized = cache / name
    options = _options(threads)
    if optimized.is_file():
        try:
            return ort.InferenceSession(str(optimized), options, providers=providers)
        except Exception:
            optimized.unlink()
            raise
    for other in cache.glob("*.onnx*"):
        other.unlink()
    # Above this level, a graph depends on the processor (ONNX Runtime, "Graph optimizations").
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    partial = optimized.with_suffix(".onnx.partial")
    options.optimized_model_filepath = str(partial)
    session = ort.InferenceSession(str(path), options, providers=providers)
    if session.get_providers()[0] == providers[0]:
        # Otherwise the GPU doesn't answer, and this graph is for the CPU.
        partial.rename(optimized)
    return session


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin for work take the processor from the web server beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
