"""Step 3: trains all heads jointly on two processor cores, within a given time.

Two single-threaded workers train on their halves of the data and average their
weights every 90 s (local SGD), so that a core that is busy elsewhere slows one
worker only. The learning rate follows the clock: whatever the machine manages, the
schedule ends on time. Logs to `work/train.log`; writes `work/checkpoint.safetensors`
every few minutes (`--resume` goes on from it) and, at the end, `work/final.safetensors`
(last weights) and `work/average.safetensors` (mean over the last 30 % of the time).
"""

import argparse
import json
import logging
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import data
import model as encoder
import probe
from batches import Batch, Sampler

SMOOTHING = 0.05
TASK_WEIGHT = {"sentiment": 1.0, "emotion": 0.7, "offensive": 0.7}
WORDS_PER_LOSS = 8.0  # an entity sentence counts as much as a sentence label per so many words
FOUND_WEIGHT = 1.5  # a piece of an entity against a piece of none: recall is what is short
WARM_UP_STEPS = 100  # counted in steps, not time: on a busy machine a warm-up by the clock was 18 steps and diverged
HEADS_FASTER = 5.0
AVERAGE_FROM = 0.7
SYNC_SECONDS = 90.0
CHECKPOINT_SYNCS = 3


def rate(progress: float, steps: int) -> float:
    """Linear warm-up by steps, linear to nothing by the clock."""
    return min((steps + 1) / WARM_UP_STEPS, 1.0) * max(1.0 - progress, 0.0)


def entity_loss(logits: torch.Tensor, allowed: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Minus the log of the probability of all allowed labels together, summed."""
    found = (~allowed[:, 0]).to(logits.dtype) * (FOUND_WEIGHT - 1.0) + 1.0
    inside = logits.masked_fill(~allowed, -1e9).logsumexp(-1)
    return ((logits.logsumexp(-1) - inside) * weights * found).sum()


def losses(net: encoder.Model, batch: Batch, hidden, pooled, teacher: torch.Tensor) -> dict[str, torch.Tensor]:
    """Summed losses by task."""
    found = {}
    for task, (rows, labels, weights) in batch.rows.items():
        logits = net.heads[task](pooled[rows])
        each = F.cross_entropy(logits, labels, reduction="none", label_smoothing=SMOOTHING)
        found[task] = (each * weights).sum() * TASK_WEIGHT[task]
    if batch.pieces is not None:
        where, allowed, weights = batch.pieces
        logits = net.heads["entities"](hidden.flatten(0, 1)[where])
        found["entities"] = entity_loss(logits, allowed, weights) / WORDS_PER_LOSS
    if batch.teacher is not None:
        rows, targets = batch.teacher
        given = net.heads["embedding"](pooled[rows])
        found["embedding"] = (1.0 - F.cosine_similarity(given, teacher[targets])).sum()
    return found


class SparseAdam:
    """Adam for the rows of the embedding table that a batch touches, nothing for the others."""

    def __init__(self, table: torch.Tensor):
        self.table = table
        self.first, self.second = torch.zeros_like(table), torch.zeros_like(table)
        self.steps = torch.zeros(len(table))
        self.touched = torch.zeros(len(table), dtype=torch.bool)

    def step(self, rows: torch.Tensor, grad: torch.Tensor, lr: float) -> None:
        """One update of the given rows; betas 0.9 and 0.98, corrected by each row's own count."""
        self.touched[rows] = True
        self.steps[rows] += 1
        count = self.steps[rows][:, None]
        first = self.first[rows].mul_(0.9).add_(grad, alpha=0.1)
        second = self.second[rows].mul_(0.98).addcmul_(grad, grad, value=0.02)
        self.first[rows], self.second[rows] = first, second
        change = (first / (1 - 0.9**count)) / ((second / (1 - 0.98**count)).sqrt() + 1e-6)
        self.table[rows] -= lr * change


@dataclass
class Ready:
    """What is made once and inherited by the workers: model, teacher, shuffled examples."""

    net: encoder.Model
    teacher: torch.Tensor
    rows: dict[str, int]
    examples: list[data.Example]
    tokenizer: Tokenizer


def prepare(options: argparse.Namespace) -> Ready:
    """Loads weights and data, and solves the heads' starting values."""
    work = options.work
    base = json.loads((work / "base.json").read_text())
    source = work / "checkpoint.safetensors" if options.resume else work / "base.safetensors"
    net = encoder.load(base, load_numpy(source), options.seed)
    taught = load_file(work / "teacher.safetensors")
    texts = json.loads((work / "teacher.json").read_text())
    examples = data.training(options.data)
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    if not options.resume:
        probe.start_heads(net, tokenizer, examples, taught, texts)
    random.Random(options.seed).shuffle(examples)
    rows = {text: row for row, text in enumerate(texts)}
    return Ready(net, taught["embeddings"].float(), rows, examples, tokenizer)


class Worker:
    """One process: its model, its optimisers, and the weights shared with the other."""

    def __init__(self, rank: int, options: argparse.Namespace, shared: dict, ready: "Ready"):
        self.rank, self.options, self.shared = rank, options, shared
        self.net, self.teacher = ready.net.train(), ready.teacher
        seed = options.seed * 100 + rank + (50 if options.resume else 0)
        mine = ready.examples[rank :: options.workers]
        self.sampler = Sampler(mine, ready.tokenizer, ready.rows, options.budget, seed)
        self.sparse = SparseAdam(self.net.words.data)
        self.dense = [p for p in self.net.parameters() if p.requires_grad]
        self.adam = torch.optim.AdamW(self.groups(), betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.base_table = self.net.words.data.clone()
        self.sums: dict[str, float] = {}
        self.steps = self.pieces = 0
        # Three times as fast where the processor multiplies bf16, far slower where it doesn't.
        self.half = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()

    def groups(self) -> list[dict]:
        """Lower layers learn a little slower, heads several times as fast; no decay on vectors."""
        layers = len(self.net.layers)
        groups = []
        for name, parameter in self.net.named_parameters():
            if not parameter.requires_grad:
                continue
            scale = HEADS_FASTER if name.startswith("heads.") else 1.0
            if name.startswith("layers."):
                scale = 0.95 ** (layers - 1 - int(name.split(".")[1]))
            elif not name.startswith("heads."):
                scale = 0.95**layers
            decay = 0.01 if parameter.dim() > 1 else 0.0
            lr = self.options.lr * scale
            groups.append({"params": [parameter], "lr": lr, "peak": lr, "weight_decay": decay})
        return groups

    def step(self, batch: Batch, progress: float) -> None:
        """Forward, backward, clip, update."""
        frozen = self.options.freeze_layers if progress >= self.options.freeze_at else 0
        rows, inverse = batch.ids.unique(return_inverse=True)
        table = self.net.words.data[rows].requires_grad_(frozen == 0)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            hidden, pooled = self.net.encode(batch.ids, F.embedding(inverse, table), frozen)
        found = losses(self.net, batch, hidden.float(), pooled.float(), self.teacher)
        (sum(found.values()) / len(batch.ids)).backward()
        torch.nn.utils.clip_grad_norm_([p for p in self.dense if p.grad is not None], 1.0)
        scale = rate(progress, self.steps)
        for group in self.adam.param_groups:
            group["lr"] = group["peak"] * scale
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        if frozen == 0:
            self.sparse.step(rows, table.grad, self.options.lr * scale * 0.7)
        self.note(batch, found)

    def note(self, batch: Batch, found: dict[str, torch.Tensor]) -> None:
        """Adds to the running losses of the log."""
        counts = {task: len(rows[0]) for task, rows in batch.rows.items()}
        counts["entities"] = float(batch.pieces[2].sum()) / WORDS_PER_LOSS if batch.pieces else 0
        counts["embedding"] = len(batch.teacher[0]) if batch.teacher else 0
        for task, loss in found.items():
            self.sums[task] = self.sums.get(task, 0.0) + loss.item()
            self.sums[f"{task}#"] = self.sums.get(f"{task}#", 0.0) + counts[task]
        self.steps += 1
        self.pieces += int((batch.ids != 1).sum())

    @torch.no_grad()
    def synchronise(self, elapsed: float) -> float:
        """Averages the dense weights; adds up both workers' changes of embedding rows, halved where both
        have some. Returns worker 0's clock, so that both agree when to end."""
        shared, flat = self.shared, torch.nn.utils.parameters_to_vector(self.dense)
        shared["dense"][self.rank] = flat
        shared["touched"][self.rank] = self.sparse.touched
        if self.sparse.touched.any() or self.options.freeze_at > 0:
            shared["table"][self.rank] = self.net.words.data - self.base_table
        if self.rank == 0:
            shared["clock"][0] = elapsed
        shared["barrier"].wait(3600)
        torch.nn.utils.vector_to_parameters(shared["dense"].mean(0), self.dense)
        count = shared["touched"].sum(0)
        if count.any():
            self.base_table += shared["table"].sum(0) / count.clamp(min=1)[:, None]
            self.net.words.data.copy_(self.base_table)
            self.sparse.touched.zero_()
        clock = float(shared["clock"][0])
        shared["barrier"].wait(3600)
        return clock

    def run(self) -> None:
        """Trains until the time is up; worker 0 keeps the log, the checkpoints and the average."""
        options = self.options
        budget, before = options.minutes * 60.0, options.elapsed * 60.0
        began = time.time() - before
        next_sync, syncs = before + SYNC_SECONDS, 0
        mean, means = None, 0
        finished = False
        while not finished:
            for batch in self.sampler.batches(min((time.time() - began) / budget, 1.0)):
                self.step(batch, min((time.time() - began) / budget, 1.0))
                if time.time() - began < next_sync:
                    continue
                clock = self.synchronise(time.time() - began)
                next_sync, syncs = clock + SYNC_SECONDS, syncs + 1
                finished = next_sync > budget + 1.0
                if self.rank == 0:
                    self.report(time.time() - began)
                    if clock >= AVERAGE_FROM * budget:
                        mean, means = self.accumulate(mean, means)
                    if syncs % CHECKPOINT_SYNCS == 0:
                        self.save("checkpoint", encoder.named_tensors(self.net))
                if finished:
                    break
        if self.rank == 0:
            self.save("final", encoder.named_tensors(self.net))
            self.save("average", {name: total / means for name, total in mean.items()})

    def accumulate(self, mean: dict | None, means: int) -> tuple[dict, int]:
        """Adds the synchronised weights to the running sum."""
        current = encoder.named_tensors(self.net)
        if mean is None:
            return {name: tensor.clone() for name, tensor in current.items()}, 1
        for name, tensor in current.items():
            mean[name] += tensor
        return mean, means + 1

    def report(self, elapsed: float) -> None:
        """One line at each averaging: this worker's steps, pieces, mean losses since the last line."""
        tasks = [task for task in self.sums if not task.endswith("#")]
        means = " ".join(f"{t} {self.sums[t] / max(self.sums[f'{t}#'], 1):.3f}" for t in sorted(tasks))
        logging.info("%5.1f min, %d steps, %d k pieces: %s", elapsed / 60, self.steps, self.pieces // 1000, means)
        self.sums.clear()

    def save(self, name: str, tensors: dict) -> None:
        """Writes beside, then renames, so that a reader never sees half a file."""
        path = self.options.work / f"{name}.safetensors"
        beside = path.with_suffix(".part")
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, beside)
        beside.rename(path)


def start(rank: int, options: argparse.Namespace, shared: dict, ready: Ready) -> None:
    """A worker process."""
    torch.set_flush_denormal(True)
    logging.basicConfig(filename=options.work / "train.log", level=logging.INFO, format="%(asctime)s %(message)s")
    Worker(rank, options, shared, ready).run()


def main() -> None:
    """Starts the workers on shared memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--minutes", type=float, default=80.0)
    parser.add_argument("--elapsed", type=float, default=0.0, help="minutes already trained, with --resume")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--budget", type=int, default=1024, help="pieces a batch, padding included")
    parser.add_argument("--lr", type=float, default=1.4e-4)
    parser.add_argument("--freeze-at", type=float, default=0.5, help="share of the time after which the lowest layers rest")
    parser.add_argument("--freeze-layers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)  # before any work: forked workers must not inherit a pool of threads
    ready = prepare(options)
    dense = sum(p.numel() for p in ready.net.parameters() if p.requires_grad)
    context = mp.get_context("fork")
    shared = {
        "dense": torch.zeros(options.workers, dense).share_memory_(),
        "table": torch.zeros(options.workers, *ready.net.words.shape).share_memory_(),
        "touched": torch.zeros(options.workers, len(ready.net.words), dtype=torch.bool).share_memory_(),
        "clock": torch.zeros(1, dtype=torch.float64).share_memory_(),
        "barrier": context.Barrier(options.workers),
    }
    workers = [context.Process(target=start, args=(rank, options, shared, ready)) for rank in range(options.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a worker failed; see train.log")


if __name__ == "__main__":
    main()
