"""Networks on frozen features or on pictures: made, fed and trained in one way, to be compared."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.examples import Pictures, Vectors, extract
from helpers.learn.losses import Loss, with_auxiliary
from helpers.learn.networks import Adapter, AlexNet, GoogLeNet, ResNet
from helpers.learn.train import Recipe, fit
from helpers.randomness import hash_seed

FROZEN = "frozen"
FROM_SCRATCH = {"alexnet": AlexNet, "googlenet": GoogLeNet, "resnet": ResNet}


@dataclass(frozen=True)
class Learner:
    """What all networks of a comparison have in common. A `kind` is "frozen" or a key of `FROM_SCRATCH`."""

    store: object  # the pictures of all items
    frozen: Tensor  # float32 (M, n), standardised features of all items, for the kind "frozen"
    units: int  # of the learned layer (`networks.Adapter`)
    dropout: float  # everybody's
    crop: int  # of the networks that are trained from scratch, as the width
    width: float
    seed: int  # decides first weights, order and draws, together with the number s of the repetition
    device: torch.device

    def network(self, kind: str, outputs: int, s: int = 0) -> nn.Module:
        """A network before training."""
        if kind != FROZEN and kind not in FROM_SCRATCH:
            raise BadInput(f"network {kind!r}: choose {FROZEN}, {', '.join(FROM_SCRATCH)}")
        torch.manual_seed(hash_seed(self.seed, s))
        if kind == FROZEN:
            return Adapter(self.frozen.shape[1], self.units, outputs, self.dropout)
        return FROM_SCRATCH[kind](outputs, self.crop, self.width, self.dropout)

    def examples(self, kind: str, items: np.ndarray, targets: np.ndarray | None = None):
        """Inputs of items, with one target each; without targets, for `bags.Drawn`."""
        targets = torch.zeros(len(items)) if targets is None else torch.from_numpy(targets)
        if kind == FROZEN:
            return Vectors(self.frozen[items], targets)
        return Pictures(self.store, items, targets, self.crop)

    def outputs(self, kind: str, net: nn.Module, items: np.ndarray, part: str = "forward") -> np.ndarray:
        """What a network says of items, float32 (n, ·); part "features": what its output layer reads."""
        function = getattr(net.to(self.device).eval(), part)
        if kind != FROZEN:
            return extract(function, self.store, items, self.crop, self.device)
        with torch.inference_mode():
            return function(self.frozen[items].to(self.device)).float().cpu().numpy()

    def fit(
        self, net: nn.Module, given, loss: Loss, recipe: Recipe, error: Callable[[], float], s: int = 0
    ) -> list[dict]:
        """Train in place; the pass with the lowest `error` on validation items is kept. See `train.fit`."""
        how = {"device": self.device, "seed": self.seed + s, "validate": lambda _: error(), "log": None}
        return fit(net, given, with_auxiliary(loss), recipe, **how)
