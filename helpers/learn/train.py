"""The one training loop that every network of this project uses, on one device or on many.

Joulin et al. 2016, section 4, train on several GPUs by elastic averaging SGD, where the processes' networks
drift apart and are pulled together. Here they stay one: DistributedDataParallel averages the gradients of
each step, so many processes compute what one would, up to rounding. Two things differ. What is drawn (crops,
flips, dropout, tags, negatives), each process draws for itself. Where an example's loss depends on the others
in the batch, these are a process' own share of it, so fewer: the classes of `losses.in_batch`, the hard
negatives of `user_models.RankingLoss`, batch normalisation. `helpers.train` is the command.
"""

import copy
import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.files import opened, replacing
from helpers.learn import again
from helpers.learn.devices import has_bf16, has_fp16
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.networks import rekey
from helpers.randomness import hash_seed


@again.known
@dataclass(frozen=True)
class Recipe:
    """How to train. Every value that a notebook overrides says why.

    The schedule "plateau" is that of Joulin et al. 2016, section 4: the learning rate is halved when the
    validation error rises after an epoch, and each value is kept for at least `least_epochs`."""

    epochs: int  # passes over the training examples, at most
    batch: int = 64  # examples in a gradient step
    lr: float = 0.01  # learning rate at its highest
    momentum: float = 0.9  # of SGD with Nesterov momentum, or AdamW's first beta
    weight_decay: float = 5e-4
    optimiser: str = "sgd"  # or "adamw"; the fused kernels are used
    schedule: str = "cosine"  # to zero; or "plateau", or "constant"
    warmup: float = 0.5  # epochs during which the learning rate grows from zero
    least_epochs: int = 10
    patience: int | None = None  # stop after so many epochs without a new best validation error; None: never
    validate_every: int = 1  # epochs from one validation to the next

    def __post_init__(self):
        allowed = {"optimiser": ("sgd", "adamw"), "schedule": ("cosine", "plateau", "constant")}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise BadInput(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(values)}")
        for name in ("epochs", "batch", "lr", "validate_every"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} is {getattr(self, name)}, expected more than 0")


def processes() -> tuple[int, int]:
    """This process' rank among those that train together, the first one's being 0, and how many there are."""
    together = dist.is_available() and dist.is_initialized()
    return (dist.get_rank(), dist.get_world_size()) if together else (0, 1)


def share(batch: np.ndarray, rank: int, size: int) -> tuple[np.ndarray, float]:
    """The rows of a batch that one of `size` processes computes, and the weight of their mean loss, so that
    the average of weight · mean loss is the mean loss of the whole batch. A process for which no row is left
    computes one that weighs nothing, because all must take part."""
    mine = batch[rank::size]
    return (mine, len(mine) * size / len(batch)) if len(mine) else (batch[:1], 0.0)


def usual_precision(device: torch.device) -> torch.dtype:
    """float32 on a CPU; on a GPU what it has units for: bfloat16, else float16, else float32."""
    return torch.bfloat16 if has_bf16(device) else torch.float16 if has_fp16(device) else torch.float32


def fit(
    network: nn.Module,
    examples: Pictures | Vectors,
    loss: Callable[[Tensor, Tensor], Tensor],
    recipe: Recipe,
    *,
    device: torch.device,
    seed: int,
    validate: Callable[[nn.Module], float] | None = None,
    after_step: Callable[[], None] | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    precision: torch.dtype | None = None,
    log: Callable[[str], None] | None = print,
) -> list[dict]:
    """Train in place, `processes` sharing every batch under torchrun; `usual_precision` says how precisely.

    The network ends on `device` with the weights of the epoch that `validate` found best, or of the last.
    `validate` maps it, in evaluation mode, to a validation error, lower is better, and never sees test data;
    `loss` maps outputs and targets to the mean loss of the batch. `after_step` is called after each gradient
    step, for example to put weights back into a norm ball, `log` with one line an epoch. `checkpoint` is
    written after each epoch; `resume` continues from it (BadInput if it is another run's, or not there).
    `precision` is that of autocast; with float16 gradients are scaled, lest the small ones become 0.

    Returns one dict an epoch: epoch, lr, loss, validation (None where it was not asked), seconds, per_second.
    BadInput where the loss is no longer finite. Every random number of an epoch follows from (seed, epoch),
    so a run that was stopped and resumed at an epoch's end gives the same weights as one that was not."""
    again.tell(network, examples, loss, recipe, seed, after_step)
    device = torch.device(device)
    precision = precision or usual_precision(device)
    network.to(device, memory_format=torch.channels_last)
    state = _State(network, recipe, seed, len(examples), device, precision)
    if resume:
        state.read(checkpoint, device)
    examples = examples.on(device)
    rank, size = processes()
    # averages gradients over the processes; all start from the first one's weights. Buffers are not sent
    # around: features are alike, keys of dropout each process' own, and of statistics the first one's stay
    step = network
    if size > 1:
        with warnings.catch_warnings():  # torch is about to give the parameter another name
            warnings.simplefilter("ignore", FutureWarning)
            step = nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)
    own = [rank] if size > 1 else []  # each process crops, mirrors and drops on its own
    while not state.finished:
        before, total = time.perf_counter(), torch.zeros((), device=device)
        order = np.random.default_rng([seed, state.epoch]).permutation(len(examples))
        generator = torch.Generator().manual_seed(hash_seed(seed, state.epoch, *own))
        network.train()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(hash_seed(seed, state.epoch, "dropout", *own))
            starts = range(0, len(order), recipe.batch)
            shares = (share(order[k : k + recipe.batch], rank, size) for k in starts)
            parts, weights = zip(*shares, strict=True)
            for position, (inputs, targets) in enumerate(examples.batches(parts, generator, device)):
                state.set_lr(state.epoch + position / len(parts))
                rekey(network, hash_seed(seed, *own) if own else seed, state.epoch, position)
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    value = loss(step(inputs), targets) * weights[position]
                state.optimiser.zero_grad(set_to_none=True)
                state.descend(value)
                if after_step is not None:
                    after_step()
                total += value.detach() * min(recipe.batch, len(order) - position * recipe.batch)
        if size > 1:
            dist.all_reduce(total)
        mean = total.item() / len(examples) / size
        if not math.isfinite(mean):
            when = f"after epoch {state.epoch + 1}"
            raise BadInput(f"the loss is {mean} {when}; try a smaller lr than {recipe.lr:g}")
        seconds = time.perf_counter() - before
        network.eval()
        error = agreed(validate(network), device) if validate is not None and state.due else None
        lr = state.optimiser.param_groups[0]["lr"]
        state.end_epoch(lr, mean, error, lambda: copy.deepcopy(network.state_dict()), seconds, len(examples))
        if checkpoint is not None and rank == 0:
            state.write(checkpoint)
        if log is not None and rank == 0:
            log(state.line())
    if state.best_weights is not None:
        network.load_state_dict(state.best_weights)
    network.eval()
    return state.history


def agreed(value: float, device: torch.device) -> float:
    """The first process' value, so that all stop at the same epoch."""
    if processes()[1] > 1:
        dist.broadcast(found := torch.tensor(value, dtype=torch.float64, device=device), 0)
        return found.item()
    return float(value)


def optimiser(params: list, recipe: Recipe, **other) -> torch.optim.Optimizer:
    """The optimiser of a recipe, by its fused kernel."""
    how = {"lr": recipe.lr, "fused": True} | other
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(params, momentum=recipe.momentum, nesterov=recipe.momentum > 0, **how)
    return torch.optim.AdamW(params, betas=(recipe.momentum, 0.999), **how)


class Progress:
    """How far one training has come, and its best epoch: what decides learning rate, end and result."""

    # what changes from epoch to epoch besides weights and optimiser, and belongs into a checkpoint
    kept = ("epoch", "scale", "since_change", "history", "best", "best_epoch", "best_weights")

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        self.epoch, self.scale, self.since_change, self.history = 0, 1.0, 0, []
        self.best, self.best_epoch, self.best_weights = math.inf, -1, None

    @property
    def finished(self) -> bool:
        """Whether all epochs are over, or early stopping has ended the training."""
        patience, stale = self.recipe.patience, self.epoch - 1 - self.best_epoch
        stopped = patience is not None and self.best_epoch >= 0 and stale >= patience
        return stopped or self.epoch >= self.recipe.epochs

    @property
    def due(self) -> bool:
        """Whether the epoch that is being trained is validated; a short training is, once, at its end."""
        return (self.epoch + 1) % min(self.recipe.validate_every, self.recipe.epochs) == 0

    def lr(self, at: float) -> float:
        """The learning rate at a point of training, in epochs."""
        recipe, lr = self.recipe, self.recipe.lr * self.scale
        if recipe.schedule == "cosine":
            lr *= 0.5 * (1 + math.cos(math.pi * at / recipe.epochs))
        return lr * (at + 1e-3) / recipe.warmup if at < recipe.warmup else lr

    def end_epoch(
        self, lr: float, loss: float, validation: float | None, weights: Callable[[], dict],
        seconds: float, examples: int,
    ) -> None:  # fmt: skip
        """Record an epoch of so many examples; `weights` copies the network's, where they are the best."""
        known = [row["validation"] for row in self.history if row["validation"] is not None]
        row = {"epoch": self.epoch + 1, "lr": lr, "loss": loss, "validation": validation}
        self.history.append(row | {"seconds": seconds, "per_second": examples / seconds})
        self.since_change += 1
        if validation is not None:
            if validation < self.best:
                self.best, self.best_epoch, self.best_weights = validation, self.epoch, weights()
            rose = known and validation > known[-1]
            if self.recipe.schedule == "plateau" and rose and self.since_change >= self.recipe.least_epochs:
                self.scale, self.since_change = self.scale / 2, 0
        self.epoch += 1

    def line(self) -> str:
        """The last epoch in one line."""
        row = self.history[-1]
        found = f"epoch {row['epoch']:3d}/{self.recipe.epochs}  lr {row['lr']:.4f}  loss {row['loss']:.4f}"
        found += "" if row["validation"] is None else f"  validation {row['validation']:.4f}"
        return f"{found}  {row['seconds']:.1f} s  {row['per_second']:.0f}/s"


class _State(Progress):
    """What a run is made of besides the network's code: everything that a checkpoint must hold."""

    version = 2  # of the checkpoint

    def __init__(self, network: nn.Module, recipe: Recipe, seed: int, examples: int, device, precision):
        super().__init__(recipe)
        self.network = network
        # a digest of what decides the weights, so that a run resumes only its own checkpoint
        shapes = [(name, list(tensor.shape)) for name, tensor in network.state_dict().items()]
        text = json.dumps([shapes, asdict(recipe), seed, examples, str(precision)])
        self.identity = hashlib.sha256(text.encode()).hexdigest()
        # biases and normalisation weights are not decayed: pulling them to zero only shifts activations
        weights = [p for p in network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
        ]
        half = precision == torch.float16
        # where the first step overflows, the fused kernel would go on with a momentum that nobody has set
        self.optimiser = optimiser(groups, recipe, fused=not half)
        self.scaler = torch.amp.GradScaler(device.type, enabled=half)

    def set_lr(self, at: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr(at)

    def descend(self, value: Tensor) -> None:
        """One gradient step down a loss; left out where float16 gradients overflow."""
        self.scaler.scale(value).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def write(self, file: Path) -> None:
        content = {name: getattr(self, name) for name in ("version", "identity", *self.kept)}
        content |= {"weights": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        content["scaler"] = self.scaler.state_dict()
        with replacing(file) as new:
            torch.save(content, new)

    def read(self, file: Path | None, device: torch.device) -> None:
        if file is None or not Path(file).is_file():
            raise BadInput(f"{file}: there is no checkpoint to resume from; train without resume first")
        remedy = "remove it or train without resume"
        content = opened(file, partial(torch.load, map_location=device, weights_only=True), remedy)
        if content.get("version") != self.version:
            raise BadInput(f"{file}: a checkpoint of another version of this project; {remedy}")
        if content["identity"] != self.identity:
            why = "made by another network, recipe, seed, precision or data"
            raise BadInput(f"{file}: {why}; {remedy}")
        self.network.load_state_dict(content["weights"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.scaler.load_state_dict(content["scaler"])
        for name in self.kept:
            setattr(self, name, content[name])
