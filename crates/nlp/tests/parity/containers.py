"""Writes the models of `generate.py` once more, in every other form that a repository may keep weights in.

    python containers.py FOLDER [CASE...]     every form of every case, for `tests/containers.rs`
    python containers.py --fixtures           the few that are committed, into `containers/`

Needs torch and safetensors. A form is a folder `CASE.FORM` with its weights only; configuration, tokenizer and what is
expected stay with the case.
"""

import json
import sys
from pathlib import Path

import safetensors.torch
import torch

HERE = Path(__file__).parent
CASES = sorted(folder.parent.name for folder in HERE.glob("*/expected.json") if folder.parent.name != "overheard")
FIXTURES = [
    ("bert-tokens", "zip"), ("roberta", "former"), ("deberta-v3", "views"), ("xlm-roberta-tokens", "shards"),
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


FORMS = {
    "zip": zip_form, "former": former, "parameters": parameters, "views": views, "double": double, "shards": shards,
    "zip-shards": zip_shards,
}  # fmt: skip


def write(to: Path, case: str, form: str) -> None:
    """One form of one case."""
    folder = to / f"{case}.{form}"
    folder.mkdir(parents=True, exist_ok=True)
    state = safetensors.torch.load_file(HERE / case / "model.safetensors")
    FORMS[form](folder, state)


def main() -> None:
    """As the command line says."""
    if sys.argv[1:] == ["--fixtures"]:
        jobs = [(HERE / "containers", case, form) for case, form in FIXTURES]
    else:
        cases = sys.argv[2:] or CASES
        jobs = [(Path(sys.argv[1]), case, form) for case in cases for form in FORMS]
    for job in jobs:
        write(*job)
    print(len(jobs))


if __name__ == "__main__":
    main()
