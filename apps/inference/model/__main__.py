"""`python -m apps.inference.model FOLDER`: writes the graph and the tokenizer there."""

import shutil
import sys
from pathlib import Path

import onnx

from apps.inference.model import graph, weights


def main(target: Path) -> None:
    """Writes `model.onnx` and `tokenizer.json`, and checks what it wrote."""
    target.mkdir(parents=True, exist_ok=True)
    model = graph.build(weights.load())
    onnx.save(model, str(target / "model.onnx"))
    shutil.copyfile(weights.folder() / "tokenizer.json", target / "tokenizer.json")
    for path in target.iterdir():
        path.chmod(0o644)
    megabytes = (target / "model.onnx").stat().st_size / 1e6
    print(f"wrote {target}/model.onnx ({megabytes:.0f} MB, {len(model.graph.node)} nodes)")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m apps.inference.model FOLDER")
    main(Path(sys.argv[1]))
