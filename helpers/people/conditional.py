"""User-conditional hashtag prediction (Denton et al. 2015): f(x, u, y) = Φ(x, u) · V_y, with three Φ."""

import numpy as np
import torch
from torch import Tensor, nn

from helpers.crowd.neighbours import unit
from helpers.errors import BadInput
from helpers.learn.examples import Vectors
from helpers.learn.train import Recipe, fit
from helpers.people import warp
from helpers.people.warp import MARGIN, MOST_DRAWS
from helpers.words.bags import Bags

HIDDEN = 24  # units of the user network: Denton et al. 2015, section 3


def project(matrix: Tensor, radius: float) -> None:
    """Shorten rows that are longer than `radius` to that length, in place (Weston et al. 2010)."""
    with torch.no_grad():
        matrix.mul_((radius / matrix.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0))


class UserConditional(nn.Module):
    """What the three models share: image descriptors x float (M, n), user descriptors u float (U, m), and the
    matrix V of Y tags by d, whose rows (and those of P) are kept inside a ball of the given radius. x is
    scaled to length 1, without which, the paper says, the multiplicative model learns much worse; a tensor is
    taken as it is, and models share it. Raises BadInput where x or u is empty or not finite."""

    def __init__(self, x: np.ndarray, u: np.ndarray, n_tags: int, d: int, radius: float = 1.0):
        super().__init__()
        for name, values in (("image descriptors", x), ("user descriptors", u)):
            finite = torch.isfinite if isinstance(values, Tensor) else np.isfinite
            if len(values) == 0 or not finite(values).all():
                raise BadInput(f"{name} {np.shape(values)} are empty or not finite")
        x = x if isinstance(x, Tensor) else torch.from_numpy(unit(x))
        self.register_buffer("x", x, persistent=False)
        self.register_buffer("u", torch.from_numpy(np.array(u, np.float32)), persistent=False)
        self.radius = radius
        # the paper's standard deviation of 0.001 needs its millions of steps to leave zero
        self.V = nn.Parameter(torch.randn(n_tags, d) * 0.1)

    def balls(self) -> list[Tensor]:
        """The matrices whose rows the paper keeps inside a ball."""
        return [self.V]

    def project(self) -> None:
        """Put every row that has left its ball back onto it."""
        for matrix in self.balls():
            project(matrix.data, self.radius)

    def forward(self, pairs: Tensor) -> Tensor:
        """Φ: (B, d) of pairs int (B, 2), rows of x and of u."""
        return self.embed(self.x[pairs[:, 0]], self.u[pairs[:, 1]])

    @torch.inference_mode()
    def scores(self, image: np.ndarray, user: np.ndarray) -> np.ndarray:
        """f(x, u, y) for all tags: float32 (B, Y), for rows of x and u."""
        pairs = torch.from_numpy(np.stack([image, user], 1).astype(np.int64)).to(self.V.device)
        return (self(pairs) @ self.V.T).float().cpu().numpy()


class Bilinear(UserConditional):
    """Φ(x, u) = P x: who asks does not matter."""

    def __init__(self, x, u, n_tags, d, radius=1.0):
        super().__init__(x, u, n_tags, d, radius)
        self.P = nn.Parameter(torch.randn(d, x.shape[1]) * 0.1)

    def balls(self) -> list[Tensor]:
        return [self.V, self.P]

    def embed(self, x: Tensor, u: Tensor) -> Tensor:
        """Φ: (B, d) of x (B, n) and u (B, m)."""
        return x @ self.P.T


class UserBiased(Bilinear):
    """Φ(x, u) = P x + Q u: the user moves the image's embedding."""

    def __init__(self, x, u, n_tags, d, radius=1.0):
        super().__init__(x, u, n_tags, d, radius)
        self.Q = nn.Parameter(torch.randn(d, u.shape[1]) * 0.1)

    def embed(self, x: Tensor, u: Tensor) -> Tensor:
        return super().embed(x, u) + u @ self.Q.T


class UserMultiplicative(UserConditional):
    """Φ(x, u) = β diag(αᵀ r(u)) γᵀ x: the user's vector r(u) gates each of K factors (appendix A). It is a
    layer of 24 rectified linear units over the descriptor, learnt with the rest. Here it has a bias, without
    which a user without attributes could not have a vector."""

    def __init__(self, x, u, n_tags, d, radius=1.0, K: int = 100):
        super().__init__(x, u, n_tags, d, radius)
        self.user = nn.Linear(u.shape[1], HIDDEN)
        # all gates begin near 1, so the model begins as a bilinear one of rank K
        nn.init.ones_(self.user.bias)
        self.alpha = nn.Parameter((1 + torch.randn(HIDDEN, K)) / HIDDEN)
        # both factors of an image begin at the size of a step away from zero, like P of the bilinear model
        self.beta = nn.Parameter(torch.randn(d, K) / K**0.5)
        self.gamma = nn.Parameter(torch.randn(x.shape[1], K) * 0.1)

    def user_vectors(self, u: Tensor) -> Tensor:
        """r(u): (B, 24) of descriptors (B, m); what Fig. 7 maps."""
        return torch.relu(self.user(u))

    def embed(self, x: Tensor, u: Tensor) -> Tensor:
        return ((self.user_vectors(u) @ self.alpha) * (x @ self.gamma)) @ self.beta.T


def learn(
    model: UserConditional, image: np.ndarray, user: np.ndarray, tags, recipe: Recipe, seed: int, device,
    margin: float = MARGIN, most: int = MOST_DRAWS,
) -> list[dict]:  # fmt: skip
    """Train with WARP in place; the history of `helpers.learn.train.fit`. An epoch visits each (post, true
    tag) once; after every step the rows of V and P go back into their balls. Each of n posts has a row of x
    and one of u, int (n,), and its true tags, as in `posts.Posts`; where there is none, BadInput."""
    row = Bags(*tags).owner
    if len(row) == 0:
        raise BadInput("learn: there is no training post with a hashtag")
    pairs = torch.from_numpy(np.stack([image[row], user[row]], 1).astype(np.int64))
    targets = torch.from_numpy(np.stack([tags[1], row], 1).astype(np.int64))
    if torch.device(device).type != "cpu":
        tags = warp.keys(tags, len(model.V)).to(device)
    steps = iter(np.random.default_rng(seed).integers(2**62, size=2**20).tolist())

    def loss(phi: Tensor, target: Tensor) -> Tensor:
        return warp.warp_loss(phi, model.V, target[:, 0], target[:, 1], tags, next(steps), margin, most)

    model.project()
    how = {"device": device, "seed": seed, "after_step": model.project, "log": None}
    return fit(model, Vectors(pairs, targets), loss, recipe, **how)
