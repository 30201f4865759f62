"""Step 2: what the untouched base says of 10,000 posts, kept so that training cannot forget it.

Fine-tuning on sentiment turns the pooled vector towards sentiment, and then it no
longer tells topics apart. The `embedding` head learns to give back the base's own
sentence embedding (with its `query: ` prefix), centred, for these posts.
Writes `work/teacher.safetensors` ("embeddings", "mean") and `work/teacher.json` (texts).
"""

import argparse
import json
import random
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

import data
import model as encoder

PREFIX = "query: "
LIMIT = 96
SHARE = {"tweeteval-sentiment": 2500, "thai_wisesight": 600, "indonesian_smsa": 500, "tweeteval-offensive": 500}
SHARE_DEFAULT = 750


def choose(root: Path) -> list[str]:
    """A seeded sample of the sentence sets, their mix of languages kept wide."""
    by_source: dict[str, list[str]] = {}
    for example in data.training(root):
        if example.task != "entities":
            by_source.setdefault(example.source, []).append(example.text)
    chooser, texts = random.Random(5), []
    for source, candidates in sorted(by_source.items()):
        count = min(len(candidates), SHARE.get(source, SHARE_DEFAULT))
        texts += chooser.sample(candidates, count)
    return sorted(set(texts), key=len)


@torch.no_grad()
def embed(job: tuple[Path, list[str]]) -> np.ndarray:
    """Unit vectors of the texts, batches of 32 of like length."""
    work, texts = job
    torch.set_num_threads(1)
    net = encoder.load(json.loads((work / "base.json").read_text()), load_file(work / "base.safetensors"))
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    tokenizer.enable_truncation(LIMIT)
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    found = []
    for start in range(0, len(texts), 32):
        batch = [PREFIX + text for text in texts[start : start + 32]]
        ids = torch.tensor([e.ids for e in tokenizer.encode_batch(batch)])
        pooled = net.encode(ids)[1]
        found.append(torch.nn.functional.normalize(pooled, dim=-1).numpy())
    return np.concatenate(found)


def main() -> None:
    """Two processes, every second text each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    options = parser.parse_args()
    texts = choose(options.data)
    with get_context("spawn").Pool(2) as pool:
        even, odd = pool.map(embed, [(options.work, texts[0::2]), (options.work, texts[1::2])])
    embeddings = np.empty((len(texts), even.shape[1]), np.float32)
    embeddings[0::2], embeddings[1::2] = even, odd
    mean = embeddings.mean(axis=0)
    centred = embeddings - mean
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    tensors = {"embeddings": centred.astype(np.float16), "mean": mean}
    save_file(tensors, options.work / "teacher.safetensors")
    (options.work / "teacher.json").write_text(json.dumps(texts, ensure_ascii=False))


if __name__ == "__main__":
    main()
