"""User-conditional hashtag prediction (Denton et al. 2015): f(x, u, y) = Φ(x, u) · V_y, with three Φ."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import log2

import numpy as np
import torch
from torch import Tensor, nn

from helpers.crowd.neighbours import unit
from helpers.errors import BadInput
from helpers.learn.again import known, remembered
from helpers.learn.examples import Planned
from helpers.learn.many import fit_many
from helpers.learn.networks import parameters
from helpers.learn.train import Recipe
from helpers.people.warp import MARGIN, MOST_DRAWS, keys, warp_loss
from helpers.words.bags import Bags

HIDDEN = 24  # units of the user network: Denton et al. 2015, section 3
# what is kept inside a ball: rows of V and P in the paper; our copy tells of no other. Here also columns of Q
# (a user's vector, where a 1 tells who it is), of the factors what corresponds to a row of P, and each gate.
# The layer over the descriptor is free
BALLS = {"V": -1, "P": -1, "Q": -2, "beta": -1, "gamma": -2, "alpha": -2, "Z": -1}


def project(matrix: Tensor, radius: float | Tensor, dim: int = -1) -> None:
    """Shorten rows, or the vectors along `dim`, that are longer than `radius` to that length, in place
    (Weston et al. 2010). Of stacked matrices (C, …) each may have a radius of its own, float (C,)."""
    with torch.no_grad():
        # ten times faster than `norm`, which reads rows one number after the other where they lie transposed
        length = matrix.square().sum(dim, keepdim=True).sqrt()
        if isinstance(radius, Tensor):
            radius = radius.view(-1, *[1] * (matrix.ndim - 1))
        matrix.mul_((radius / length.clamp_min(1e-12)).clamp_max(1.0))


def project_all(weights: Mapping[str, Tensor], radius: float | Tensor) -> None:
    """Put everything that has left its ball back onto it; weights by name, alone or those of many stacked."""
    for name in BALLS.keys() & weights.keys():
        project(weights[name], radius, BALLS[name])


def project_each(weights: Mapping[str, Tensor], models: "Sequence[UserConditional]") -> None:
    """`project_all` of the stacked weights of models that may differ in their radius."""
    radii = torch.tensor([model.radius for model in models], device=models[0].V.device)
    project_all(weights, radii)


def times(u: Tensor, matrix: Tensor) -> Tensor:
    """Descriptors float (B, m), or int (B,) where a single 1 is, times a matrix (m, d): (B, d)."""
    return u @ matrix if u.is_floating_point() else nn.functional.embedding(u, matrix)


def rectified(layer: nn.Linear, u: Tensor) -> Tensor:
    """Rectified linear units over descriptors as for `times`."""
    return torch.relu(layer(u) if u.is_floating_point() else times(u, layer.weight.T) + layer.bias)


class UserConditional(nn.Module):
    """What the three models share: image descriptors x float (M, n), user descriptors u float (U, m), and the
    matrix V of Y tags by d. What `BALLS` names is kept inside a ball of the given radius. x is
    scaled to length 1, without which, the paper says, the multiplicative model learns much worse; tensors are
    taken as they are, and models share them. Where u is int (U,), it says which of m numbers is 1 in a
    descriptor, all others being 0: who a user is. Raises BadInput where x or u is empty or not finite."""

    def __init__(self, x: np.ndarray, u: np.ndarray, n_tags: int, d: int, radius: float = 1.0):
        super().__init__()
        for name, values in (("image descriptors", x), ("user descriptors", u)):
            finite = torch.isfinite if isinstance(values, Tensor) else np.isfinite
            if len(values) == 0 or not finite(values).all():
                raise BadInput(f"{name} {np.shape(values)} are empty or not finite")
        x = x if isinstance(x, Tensor) else torch.from_numpy(unit(x))
        self.register_buffer("x", x, persistent=False)
        if not isinstance(u, Tensor):
            u = torch.from_numpy(np.array(u, np.float32 if np.ndim(u) == 2 else np.int64))
        self.register_buffer("u", u, persistent=False)
        self.radius, self.m = radius, u.shape[1] if u.ndim == 2 else int(u.max()) + 1
        # the paper's standard deviation of 0.001 needs its millions of steps to leave zero
        self.V = nn.Parameter(torch.randn(n_tags, d) * 0.1)

    def project(self) -> None:
        """Put everything that has left its ball back onto it."""
        project_all(dict(self.named_parameters()), self.radius)

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Φ (B, d) of pairs int (B, 2), rows of x and of u, and V (Y, d), with which the loss compares."""
        return self.embed(self.x[pairs[:, 0]], self.u[pairs[:, 1]]), self.V

    @torch.inference_mode()
    def scores(self, image: np.ndarray, user: np.ndarray) -> np.ndarray:
        """f(x, u, y) for all tags: float32 (B, Y), for rows of x and u."""
        pairs = torch.from_numpy(np.stack([image, user], 1).astype(np.int64)).to(self.V.device)
        phi, V = self(pairs)
        return (phi @ V.T).float().cpu().numpy()


@remembered
class Bilinear(UserConditional):
    """Φ(x, u) = P x: who asks does not matter."""

    def __init__(self, x, u, n_tags, d, radius=1.0):
        super().__init__(x, u, n_tags, d, radius)
        self.P = nn.Parameter(torch.randn(d, x.shape[1]) * 0.1)

    def embed(self, x: Tensor, u: Tensor) -> Tensor:
        """Φ: (B, d) of x (B, n) and u (B, m)."""
        return x @ self.P.T


@remembered
class UserBiased(Bilinear):
    """Φ(x, u) = P x + Q u: the user moves the image's embedding."""

    def __init__(self, x, u, n_tags, d, radius=1.0):
        super().__init__(x, u, n_tags, d, radius)
        self.Q = nn.Parameter(torch.randn(d, self.m) * 0.1)

    def embed(self, x: Tensor, u: Tensor) -> Tensor:
        return super().embed(x, u) + times(u, self.Q.T)


@remembered
class UserMultiplicative(UserConditional):
    """Φ(x, u) = β diag(αᵀ r(u)) γᵀ x: the user's vector r(u) gates each of K factors (appendix A). It is a
    layer of 24 rectified linear units over the descriptor, learnt with the rest, or without `layer` the
    descriptor itself. Here the layer has a bias, without which a user without attributes could not have a
    vector."""

    def __init__(self, x, u, n_tags, d, radius=1.0, K: int = 100, layer: bool = True):
        super().__init__(x, u, n_tags, d, radius)
        self.user, width = nn.Linear(self.m, HIDDEN) if layer else None, HIDDEN if layer else self.m
        if layer:  # all gates begin near 1, so the model begins as a bilinear one of rank K
            nn.init.ones_(self.user.bias)
        self.alpha = nn.Parameter((1 + torch.randn(width, K)) / width)
        # both factors of an image begin at the size of a step away from zero, like P of the bilinear model
        self.beta = nn.Parameter(torch.randn(d, K) / K**0.5)
        self.gamma = nn.Parameter(torch.randn(x.shape[1], K) * 0.1)

    def user_vectors(self, u: Tensor) -> Tensor:
        """r(u): (B, 24) of descriptors (B, m); what Fig. 7 maps. Without a layer the descriptors."""
        return u if self.user is None else rectified(self.user, u)

    def embed(self, x: Tensor, u: Tensor) -> Tensor:
        return (times(self.user_vectors(u), self.alpha) * (x @ self.gamma)) @ self.beta.T


@remembered
class UserFullTensor(UserConditional):
    """Φ(x, u) = Σ_i r_i(u) Z⁽ⁱ⁾ x: what appendix A constrains to K factors. Each of the 24 units has a matrix
    (d, n), whose rows have balls like those of P."""

    def __init__(self, x, u, n_tags, d, radius=1.0):
        super().__init__(x, u, n_tags, d, radius)
        self.user = nn.Linear(self.m, HIDDEN)
        nn.init.ones_(self.user.bias)  # as with factors: the model begins near a bilinear one
        shared, own = torch.randn(d, x.shape[1]), torch.randn(HIDDEN, d, x.shape[1])
        self.Z = nn.Parameter((shared + own) * 0.1 / HIDDEN)

    def embed(self, x: Tensor, u: Tensor) -> Tensor:
        each = x @ self.Z.flatten(0, 1).T  # (B, 24 d)
        return (rectified(self.user, u)[:, :, None] * each.unflatten(1, self.Z.shape[:2])).sum(1)


@known
@dataclass(frozen=True)
class TrueTags(Planned):
    """Training examples that are pairs of a post and one of its true tags."""

    pairs: np.ndarray  # int64 (n, 4): row of x, row of u, tag, post

    def __len__(self) -> int:
        return len(self.pairs)

    def plan(self, order: np.ndarray, generator: torch.Generator) -> Tensor:
        """int64 (n, 5): the pairs, and a number that decides what the search draws."""
        noise = torch.randint(2**62, (len(order), 1), generator=generator)
        return torch.cat([torch.from_numpy(self.pairs[order]), noise], 1)

    def look_up(self, rows: Tensor, copies: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rows of x and u; tag, post and noise."""
        return rows[..., :2], rows[..., 2:]


@remembered
def ranked(tags, margin: float = MARGIN, most: int = MOST_DRAWS):
    """`warp_loss` of what a model returns and the targets of `TrueTags`, with the true `tags` of posts."""
    compiled = ("cpu", "mps")  # the search at once needs float64, which mps lacks
    on = cache(lambda device, Y: tags if device.type in compiled else keys(tags, Y).to(device))  # copied once

    def loss(outputs: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        (phi, V), (tag, post, noise) = outputs, target.unbind(-1)
        true = on(phi.device, V.shape[-2])
        return warp_loss(phi, V, tag, post, true, noise[..., 0], margin, most)

    loss.many = loss  # the search of the CPU is nothing that torch could map over copies
    return loss


def learn(
    models: Sequence[UserConditional], image: np.ndarray, user: Sequence[np.ndarray], tags,
    recipes: Sequence[Recipe], seeds: Sequence[int], device, margin: float = MARGIN, most: int = MOST_DRAWS,
    validate: Callable[[list[UserConditional]], Sequence[float]] | None = None,
) -> list[list[dict]]:  # fmt: skip
    """Train models with WARP side by side, in place; the histories of `many.fit_many`.

    An epoch visits each (post, true tag) once; after every step what has left its ball goes back into it.
    Each of n posts has a row of x, one of u for each model, int (n,), and its true tags, as in `posts.Posts`;
    where there is none, BadInput. `validate` maps models to validation errors. Models of one kind, one tensor
    of descriptors and about one size share their operations, also where their d, K or radius differ."""
    row = Bags(*tags).owner
    if len(row) == 0:
        raise BadInput("learn: there is no training post with a hashtag")
    examples = [TrueTags(np.stack([image[row], who[row], tags[1], row], 1).astype(np.int64)) for who in user]
    [model.project() for model in models]
    histories, alike = [None] * len(models), {}
    for c, model in enumerate(models):  # a small one that is filled up to the largest costs as much as that
        alike.setdefault((model.x.data_ptr(), round(log2(parameters(model)))), []).append(c)
    how = {"device": device, "validate": validate, "after_step": project_each}
    for some in alike.values():
        nets, given, how_each, begin = ([of[c] for c in some] for of in (models, examples, recipes, seeds))
        with as_large_as_the_largest(nets):
            made = fit_many(nets, given, ranked(tags, margin, most), how_each, begin, **how)
        for c, history in zip(some, made, strict=True):
            histories[c] = history
    return histories


@contextmanager
def as_large_as_the_largest(models: Sequence[UserConditional]) -> Iterator[None]:
    """Within the block models of one kind have weights of one shape, by zeros behind each d and K. These stay
    exactly 0: in every product of theirs the other factor is 0 too, so no gradient arises."""
    kinds, shapes = {}, [{name: p.shape for name, p in model.named_parameters()} for model in models]
    for model, shape in zip(models, shapes, strict=True):
        kinds.setdefault((type(model), *shape), []).append((model, shape))
    for some in kinds.values():
        largest = {name: np.max([shape[name] for _, shape in some], axis=0) for name in some[0][1]}
        for model, shape in some:
            for name, p in model.named_parameters():
                behind = [n for end in reversed(largest[name] - shape[name]) for n in (0, int(end))]
                p.data = nn.functional.pad(p.data, behind)
    yield
    for model, shape in zip(models, shapes, strict=True):
        for name, p in model.named_parameters():  # others than before: the best epoch's
            p.data = p.data[tuple(map(slice, shape[name]))].clone()
