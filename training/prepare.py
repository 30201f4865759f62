"""Step 1: fetches the base, trims its vocabulary, writes `work/base.safetensors` and `work/tokenizer.json`."""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import base
import data
import vocabulary
from text import normalise

WORDS = "embeddings.word_embeddings.weight"


def corpus(root: Path) -> list[str]:
    """All training texts, whose pieces must survive the trimming."""
    return [normalise(e.text or " ".join(e.words)) for e in data.training(root)]


def main() -> None:
    """Runs the step; a second run does it all again and gives the same bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=options.work / "prepare.log", level=logging.INFO, format="%(asctime)s %(message)s")
    source = base.read(base.fetch(options.work))
    scores = [float(score) for score in source.scores]
    tokenizer, keep = vocabulary.trim(source.pieces, scores, corpus(options.data), options.work)
    tokenizer.save(str(options.work / "tokenizer.json"), pretty=False)
    source.tensors[WORDS] = np.ascontiguousarray(source.tensors[WORDS][keep])
    source.config["vocab_size"] = len(keep)
    tensors = {name: np.ascontiguousarray(array) for name, array in source.tensors.items()}
    save_file(tensors, options.work / "base.safetensors")
    (options.work / "base.json").write_text(json.dumps(source.config, indent=1))
    (options.work / "kept.json").write_text(json.dumps(keep))
    logging.info("kept %d of %d pieces", len(keep), len(source.pieces))


if __name__ == "__main__":
    main()
