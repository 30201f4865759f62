"""Our encoder beside its peers, on the same texts, on this machine, in one run.

1. `overheard`: `bench_encoder` on a model folder, all heads in one pass, all cores.
2. `onnxruntime int8`: the same encoder, exported to ONNX and quantised dynamically with
   ONNX Runtime's own tool; sorted by length, batches of 32, all cores; tokenising included.
3. `transformers`: what a Python user runs for the same tasks: four pipelines (sentiment,
   emotion, offensive, entities) and a sentence embedding, each a model of
   xlm-roberta-base's size with random weights (speed does not depend on them); batches of
   8, all cores, on a sample, for it is slow.

Runs alternate; the table shows medians, by the clock and by processor time (which other
work on the machine disturbs less). Needs torch, transformers, onnxruntime, onnx,
safetensors. Usage: python bench/nlp_peers.py MODEL_DIR TEXTS [--runs 3] [--sample 60]
The program must be built: cargo build -p nlp --example bench_encoder.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import XLMRobertaConfig

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0))


def dequantised(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """The folder's tensors in fp32."""
    from safetensors.numpy import load_file

    stored = load_file(folder / "model.safetensors")
    found = {}
    for name, array in stored.items():
        if name.endswith(".scale"):
            continue
        scale = stored.get(f"{name}.scale")
        value = array.astype(np.float32)
        found[name] = torch.from_numpy(value if scale is None else value * scale[:, None])
    return json.loads((folder / "config.json").read_text()), found


class Shipped(nn.Module):
    """The shipped encoder with all its heads, on `transformers`' BERT."""

    def __init__(self, folder: Path):
        from transformers import BertConfig, BertModel

        super().__init__()
        config, tensors = dequantised(folder)
        self.bert = BertModel(BertConfig(**{k: v for k, v in config.items() if k != "overheard"}, attn_implementation="eager"), add_pooling_layer=False)
        heads = {k: v for k, v in tensors.items() if k.startswith("heads.")}
        missing = self.bert.load_state_dict({k: v for k, v in tensors.items() if k not in heads}, strict=False).missing_keys
        assert not [name for name in missing if "position_ids" not in name], missing
        names = sorted({name.split(".")[1] for name in heads})
        self.level = {name: config["overheard"]["heads"][name].get("level") for name in names}
        self.heads = nn.ModuleDict()
        for name in names:
            weight, bias = heads[f"heads.{name}.weight"], heads[f"heads.{name}.bias"]
            self.heads[name] = nn.Linear(weight.shape[1], weight.shape[0])
            self.heads[name].load_state_dict({"weight": weight, "bias": bias})

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weight).sum(1) / weight.sum(1)
        return tuple(head(hidden if self.level[name] else pooled) for name, head in self.heads.items())


def export(folder: Path, work: Path) -> Path:
    """Exports to ONNX and quantises the weights; activations are quantised as it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain, small = work / "model.onnx", work / "model.int8.onnx"
    ids = torch.ones(2, 9, dtype=torch.long)
    axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        torch.onnx.export(
            Shipped(folder).eval(), (ids, ids), str(plain), input_names=list(axes), dynamic_axes=axes,
            opset_version=17, dynamo=False,
        )  # fmt: skip
    quantize_dynamic(str(plain), str(small), per_channel=True, weight_type=QuantType.QInt8)
    return small


class OnnxRuntime:
    """Sorted by length, padded batches."""

    def __init__(self, folder: Path, model: Path):
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = CORES
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(512)

    def run(self, texts: list[str], batch: int = 32) -> None:
        encoded = sorted((e.ids for e in self.tokenizer.encode_batch(texts)), key=len)
        for start in range(0, len(encoded), batch):
            rows = encoded[start : start + batch]
            ids = np.ones((len(rows), len(rows[-1])), np.int64)
            mask = np.zeros_like(ids)
            for i, row in enumerate(rows):
                ids[i, : len(row)], mask[i, : len(row)] = row, 1
            self.session.run(None, {"input_ids": ids, "attention_mask": mask})


class Pipelines:
    """The same tasks as Python users run them. Our tokenizer's pieces stand in for XLM-R's: as many or a few more."""

    def __init__(self, folder: Path):
        import transformers

        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
            model_max_length=512,
        )  # fmt: skip
        config = XLMRobertaConfig(
            vocab_size=250_002, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
            max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1,
        )  # fmt: skip
        torch.set_num_threads(CORES)

        def pipe(task: str, maker: str, labels: int):
            sized = XLMRobertaConfig(**{**config.to_dict(), "id2label": {i: f"L{i}" for i in range(labels)}})
            model = getattr(transformers, maker).from_config(sized).eval()
            return transformers.pipeline(task, model=model, tokenizer=tokenizer, device="cpu")

        text, words = "AutoModelForSequenceClassification", "AutoModelForTokenClassification"
        self.pipelines = [pipe("text-classification", text, n) for n in (3, 4, 2)]
        self.pipelines.append(pipe("token-classification", words, 13))
        self.pipelines.append(transformers.pipeline("feature-extraction", model=transformers.AutoModel.from_config(config).eval(), tokenizer=tokenizer, device="cpu"))

    def run(self, texts: list[str], batch: int = 8) -> None:
        for pipeline in self.pipelines:
            for _ in pipeline(texts, batch_size=batch):
                pass


def ours(program: Path, folder: Path, texts: Path) -> tuple[float, float]:
    """One run of our program, tokenising included: posts per second by the clock and per processor second."""
    out = subprocess.run([program, folder, texts, "--runs", "1"], capture_output=True, text=True, check=True).stdout
    run = next(json.loads(line) for line in out.splitlines() if "busy_s" in line)
    return run["posts_per_s"], len(texts.read_text().splitlines()) / run["busy_s"]


def timed(run, texts: list[str]) -> tuple[float, float]:
    """As `ours`, for an engine in this process."""
    clock, busy = time.perf_counter(), time.process_time()
    run(texts)
    return len(texts) / (time.perf_counter() - clock), len(texts) / (time.process_time() - busy)


def main() -> None:
    """Alternates the engines and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sample", type=int, default=60, help="texts for the Python pipelines")
    parser.add_argument("--program", type=Path, default=Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/examples/bench_encoder")
    parser.add_argument("--skip-pipelines", action="store_true")
    options = parser.parse_args()
    texts = options.texts.read_text().splitlines()
    step = max(1, len(texts) // options.sample)
    sample = texts[::step][: options.sample]
    with tempfile.TemporaryDirectory() as work:
        engines = {"overheard": lambda: ours(options.program, options.model, options.texts)}
        ort = OnnxRuntime(options.model, export(options.model, Path(work)))
        engines["onnxruntime int8"] = lambda: timed(ort.run, texts)
        if not options.skip_pipelines:
            pipelines = Pipelines(options.model)
            pipelines.run(sample[:8])
            engines["transformers pipelines"] = lambda: timed(pipelines.run, sample)
        ort.run(texts[:64])
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
        for run in range(options.runs):
            for name, engine in engines.items():
                rates[name].append(engine())
                clock, busy = rates[name][-1]
                print(f"run {run}: {name} {clock:.2f} posts/s, {busy:.2f} per processor second", file=sys.stderr)
    report(rates, len(texts), len(sample), options.runs)


def report(rates: dict[str, list[tuple[float, float]]], posts: int, sample: int, runs: int) -> None:
    """The table."""
    print(f"{posts} posts ({sample} for the pipelines), {CORES} cores, medians of {runs} alternating runs\n")
    print("| engine | posts/s | spread | overheard is | posts per processor second | overheard is |")
    print("|---|---|---|---|---|---|")
    clocks, busys = ({n: statistics.median(r[i] for r in found) for n, found in rates.items()} for i in (0, 1))
    for name, found in rates.items():
        spread = f"{min(r[0] for r in found):.1f} - {max(r[0] for r in found):.1f}"
        ratios = clocks["overheard"] / clocks[name], busys["overheard"] / busys[name]
        print(f"| {name} | {clocks[name]:.1f} | {spread} | {ratios[0]:.2f} x | {busys[name]:.1f} | {ratios[1]:.2f} x |")


if __name__ == "__main__":
    main()
