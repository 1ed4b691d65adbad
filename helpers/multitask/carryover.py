"""The methods of Bibas et al. 2022, trained and chosen with the same budget and the same steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.train import Recipe, fit
from helpers.measures.metrics import mean_average_precision
from helpers.multitask.heads import Targets, Triplets, TwoHeads, capped, contrastive, nearest_other, objective

METHODS = ("image-only", "sequential", "contrastive", "uniform", "interaction", "loss")


@dataclass(frozen=True)
class Setting:
    """What is chosen on validation."""

    lr: float
    dropout: float  # of the shared layer
    alpha: float  # weight of the second task
    quantile: float  # Ω is this quantile of the confidence ω
    tau: float  # margin of the triplet loss


def draw_settings(trials: int, rng: np.random.Generator, grids: Mapping[str, list[float]]) -> list[Setting]:
    """Settings from grids: each value is tried as often as the others of its grid, or nearly.

    Every method tries the same list and reads from it what concerns it. Learning rate and dropout concern
    all, so their pairs repeat only when all have been tried: Image-only wastes no try."""

    def rounds(grid: np.ndarray) -> np.ndarray:
        return np.concatenate([rng.permutation(grid) for _ in range(-(-trials // len(grid)))])[:trials]

    lr, dropout = rounds(np.array([(a, b) for a in grids["lr"] for b in grids["dropout"]])).T
    columns = {"lr": lr, "dropout": dropout}
    columns |= {name: rounds(np.array(grids[name])) for name in sorted(grids.keys() - columns.keys())}
    return [Setting(**{name: float(column[t]) for name, column in columns.items()}) for t in range(trials)]


@dataclass(frozen=True)
class Study:
    """One data set and everything that the methods share."""

    examples: Callable[[Tensor], Pictures | Vectors]  # of the training items, from `Targets.packed`
    targets: Targets  # of the training items
    omega: Mapping[str, np.ndarray]  # name -> confidence of each training item's CF vector, float (n,)
    network: Callable[[float], TwoHeads]  # dropout -> a new one, drawn from torch's global generator
    held: Callable[[nn.Module], np.ndarray]  # in evaluation mode -> logits float32 (m, N), validation items
    truth: np.ndarray  # bool (m, N), their labels
    recipe: Recipe  # how to train; `lr` is replaced by a setting's
    device: torch.device

    def validate(self, network: nn.Module) -> float:
        """1 − mAP on validation, what is minimised."""
        return 1 - mean_average_precision(self.truth, self.held(network)).mean

    def learn(self, method: str, setting: Setting, seed: int) -> tuple[TwoHeads, float]:
        """Train a method (BadInput if unknown): the network of its best epoch on validation, and that mAP."""
        if method not in METHODS:
            raise BadInput(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
        torch.manual_seed(seed)
        network = self.network(setting.dropout)
        recipe = replace(self.recipe, lr=setting.lr)
        omega = capped(self.omega[method], setting.quantile) if method in self.omega else None
        examples = self.examples(self.targets.packed(omega))
        alpha = 0.0 if method in ("image-only", "sequential") else setting.alpha
        loss = objective(self.targets, alpha)
        if method == "contrastive":
            loss = contrastive(self.targets, alpha, setting.tau)
            examples = Triplets(examples, nearest_other(self.targets.vectors))
        if method == "sequential":
            first = objective(self.targets, 1.0, main=False)
            fit(network, examples, first, recipe, device=self.device, seed=seed, log=None)
        if method in ("image-only", "sequential") and not self.targets.labelled.all():
            examples, recipe = self._labelled(examples, recipe)
        how = {"device": self.device, "seed": seed + 1, "validate": self.validate, "log": None}
        history = fit(network, examples, loss, recipe, **how)
        return network, 1 - min(row["validation"] for row in history if row["validation"] is not None)

    def _labelled(self, examples, recipe):
        """The labelled examples only, with about as many gradient steps as all of them would have brought."""
        rows = np.flatnonzero(self.targets.labelled)
        inputs = "rows" if isinstance(examples, Pictures) else "inputs"
        fewer = replace(examples, **{name: getattr(examples, name)[rows] for name in (inputs, "targets")})
        # validated as often too: the more looks, the better the best of them
        every = -(-len(examples) // recipe.batch) // -(-len(fewer) // recipe.batch) * recipe.validate_every
        looks = max(1, recipe.epochs // recipe.validate_every)
        return fewer, replace(recipe, epochs=looks * every, validate_every=every)

    def with_labels(self, labelled: np.ndarray) -> "Study":
        """The same study with fewer labels known: bool (n,)."""
        return replace(self, targets=replace(self.targets, labelled=labelled))

    def choose(self, method: str, settings: list[Setting], seed: int) -> tuple[Setting, list[float]]:
        """The setting with the best mAP on validation, and the mAP of all."""
        found = [self.learn(method, setting, seed)[1] for setting in settings]
        return settings[int(np.argmax(found))], found
