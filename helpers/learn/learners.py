"""Networks on frozen features or on pictures: made, fed and trained in one way, to be compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.examples import Pictures, Vectors, extract
from helpers.learn.losses import Loss, with_auxiliary
from helpers.learn.many import fit_many
from helpers.learn.networks import FROM_SCRATCH, Adapter, Bottleneck, PairAdapter
from helpers.learn.train import Recipe, fit
from helpers.randomness import hash_seed

FROZEN = "frozen"
ON_FEATURES = {FROZEN: Adapter, "pairs": PairAdapter}


@dataclass(frozen=True)
class Learner:
    """What all networks of a comparison have in common. A `kind` is "frozen", "pairs" (with cosines, on
    the same features), or a key of `networks.FROM_SCRATCH`."""

    store: object  # the pictures of all items
    frozen: Tensor  # float32 (M, n), standardised features of all items, for "frozen" and "pairs"
    units: int  # of the learned layer (`networks.Adapter`)
    dropout: float  # everybody's
    crop: int  # of the networks that are trained from scratch, as the width
    width: float
    seed: int  # decides first weights, order and draws, together with the number s of the repetition
    device: torch.device

    def network(self, kind: str, outputs: int, s: int = 0, bottleneck: int | None = None) -> nn.Module:
        """A network before training; one from scratch may have a `bottleneck` of so many numbers."""
        if kind not in ON_FEATURES and kind not in FROM_SCRATCH:
            raise BadInput(f"network {kind!r}: choose {', '.join((*ON_FEATURES, *FROM_SCRATCH))}")
        torch.manual_seed(hash_seed(self.seed, s))
        if kind in ON_FEATURES:
            return ON_FEATURES[kind](self.frozen.shape[1], self.units, outputs, self.dropout)
        if bottleneck:
            return Bottleneck(kind, outputs, bottleneck, self.crop, self.width, self.dropout)
        return FROM_SCRATCH[kind](outputs, self.crop, self.width, self.dropout)

    def examples(self, kind: str, items: np.ndarray, targets: np.ndarray | None = None):
        """Inputs of items, with one target each; without targets, for `bags.Drawn`."""
        targets = torch.zeros(len(items)) if targets is None else torch.from_numpy(targets)
        if kind in ON_FEATURES:
            return Vectors(self.frozen[items], targets)
        return Pictures(self.store, items, targets, self.crop)

    def outputs(self, kind: str, net: nn.Module, items: np.ndarray, part: str = "forward") -> np.ndarray:
        """What a network says of items, float32 (n, ·); part "features": what its output layer reads."""
        function = getattr(net.to(self.device).eval(), part)
        if kind not in ON_FEATURES:
            return extract(function, self.store, items, self.crop, self.device)
        with torch.inference_mode():
            return function(self.frozen[items].to(self.device)).float().cpu().numpy()

    def fit(
        self, kind: str, nets: list[nn.Module], given, loss: Loss, recipes: Sequence[Recipe],
        errors: Callable[[list[nn.Module]], Sequence[float]], repetitions: Sequence[int],
    ) -> list[list[dict]]:  # fmt: skip
        """Train networks of a kind in place, on the same examples, each with its recipe and repetition s: the
        histories. The pass with the lowest of `errors` on validation items is kept. Those on frozen features
        are trained side by side (`many.fit_many`), those on pictures one after the other."""
        seeds = [self.seed + s for s in repetitions]
        if kind in ON_FEATURES:
            how = {"device": self.device, "validate": errors}
            return fit_many(nets, [given] * len(nets), loss, recipes, seeds, **how)
        how = {"device": self.device, "validate": lambda net: errors([net])[0], "log": None}
        each = zip(nets, recipes, seeds, strict=True)
        return [fit(net, given, with_auxiliary(loss), recipe, seed=seed, **how) for net, recipe, seed in each]
