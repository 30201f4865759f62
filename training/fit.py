"""Step 4: from trained weights to the folder that is shipped.

Takes the last or the averaged weights, whichever a quarter of the validation examples
prefers; fits temperatures and the entity head's O bias on all of them; quantises;
evaluates what was written; fills the card. Logs to `work/fit.log`.
"""

import argparse
import json
import logging
import os
from pathlib import Path

import torch

import card
import evaluate
import export
import infer

DECIDING = (
    "tweeteval sentiment, macro recall",
    "umsab mean, macro F1",
    "wnut17, entity F1",
    "btc, entity F1",
)
NEUTRAL = {"temperatures": {}, "o_bias": 0.0}


def deciding(figures: dict[str, float]) -> float:
    """The mean of the four figures the model is judged by."""
    return sum(figures[name] for name in DECIDING) / len(DECIDING)


def choose(folder: Path, work: Path, examples: list) -> Path:
    """The better of `final` and `average` on every fourth example."""
    part, scores = examples[::4], {}
    for name in ("final", "average"):
        path = work / f"{name}.safetensors"
        if path.exists():
            figures = evaluate.all_figures(part, infer.run(folder, path, part), NEUTRAL)
            scores[path] = deciding(figures)
            logging.info("%s: %.2f on a quarter of the validation examples", name, scores[path])
    return max(scores, key=scores.get)


def main() -> None:
    """Chooses, fits, exports, evaluates, writes the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--out", type=Path, default=Path("../models/overheard-small"))
    parser.add_argument("--checkpoint", type=Path, help="these weights rather than the better of the two")
    parser.add_argument("--every", type=int, default=1, help="judge only every n-th example; the card says so")
    parser.add_argument("--trained", default="", help="a sentence for the card on how far training went")
    parser.add_argument("--version", default="2.0")
    options = parser.parse_args()
    logging.basicConfig(filename=options.work / "fit.log", level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    draft, base = options.work / "draft", json.loads((options.work / "base.json").read_text())
    export.write_settings(draft, base, options.work / "tokenizer.json", {}, "draft")
    jobs = {"val": options.data}
    if os.environ.get("OVERHEARD_TEST"):
        jobs["test"] = Path(os.environ["OVERHEARD_TEST"])
    examples = {split: evaluate.splits(root, split)[:: options.every] for split, root in jobs.items()}
    source = options.checkpoint or choose(draft, options.work, examples["val"])
    results = {split: infer.run(draft, source, rows) for split, rows in examples.items()}
    fitted = evaluate.fit(examples["val"], results["val"])
    full = {split: evaluate.all_figures(examples[split], results[split], fitted) for split in jobs}
    export.export(options.work, source, fitted, options.out, options.version)
    baked = fitted | {"o_bias": 0.0}
    int8 = {split: evaluate.all_figures(rows, infer.run(options.out, None, rows), baked) for split, rows in examples.items()}
    card.write(options.out, int8, full, options.every, options.trained)
    figures = json.dumps({"fitted": fitted, "fp32": full, "int8": int8}, indent=1)
    (options.work / "figures.json").write_text(figures)
    logging.info("chose %s; %s", source, figures)


if __name__ == "__main__":
    main()
