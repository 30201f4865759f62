"""Step 3 on a GPU, in place of `teacher.py` and `train.py`: learns from labels, then from itself.

1. Five models, each without a fifth of the data, and a few settings tried before.
2. What they say of every text: of a labelled text only the model that has not seen it, of all
   others the mean. So labels that annotators got wrong are softened by a model that can't
   have learned them by heart, every text teaches every head, and the texts of the emoji set,
   which have no label of ours, teach entities and feeling (cross-fitted self-distillation).
3. One model learns labels and answers together, for many passes.

Every step is one CUDA graph for each length of texts: the whole of forward, backward, clipping and AdamW
without the processor. Writes the same files as `train.py`, logs to `work/gpu.log`. Without a GPU it
runs step by step and is of use only to test it (`--limit`).
"""

import argparse
import json
import logging
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

import data
import evaluate
import fit
import infer
import model as encoder
import probe
import resident
from resident import CLASSES, Corpus, Feed
from train import FOUND_WEIGHT, HEADS_FASTER, SMOOTHING, TASK_WEIGHT, WARM_UP_STEPS, WORDS_PER_LOSS

FOLDS = 5
LENGTHS = [16, 24, 32, 40, 48, 64, 96, 128]
UNKNOWN = 3  # the piece `<unk>`, which stands for pieces that are hidden
AVERAGE_FROM = 0.6
AVERAGE_EVERY = 10
PROBED = 20_000
PREDICTED = 32_768  # pieces a batch when nothing is learned
WEIGHTS = TASK_WEIGHT | {"emoji": 0.3}


@dataclass(frozen=True)
class Setting:
    """What one training is made of."""

    name: str
    lr: float = 2e-4
    passes: float = 3.0
    hidden: float = 0.0  # share of pieces replaced by <unk>
    emoji: float = 0.0  # how often the emoji set is passed over
    trust: float = 0.0  # share of a label that comes from the other models
    taught: float = 0.0  # weight of heads for which the text has no label
    without: int | None = None  # the fold left out
    seed: int = 1


class Trainer:
    """One model, its optimiser and the captured steps; `run` starts from the same weights each time."""

    def __init__(self, net: encoder.Model, corpus: Corpus, budget: int, device: str):
        self.corpus, self.budget, self.device = corpus, budget, device
        self.net = net.to(device).train()
        self.net.words.requires_grad_(True)
        self.start = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}
        self.parameters = [p for p in self.net.parameters() if p.requires_grad]
        self.graphed = device == "cuda"
        self.adam = torch.optim.AdamW(self.groups(), betas=(0.9, 0.98), eps=1e-6, fused=self.graphed, capturable=self.graphed)
        self.knobs = {name: torch.zeros((), device=device) for name in ("lr", "hidden", "trust", "taught")}
        self.sums = torch.zeros(len(CLASSES) + 2, device=device)
        self.graphs: dict[int, tuple] = {}
        self.pool = None

    def groups(self) -> list[dict]:
        """Lower layers learn a little slower, heads several times as fast; no decay on vectors and pieces."""
        alike: dict[tuple[float, float], list] = {}
        for name, parameter in self.net.named_parameters():
            if not parameter.requires_grad:
                continue
            scale = HEADS_FASTER if name.startswith("heads.") else 0.95 ** len(self.net.layers)
            if name.startswith("layers."):
                scale = 0.95 ** (len(self.net.layers) - 1 - int(name.split(".")[1]))
            decay = 0.01 if parameter.dim() > 1 and name != "words" else 0.0
            alike.setdefault((scale, decay), []).append(parameter)
        return [
            {"params": members, "lr": torch.zeros((), device=self.device), "scale": scale, "weight_decay": decay}
            for (scale, decay), members in alike.items()
        ]

    def losses(self, rows: torch.Tensor, length: int) -> list[torch.Tensor]:
        """rows: [batch]. Summed losses of the sentence tasks, entities, embedding."""
        corpus, trust, taught = self.corpus, self.knobs["trust"], self.knobs["taught"]
        ids = corpus.ids[rows, :length].long()
        hide = (torch.rand(ids.shape, device=self.device) < self.knobs["hidden"]) & (ids > UNKNOWN)
        ids = torch.where(hide, UNKNOWN, ids)
        # Not F.embedding, whose gradient of the table can't be captured everywhere.
        words = self.net.words.index_select(0, ids.flatten()).view(*ids.shape, -1)
        with torch.autocast(self.device, torch.bfloat16):
            hidden, pooled = self.net.encode(ids, words)
        hidden, pooled = hidden.float(), pooled.float()
        found = []
        for task, classes in CLASSES.items():
            weight, soft = corpus.weight[task][rows], corpus.soft[task][rows]
            gold = corpus.gold[task][rows] * (1 - SMOOTHING) + SMOOTHING / classes
            labelled = (weight > 0)[:, None]
            target = torch.where(labelled, gold + trust * (soft - gold), soft)
            weight = torch.where(labelled[:, 0], weight, taught) * WEIGHTS[task]
            each = -(target * self.net.heads[task](pooled).log_softmax(-1)).sum(-1)
            found.append((each * weight).sum())
        found.append(self.entity_loss(rows, length, hidden, ids) / WORDS_PER_LOSS)
        near = F.cosine_similarity(self.net.heads["embedding"](pooled), corpus.teacher[rows].float(), dim=-1)
        found.append(((1.0 - near) * corpus.taught[rows]).sum())
        return found

    def entity_loss(self, rows: torch.Tensor, length: int, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Partial labels where there are some, the other models' answers beside or in place of them."""
        corpus, trust, taught = self.corpus, self.knobs["trust"], self.knobs["taught"]
        logs = self.net.heads["entities"](hidden).log_softmax(-1)
        bits = torch.arange(resident.LABELS, device=self.device)
        allowed = (corpus.allowed[rows, :length, None].long() >> bits & 1).bool()
        weight = corpus.piece_weight[rows, :length].float()
        inside = -torch.where(allowed, logs, -1e4).logsumexp(-1)
        found = (weight > 0) & ~allowed[..., 0]
        gold = torch.where(weight > 0, inside, 0.0) * weight * (1 + (FOUND_WEIGHT - 1) * found)
        soft = corpus.soft_entities[rows, :length].float()
        answers = -(soft * logs).sum(-1) * (1 + (FOUND_WEIGHT - 1) * (1 - soft[..., 0]))
        labelled = corpus.has_entities[rows][:, None]
        text = (ids > 2).float()
        both = (1 - trust) * gold + trust * answers * weight
        return torch.where(labelled, both, taught * answers * text).sum()

    def once(self, rows: torch.Tensor, length: int) -> None:
        """Forward, backward, clip, update; nothing in it waits for the device."""
        self.adam.zero_grad(set_to_none=True)
        found = self.losses(rows, length)
        (sum(found) / len(rows)).backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for group in self.adam.param_groups:
            torch.mul(self.knobs["lr"], group["scale"], out=group["lr"])
        self.adam.step()
        self.sums += torch.stack([loss.detach() for loss in found]) / len(rows)

    def capture(self, length: int) -> tuple:
        """Records the step for texts up to this length."""
        rows = torch.arange(self.budget // length, device=self.device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.once(rows, length)
        torch.cuda.current_stream().wait_stream(side)
        self.adam.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            self.once(rows, length)
        self.pool = graph.pool()
        return graph, rows

    def step(self, length: int, rows) -> None:
        """One update by the texts of these rows."""
        rows = torch.from_numpy(rows)
        if not self.graphed:
            self.once(rows, length)
            return
        graph, static = self.graphs[length]
        static.copy_(rows.pin_memory(), non_blocking=True)
        graph.replay()

    def reset(self) -> None:
        """Back to the starting weights and an optimiser that has seen nothing."""
        if self.graphed and not self.graphs:
            self.graphs = {length: self.capture(length) for length in LENGTHS}
        with torch.no_grad():
            for name, tensor in self.net.state_dict().items():
                tensor.copy_(self.start[name])
            for state in self.adam.state.values():
                for tensor in state.values():
                    tensor.zero_()

    def run(self, setting: Setting) -> dict[str, torch.Tensor]:
        """Trains from the start; leaves the averaged weights in the model and returns the last ones."""
        self.reset()
        for name, knob in self.knobs.items():
            knob.fill_(getattr(setting, name))
        feed = Feed(self.corpus, {"tweeteval-emoji": setting.emoji}, setting.without, self.budget, LENGTHS, setting.seed)
        wanted, pieces, steps, means = feed.pieces_a_pass() * setting.passes, 0, 0, 0
        average = [torch.zeros_like(p) for p in self.parameters]
        began, logged = time.time(), 0.0
        while pieces < wanted:
            for length, rows in feed.batches(pieces / wanted):
                scale = min((steps + 1) / WARM_UP_STEPS, 1.0) * max(1.0 - pieces / wanted, 0.0)
                self.knobs["lr"].fill_(setting.lr * scale)
                self.step(length, rows)
                pieces, steps = pieces + int(self.corpus.lengths[rows].sum()), steps + 1
                if pieces > AVERAGE_FROM * wanted and steps % AVERAGE_EVERY == 0:
                    means += 1
                    with torch.no_grad():
                        torch._foreach_lerp_(average, self.parameters, 1.0 / means)
                if pieces / wanted >= logged:
                    self.report(setting.name, pieces, steps, time.time() - began)
                    logged += 0.25
                if pieces >= wanted:
                    break
        last = {name: tensor.cpu().clone() for name, tensor in encoder.named_tensors(self.net).items()}
        if means:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, average)
        return last

    def report(self, name: str, pieces: int, steps: int, seconds: float) -> None:
        """One line: how far, how fast, mean losses since the last line."""
        shown = dict(zip([*CLASSES, "entities", "embedding"], self.sums.tolist(), strict=True))
        logging.info("%s: %d steps, %d k pieces, %.1f s, %s", name, steps, pieces // 1000, seconds, shown)
        self.sums.zero_()

    @torch.no_grad()
    def outputs(self, ids: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """ids: [batch, length]. Logits of the sentence heads and of the entity head."""
        self.net.eval()
        with torch.autocast(self.device, torch.bfloat16):
            hidden, pooled = self.net.encode(ids)
        self.net.train()
        hidden, pooled = hidden.float(), pooled.float()
        names = [*CLASSES, "embedding"]
        return {name: self.net.heads[name](pooled) for name in names}, self.net.heads["entities"](hidden)


@torch.no_grad()
def teach_embedding(trainer: Trainer, examples: list[data.Example], tokenizer: Path, processes: int) -> torch.Tensor:
    """Fills in the base's own embedding of every sentence example, centred; returns the mean."""
    corpus = trainer.corpus
    rows = [row for row, text in enumerate(corpus.texts) if text]
    chosen = [e for e in examples if e.text]
    pieces = resident.in_shares(resident.encode_prefixed, tokenizer, chosen, processes)
    order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]))
    step = PREDICTED // 64
    for start in range(0, len(order), step):
        part = order[start : start + step]
        ids = resident.padded([pieces[i] for i in part], max(len(pieces[i]) for i in part)).long()
        trainer.net.eval()
        pooled = trainer.net.encode(ids.to(trainer.device))[1]
        trainer.net.train()
        corpus.teacher[torch.tensor([rows[i] for i in part])] = F.normalize(pooled, dim=-1).half()
    known = torch.tensor(rows, device=trainer.device)
    mean = corpus.teacher[known].float().mean(0)
    corpus.teacher[known] = F.normalize(corpus.teacher[known].float() - mean, dim=-1).half()
    corpus.taught[known] = 1.0
    return mean


def start_heads(net: encoder.Model, corpus: Corpus, mean: torch.Tensor, examples: list, tokenizer: Path) -> None:
    """Solves the sentence heads on a sample, as `train.py` does."""
    rows = {text: row for row, text in enumerate(corpus.texts) if text}
    texts = sorted(rows, key=len)
    texts = texts[:: max(len(texts) // PROBED, 1)]
    chosen = torch.tensor([rows[text] for text in texts])
    taught = {"embeddings": corpus.teacher.cpu()[chosen], "mean": mean.cpu()}
    probe.start_heads(net, Tokenizer.from_file(str(tokenizer)), examples, taught, texts)


@torch.no_grad()
def label(trainer: Trainer, fold: int, folds: int) -> None:
    """Adds this model's answers to every row that it may answer: those with a label only if it was left out."""
    corpus = trainer.corpus
    order = sorted(range(len(corpus)), key=lambda row: corpus.lengths[row])
    left_out = torch.from_numpy(corpus.folds == fold).to(trainer.device)
    start = 0
    while start < len(order):
        length = int(corpus.lengths[order[start]])
        end = min(start + PREDICTED // max(length, 16), len(order))
        length = int(corpus.lengths[order[end - 1]])
        rows = torch.tensor(order[start:end], device=trainer.device)
        sentences, entities = trainer.outputs(corpus.ids[rows, :length].long())
        for task in CLASSES:
            share = torch.where(corpus.weight[task][rows] > 0, left_out[rows].float(), 1.0 / folds)
            corpus.soft[task][rows] += sentences[task].softmax(-1) * share[:, None]
        share = torch.where(corpus.has_entities[rows], left_out[rows].float(), 1.0 / folds)
        corpus.soft_entities[rows, :length] += (entities.softmax(-1) * share[:, None, None]).half()
        start = end


@torch.no_grad()
def answers(trainer: Trainer, encoded: list[tuple]) -> list[dict]:
    """What `infer.run` gives, from the device."""
    results: list[dict] = [{}] * len(encoded)
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]))
    for start in range(0, len(order), 256):
        part = order[start : start + 256]
        ids = resident.padded([encoded[i][0] for i in part], len(encoded[part[-1]][0])).long()
        sentences, entities = trainer.outputs(ids.to(trainer.device))
        columns = {name: logits.cpu().numpy() for name, logits in sentences.items()}
        entities = entities.cpu().numpy()
        for row, index in enumerate(part):
            results[index] = {name: values[row] for name, values in columns.items()}
            results[index]["words"] = entities[row, encoded[index][1]]
    return results


def judge(examples: list[data.Example], results: list[dict]) -> dict[str, float]:
    """The figures, with the O bias and temperatures fitted."""
    return evaluate.all_figures(examples, results, evaluate.fit(examples, results))


class Judges:
    """Evaluates in other processes while the device trains on."""

    def __init__(self, root: Path, tokenizer: Path, processes: int, limit: int | None):
        self.examples = evaluate.splits(root, "val")[:: 1 if limit is None else 20]
        loaded = Tokenizer.from_file(str(tokenizer))
        loaded.enable_truncation(512)
        self.encoded = [infer.encode(loaded, example) for example in self.examples]
        self.pool = ProcessPoolExecutor(processes, get_context("spawn"))
        self.waiting: dict[str, Future] = {}

    def hand_in(self, name: str, trainer: Trainer) -> None:
        """Takes the model's answers and evaluates them in the background."""
        self.waiting[name] = self.pool.submit(judge, self.examples, answers(trainer, self.encoded))

    def best(self, names: list[str]) -> str:
        """Waits for these and names the one with the best mean of the deciding figures."""
        scores = {}
        for name in names:
            figures = self.waiting[name].result()
            scores[name] = fit.deciding(figures)
            logging.info("%s: %.2f %s", name, scores[name], {key: round(figures[key], 2) for key in fit.DECIDING})
            logging.info("%s, all: %s", name, json.dumps({key: round(value, 3) for key, value in figures.items()}))
        return max(scores, key=scores.get)


def save(work: Path, name: str, tensors: dict[str, torch.Tensor]) -> None:
    """Writes weights without the heads that only serve training."""
    kept = {key: value.cpu().float().contiguous().clone() for key, value in tensors.items() if "heads.emoji" not in key}
    save_file(kept, work / f"{name}.safetensors")


def main() -> None:
    """Settings, folds, answers, the model that is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--budget", type=int, default=4096, help="pieces a batch, padding included")
    parser.add_argument("--passes", type=float, default=3.0, help="of each of the models that are tried and of the five")
    parser.add_argument("--student-passes", type=float, default=10.0)
    parser.add_argument("--minutes", type=float, default=9.0, help="students are left out that would end later")
    parser.add_argument("--processes", type=int, default=14)
    parser.add_argument("--limit", type=int, help="examples a source, to try the whole thing out")
    options = parser.parse_args()
    began = time.time()
    handlers = [logging.FileHandler(options.work / "gpu.log"), logging.StreamHandler()]
    logging.basicConfig(handlers=handlers, level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_flush_denormal(True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = options.work / "tokenizer.json"
    examples = data.training(options.data) + data.hinted(options.data)
    if options.limit:
        examples = limited(examples, options.limit)
    base = json.loads((options.work / "base.json").read_text())
    corpus = Corpus(examples, tokenizer, options.processes, FOLDS, device)
    logging.info("%.0f s: %d examples, %d rows", time.time() - began, len(examples), len(corpus))
    net = encoder.load(base, load_file(options.work / "base.safetensors"))
    net.heads["emoji"] = nn.Linear(base["hidden_size"], CLASSES["emoji"])
    trainer = Trainer(net, corpus, options.budget, device)
    mean = teach_embedding(trainer, examples, tokenizer, options.processes)
    start_heads(net.cpu(), corpus, mean, examples, tokenizer)
    trainer = Trainer(net, corpus, options.budget, device)
    judges = Judges(options.data, tokenizer, options.processes, options.limit)
    logging.info("%.0f s: heads solved", time.time() - began)
    plain = Setting("plain", passes=options.passes)
    tried = [
        plain,
        replace(plain, name="longer", passes=2 * options.passes),
        replace(plain, name="faster", lr=2 * plain.lr),
        replace(plain, name="hiding", hidden=0.08),
        replace(plain, name="emoji", emoji=0.3),
    ]
    for setting in tried:
        trainer.run(setting)
        judges.hand_in(setting.name, trainer)
    chosen = {s.name: s for s in tried}[judges.best([s.name for s in tried])]
    logging.info("%.0f s: %s", time.time() - began, chosen)
    for fold in range(FOLDS):
        trainer.run(replace(chosen, name=f"fold {fold}", without=fold, seed=10 + fold))
        label(trainer, fold, FOLDS)
    student = Setting("student", chosen.lr, options.student_passes, hidden=0.08, emoji=0.6, trust=0.6, taught=0.3)
    students = [
        student,
        replace(student, name="faster student", lr=1.5 * chosen.lr, seed=2),
        replace(student, name="trusting student", trust=0.8, taught=0.5, seed=3),
        replace(student, name="seeing student", hidden=0.0, seed=4),
    ]
    weights, longest = {}, 0.0
    for setting in students:
        started = time.time()
        if started - began + longest > options.minutes * 60:
            break
        last = trainer.run(setting)
        judges.hand_in(setting.name, trainer)
        average = {name: tensor.cpu().clone() for name, tensor in encoder.named_tensors(trainer.net).items()}
        weights[setting.name] = {"final": last, "average": average}
        longest = max(longest, time.time() - started)
    best = judges.best(list(weights))
    for name, tensors in weights[best].items():
        save(options.work, name, tensors)
    logging.info("%.0f s: kept %s", time.time() - began, best)


def limited(examples: list[data.Example], count: int) -> list[data.Example]:
    """The first `count` examples of each source."""
    seen: dict[str, int] = {}
    kept = []
    for example in examples:
        seen[example.source] = seen.get(example.source, 0) + 1
        if seen[example.source] <= count:
            kept.append(example)
    return kept


if __name__ == "__main__":
    main()
