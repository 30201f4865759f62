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
import time
from pathlib import Path

import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import data
import model as encoder
from batches import Batch, Sampler

SMOOTHING = 0.05
TASK_WEIGHT = {"sentiment": 1.0, "emotion": 0.7, "offensive": 0.7}
WORDS_PER_LOSS = 8.0  # an entity sentence counts as much as a sentence label per so many words
FOUND_WEIGHT = 1.5  # a piece of an entity against a piece of none: recall is what is short
WARM_UP = 0.06
FREEZE_AT, FREEZE_LAYERS = 0.3, 5  # the lowest layers settle first; leaving them out saves a fifth
AVERAGE_FROM = 0.7
SYNC_SECONDS = 90.0
CHECKPOINT_SYNCS = 3


def rate(progress: float) -> float:
    """Linear warm-up, then linear to nothing."""
    return min(progress / WARM_UP, (1.0 - progress) / (1.0 - WARM_UP))


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


class Worker:
    """One process: its model, its optimisers, and the weights shared with the other."""

    def __init__(self, rank: int, options: argparse.Namespace, shared: dict):
        self.rank, self.options, self.shared = rank, options, shared
        work = options.work
        base = json.loads((work / "base.json").read_text())
        start = work / "checkpoint.safetensors" if options.resume else work / "base.safetensors"
        self.net = encoder.load(base, load_numpy(start), options.seed)
        generator = torch.Generator().manual_seed(options.seed)
        examples = data.training(options.data)
        order = torch.randperm(len(examples), generator=generator).tolist()
        mine = [examples[i] for i in order[rank :: options.workers]]
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        seed = options.seed * 100 + rank + (50 if options.resume else 0)
        self.sampler = Sampler(mine, tokenizer, {}, options.budget, seed)
        self.teacher: torch.Tensor | None = None
        self.sparse = SparseAdam(self.net.words.data)
        self.dense = [p for p in self.net.parameters() if p.requires_grad]
        self.adam = torch.optim.AdamW(self.groups(), betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.base_table = self.net.words.data.clone()
        self.sums: dict[str, float] = {}
        self.steps = self.pieces = 0

    def find_teacher(self) -> None:
        """Takes up the teacher's embeddings once they are there: `teacher.py` may run beside the first minutes."""
        work = self.options.work
        if self.teacher is None and (work / "teacher.json").exists():
            self.teacher = load_file(work / "teacher.safetensors")["embeddings"].float()
            texts = json.loads((work / "teacher.json").read_text())
            self.sampler.teacher = {text: i for i, text in enumerate(texts)}

    def groups(self) -> list[dict]:
        """Lower layers learn a little slower, heads three times as fast; no decay on vectors."""
        layers = len(self.net.layers)
        groups = []
        for name, parameter in self.net.named_parameters():
            if not parameter.requires_grad:
                continue
            scale = 3.0 if name.startswith("heads.") else 1.0
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
        frozen = FREEZE_LAYERS if progress >= FREEZE_AT else 0
        rows, inverse = batch.ids.unique(return_inverse=True)
        table = self.net.words.data[rows].requires_grad_(frozen == 0)
        hidden, pooled = self.net.encode(batch.ids, F.embedding(inverse, table), frozen)
        found = losses(self.net, batch, hidden, pooled, self.teacher)
        (sum(found.values()) / len(batch.ids)).backward()
        torch.nn.utils.clip_grad_norm_([p for p in self.dense if p.grad is not None], 1.0)
        scale = max(rate(progress), 0.0)
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
    def synchronise(self) -> None:
        """Averages the dense weights; adds up both workers' changes of embedding rows, halved where both have some."""
        shared, flat = self.shared, torch.nn.utils.parameters_to_vector(self.dense)
        shared["dense"][self.rank] = flat
        shared["table"][self.rank] = self.net.words.data - self.base_table
        shared["touched"][self.rank] = self.sparse.touched
        shared["barrier"].wait(600)
        torch.nn.utils.vector_to_parameters(shared["dense"].mean(0), self.dense)
        count = shared["touched"].sum(0).clamp(min=1)[:, None]
        self.base_table += shared["table"].sum(0) / count
        self.net.words.data.copy_(self.base_table)
        self.sparse.touched.zero_()
        shared["barrier"].wait(600)

    def run(self) -> None:
        """Trains until the time is up; worker 0 keeps the log, the checkpoints and the average."""
        options = self.options
        budget, before = options.minutes * 60.0, options.elapsed * 60.0
        began = time.time() - before
        next_sync, syncs = before + SYNC_SECONDS, 0
        mean, means = None, 0
        finished = False
        while not finished:
            self.find_teacher()
            for batch in self.sampler.batches(min((time.time() - began) / budget, 1.0)):
                self.step(batch, min((time.time() - began) / budget, 1.0))
                if time.time() - began < next_sync:
                    continue
                self.synchronise()
                next_sync, syncs = next_sync + SYNC_SECONDS, syncs + 1
                finished = next_sync > budget + 1.0
                if self.rank == 0:
                    self.report(time.time() - began)
                    if next_sync - SYNC_SECONDS >= AVERAGE_FROM * budget:
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


def start(rank: int, options: argparse.Namespace, shared: dict) -> None:
    """A worker process."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    logging.basicConfig(filename=options.work / "train.log", level=logging.INFO, format="%(asctime)s %(message)s")
    Worker(rank, options, shared).run()


def main() -> None:
    """Starts the workers on shared memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--minutes", type=float, default=80.0)
    parser.add_argument("--elapsed", type=float, default=0.0, help="minutes already trained, with --resume")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--budget", type=int, default=768, help="pieces a batch, padding included")
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    net = encoder.Model(json.loads((options.work / "base.json").read_text()))
    dense = sum(p.numel() for p in net.parameters() if p.requires_grad)
    context = mp.get_context("spawn")
    shared = {
        "dense": torch.zeros(options.workers, dense).share_memory_(),
        "table": torch.zeros(options.workers, *net.words.shape).share_memory_(),
        "touched": torch.zeros(options.workers, len(net.words), dtype=torch.bool).share_memory_(),
        "barrier": context.Barrier(options.workers),
    }
    workers = [context.Process(target=start, args=(rank, options, shared)) for rank in range(options.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a worker failed; see train.log")


if __name__ == "__main__":
    main()
