"""Writes the models of `generate.py` once more, in every other form that a repository may keep weights in.

    python containers.py FOLDER [CASE...]     every form of every case, for `tests/containers.rs`
    python containers.py --fixtures           the few that are committed, into `containers/`

Needs torch and safetensors; for the forms of ONNX, transformers and onnx as well, without which they are left out. A
form is a folder `CASE.FORM` with its weights only; configuration, tokenizer and what is expected stay with the case.
"""

import importlib.util
import json
import sys
from pathlib import Path

import safetensors.torch
import torch

HERE = Path(__file__).parent
CASES = sorted(folder.parent.name for folder in HERE.glob("*/expected.json") if folder.parent.name != "overheard")
FIXTURES = [
    ("distilbert", "onnx"), ("bert-tokens", "zip"), ("roberta", "former"), ("deberta-v3", "views"), ("xlm-roberta-tokens", "shards"),
    ("modernbert-tokens", "zip-shards"),
]  # fmt: skip


def zip_form(folder: Path, state: dict) -> None:
    """What torch.save writes since 1.6."""
    torch.save(state, folder / "pytorch_model.bin")


def former(folder: Path, state: dict) -> None:
    """What it wrote before."""
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def parameters(folder: Path, state: dict) -> None:
    """As a training run may leave them: parameters instead of tensors, in a plain dictionary, a newer pickle."""
    torch.save({name: torch.nn.Parameter(t) for name, t in state.items()}, folder / "pytorch_model.bin", pickle_protocol=4)


def views(folder: Path, state: dict) -> None:
    """All tensors of one type in one storage, matrices column by column."""
    found = {}
    flat = torch.cat([t.t().flatten() if t.dim() == 2 else t.flatten() for t in state.values()])
    begin = 0
    for name, tensor in state.items():
        part = flat[begin : begin + tensor.numel()]
        begin += tensor.numel()
        found[name] = part.view(tensor.shape[1], tensor.shape[0]).t() if tensor.dim() == 2 else part.view(tensor.shape)
        assert torch.equal(found[name], tensor)
    torch.save(found, folder / "pytorch_model.bin")


def double(folder: Path, state: dict) -> None:
    """In 64 bits, and a buffer of integers beside the weights, as older versions of transformers kept one."""
    positions = torch.arange(96).expand((1, -1))
    torch.save({name: t.double() for name, t in state.items()} | {"position_ids": positions}, folder / "pytorch_model.bin")


def cut(state: dict) -> list[dict]:
    """Three shards."""
    names = list(state)
    return [{name: state[name] for name in names[i::3]} for i in range(3)]


def write_index(folder: Path, stem: str, suffix: str, shards: list[dict]) -> list[Path]:
    """The index; names of the shards."""
    names = [f"{stem}-{i + 1:05}-of-{len(shards):05}.{suffix}" for i in range(len(shards))]
    where = {tensor: name for name, shard in zip(names, shards) for tensor in shard}
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index, indent=2) + "\n")
    return [folder / name for name in names]


def shards(folder: Path, state: dict) -> None:
    """Several safetensors files with their index."""
    parts = cut(state)
    for path, shard in zip(write_index(folder, "model", "safetensors", parts), parts):
        safetensors.torch.save_file(shard, path, metadata={"format": "pt"})


def zip_shards(folder: Path, state: dict) -> None:
    """Several files of torch with their index."""
    parts = cut(state)
    for path, shard in zip(write_index(folder, "pytorch_model", "bin", parts), parts):
        torch.save(shard, path)


def export(case: str, path: Path, **options) -> None:
    """The whole model as a graph; its numbers are those of the case, in 32 bits."""
    import transformers

    folder = HERE / case
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    maker = getattr(transformers, architecture)
    model = maker.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    ids = torch.tensor([[2, 9, 10, 11, 3]])
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch", 1: "length"} for name in names}
    path.parent.mkdir(exist_ok=True)
    torch.onnx.export(
        model, (ids, torch.ones_like(ids)), path, input_names=names, output_names=["logits"], dynamic_axes=axes, **options
    )


def onnx_form(case: str, folder: Path) -> None:
    """What the exporters of most repositories write."""
    export(case, folder / "onnx" / "model.onnx", opset_version=14, dynamo=False)


def onnx_beside(case: str, folder: Path) -> None:
    """The same with its large tensors in a file beside it."""
    import onnx

    export(case, folder / "model.onnx", opset_version=14, dynamo=False)
    model = onnx.load(folder / "model.onnx")
    onnx.save_model(
        model, folder / "model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=1024
    )


def onnx_newer(case: str, folder: Path) -> None:
    """What torch's newer exporter writes: other operations, other names."""
    export(case, folder / "onnx" / "model.onnx", opset_version=18, dynamo=True, external_data=False)


ONNX = {"onnx": onnx_form, "onnx-beside": onnx_beside, "onnx-newer": onnx_newer}
# The newer exporter takes its time: one model with biases, one without, one that uses layers twice.
ONNX_JOBS = [(case, "onnx") for case in CASES] + [("roberta", "onnx-beside")]
ONNX_JOBS += [(case, "onnx-newer") for case in ["bert", "deberta-v3", "modernbert"]]
FORMS = {
    "zip": zip_form, "former": former, "parameters": parameters, "views": views, "double": double, "shards": shards,
    "zip-shards": zip_shards,
}  # fmt: skip


def write(to: Path, case: str, form: str) -> None:
    """One form of one case."""
    folder = to / f"{case}.{form}"
    folder.mkdir(parents=True, exist_ok=True)
    if form in ONNX:
        return ONNX[form](case, folder)
    state = safetensors.torch.load_file(HERE / case / "model.safetensors")
    FORMS[form](folder, state)


def main() -> None:
    """As the command line says."""
    if sys.argv[1:] == ["--fixtures"]:
        jobs = [(HERE / "containers", case, form) for case, form in FIXTURES]
    else:
        cases = sys.argv[2:] or CASES
        jobs = [(Path(sys.argv[1]), case, form) for case in cases for form in FORMS]
        if all(importlib.util.find_spec(name) for name in ["transformers", "onnx", "onnxscript"]):
            jobs += [(Path(sys.argv[1]), case, form) for case, form in ONNX_JOBS if case in cases]
    for job in jobs:
        write(*job)
    print(len(jobs))


if __name__ == "__main__":
    main()
