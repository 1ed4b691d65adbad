"""Who tags: scores of (image, hashtag, user) triplets (Veit et al. 2018, section 3.2).

Three ways to combine the three embeddings: a full core tensor (the paper's model), a multi-layer perceptron
on their concatenation (the paper's comparison), and pairwise products only. All learn the embeddings of users
and hashtags and a linear map of frozen image features, by the ranking loss with six negatives (`learn`).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.again import known, remembered
from helpers.learn.many import fit_many
from helpers.learn.networks import hashed
from helpers.learn.train import Recipe
from helpers.people.posts import Posts
from helpers.words.bags import Bags

MARGIN = 1.0
RIDGE = 0.3  # penalty of `TripletModel.begin`, as a share of the features' mean variance


def standard(features: np.ndarray) -> Tensor:
    """Features float (M, n) of all images, standardised, because networks differ in scale, and so that a
    typical image has length 1: float32 (M, n). BadInput where there are none, or one is not finite."""
    if len(features) == 0 or not np.isfinite(features).all():
        raise BadInput(f"user model: features {np.shape(features)} are empty or not finite")
    features = torch.tensor(np.array(features, np.float32))
    scale = features.std(0)
    return (
        (features - features.mean(0)) / torch.where(scale > 1e-6, scale, 1.0) / math.sqrt(features.shape[1])
    )


class TripletModel(nn.Module):
    """Embeddings of images, K hashtags and U users, of sizes F, D and E (in the paper 300, 300, 50). The
    models below differ in how they combine them. One user, 0 in every post, is the model without a user. One
    who was not in training (`posts.UNKNOWN`) gets the mean of all users' embeddings: the average user.

    `features`, float (M, n), are the frozen ones of all images, as `standard` scales them; a tensor is taken
    as it is, and models share it. `tag_vectors`, float (K, ·), is where the hashtag embeddings begin; None
    begins at random. Of wider ones the first D columns are taken, narrower ones are filled with random
    numbers."""

    held = 0  # how many of the last coordinates of each embedding are constants

    def __init__(self, features, n_tags: int, n_users: int, D: int, F: int, E: int, tag_vectors=None):
        super().__init__()
        features = features if isinstance(features, Tensor) else standard(features)
        self.register_buffer("features", features, persistent=False)
        self.n_tags, self.n_users = n_tags, n_users
        self.image = nn.Linear(features.shape[1], F)
        self.tag = nn.Parameter(torch.randn(n_tags, D) / math.sqrt(D))
        self.user = nn.Parameter(torch.randn(n_users, E) / math.sqrt(E))
        nn.init.normal_(self.image.weight)
        if tag_vectors is not None:
            known = torch.tensor(np.array(tag_vectors, np.float32))[:, :D]
            self.tag.data[:, : known.shape[1]] = known / known.norm(dim=1).mean().clamp_min(1e-6)

    @torch.no_grad()
    def begin(self, posts: Posts) -> None:
        """Start users and images at what their hashtags say, instead of at random. With h̄ the mean embedding
        of a training post's tags: a user begins at the mean h̄ of their posts, shrunk to 0 as if there were
        one more post, an image at the ridge regression of h̄ on its features. Both are cut to the E and F
        directions that hold most of them (SVD), and `align` is told how to get back to tags."""
        h = self.tag[:, : self.tag.shape[1] - self.held]
        E, F, bags = self.user.shape[1], self.image.out_features, Bags(*posts.tags)
        row, tag = torch.from_numpy(bags.owner), torch.from_numpy(bags.indices.astype(np.int64))
        mean = torch.zeros(len(posts), h.shape[1]).index_add_(0, row, h[tag]) / row.bincount()[:, None]
        user, image = torch.from_numpy(posts.user), torch.from_numpy(posts.image)
        count = torch.bincount(user, minlength=self.n_users)[:, None]
        of_user = torch.zeros(self.n_users, h.shape[1]).index_add_(0, user, mean) / (count + 1)
        x, offset = self.features[image], mean.mean(0)
        penalty = RIDGE * len(x) / x.shape[1] * torch.eye(x.shape[1])
        slope = torch.linalg.solve(x.T @ x + penalty, x.T @ (mean - offset))
        self.image.bias.zero_()
        users, to_user = _directions(of_user, E, self.held)
        maps, to_image = _directions(slope, F, self.held)
        self.user.copy_(users)
        self.image.weight[: F - self.held] = maps.T[: F - self.held]
        self.align(to_user, to_image, offset)

    def align(self, to_user: Tensor, to_image: Tensor, offset: Tensor) -> None:
        """Make s = h · (to_user u + to_image f + offset), where the model can: (D', E), (D', F), (D',)."""

    def embed_images(self, image: Tensor) -> Tensor:
        """f: (B, F) of image rows int (B,)."""
        return self.image(self.features[image])

    def embed_users(self, user: Tensor) -> Tensor:
        """u: (B, E) of users int (B,), the mean embedding where the user is `posts.UNKNOWN`."""
        return torch.where((user < 0)[:, None], self.user.mean(0), self.user[user.clamp_min(0)])

    def forward(self, batch: Tensor) -> Tensor:
        """Scores (3, B, B) of all replacements within a batch of triplets int (B, 4) of `Posts.plan`: entry
        (0, b, c) scores triplet b with the tag of c, (1, b, c) with the image of c, (2, b, c) with the user
        of c. The three diagonals are the scores of the triplets themselves."""
        image, tag, user = batch[:, :3].unbind(1)
        f, h, u = self.embed_images(image), self.tag[tag], self.embed_users(user)
        return torch.stack([self.with_tags(f, u, h), self.with_images(h, u, f), self.with_users(f, h, u)])

    @torch.inference_mode()
    def tag_scores(self, image: np.ndarray, user: np.ndarray) -> np.ndarray:
        """s(t; W) of every hashtag for pairs of image row and user (eq. 6): float32 (Q, K)."""
        pairs = zip(*(self._rows(x).split(128) for x in (image, user)), strict=True)
        scores = (self.with_tags(self.embed_images(i), self.embed_users(u), self.tag) for i, u in pairs)
        return torch.cat(list(scores)).float().cpu().numpy()

    @torch.inference_mode()
    def image_scores(self, tag: np.ndarray, user: np.ndarray, images: np.ndarray) -> np.ndarray:
        """s(t; W) of given images for pairs of hashtag and user, for retrieval: float32 (Q, len(images))."""
        f, pairs = self.embed_images(self._rows(images)), (self._rows(x).split(64) for x in (tag, user))
        scores = (self.with_images(self.tag[t], self.embed_users(u), f) for t, u in zip(*pairs, strict=True))
        return torch.cat(list(scores)).float().cpu().numpy()

    def _rows(self, values) -> Tensor:
        return torch.tensor(np.array(values, np.int64), device=self.tag.device)


def _directions(matrix: Tensor, width: int, held: int) -> tuple[Tensor, Tensor]:
    """The best approximation matrix ≈ left · rightᵀ of rank width − held, the last `held` columns being 0."""
    A, s, Bt = torch.linalg.svd(matrix, full_matrices=False)
    rank = min(width - held, len(s))
    left, right = torch.zeros(len(matrix), width), torch.zeros(matrix.shape[1], width)
    left[:, :rank], right[:, :rank] = A[:, :rank] * s[:rank], Bt[:rank].T
    return left, right


@remembered
class UserTensor(TripletModel):
    """The user tensor model, eq. 3: s = Σ w_abr h_a f_b u_r, with the full core tensor W (D, F, E). With
    `constants` the last coordinate of each embedding is 1 and is not learnt. Then W, which is as in eq. 3,
    also holds the two-way terms (this user likes this tag; this tag suits this image) and the one-way ones.
    Without it they have to be squeezed out of three-way products."""

    def __init__(self, features, n_tags, n_users, D, F, E, tag_vectors=None, constants: bool = False):
        super().__init__(features, n_tags, n_users, D, F, E, tag_vectors)
        self.held = int(constants)
        self.W = nn.Parameter(torch.randn(D, F, E) / math.sqrt(F))

    @torch.no_grad()
    def align(self, to_user: Tensor, to_image: Tensor, offset: Tensor) -> None:
        if not self.held:
            return  # three-way products alone have no place for two-way terms
        self.W *= 0.1
        self.W[:-1, -1, :] = to_user
        self.W[:-1, :, -1] = to_image
        self.W[:-1, -1, -1] = offset

    def _ended(self, x: Tensor) -> Tensor:
        return torch.cat([x[..., :-1], torch.ones_like(x[..., :1])], -1) if self.held else x

    def for_user(self, u: Tensor) -> Tensor:
        """W^(k) of eq. 4, the user's own bilinear model between tags and images: (B, D, F) of u (B, E)."""
        return torch.einsum("dfe,be->bdf", self.W, self._ended(u))

    def with_tags(self, f: Tensor, u: Tensor, h: Tensor) -> Tensor:
        """Scores (B, C) of pairs f (B, F), u (B, E) with each of the tags h (C, D)."""
        pairs = (self._ended(f)[:, :, None] * self._ended(u)[:, None, :]).flatten(1)
        return (pairs @ self.W.flatten(1).T) @ self._ended(h).T

    def with_images(self, h: Tensor, u: Tensor, f: Tensor) -> Tensor:
        """Scores (B, C) of pairs h (B, D), u (B, E) with each of the images f (C, F)."""
        return (self._of_tags(h) @ self._ended(u)[:, :, None])[:, :, 0] @ self._ended(f).T

    def with_users(self, f: Tensor, h: Tensor, u: Tensor) -> Tensor:
        """Scores (B, C) of pairs f (B, F), h (B, D) with each of the users u (C, E)."""
        return (self._ended(f)[:, None, :] @ self._of_tags(h))[:, 0] @ self._ended(u).T

    def _of_tags(self, h: Tensor) -> Tensor:
        return (self._ended(h) @ self.W.flatten(1)).view(-1, *self.W.shape[1:])


@remembered
class UserMLP(TripletModel):
    """The comparison of Table 2: a multi-layer perceptron on the three embeddings, side by side, with one
    layer of `hidden` rectified units; the paper does not give its size."""

    def __init__(self, features, n_tags, n_users, D, F, E, tag_vectors=None, hidden: int = 128):
        super().__init__(features, n_tags, n_users, D, F, E, tag_vectors)
        self.of_tag, self.of_image = nn.Linear(D, hidden), nn.Linear(F, hidden, bias=False)
        self.of_user, self.out = nn.Linear(E, hidden, bias=False), nn.Linear(hidden, 1, bias=False)
        for layer in (self.of_tag, self.of_image, self.of_user):
            nn.init.normal_(layer.weight)  # the embeddings have length about 1
        nn.init.normal_(self.out.weight, std=1 / math.sqrt(hidden))

    def with_tags(self, f: Tensor, u: Tensor, h: Tensor) -> Tensor:
        return self._combined(self.of_image(f) + self.of_user(u), self.of_tag(h))

    def with_images(self, h: Tensor, u: Tensor, f: Tensor) -> Tensor:
        return self._combined(self.of_tag(h) + self.of_user(u), self.of_image(f))

    def with_users(self, f: Tensor, h: Tensor, u: Tensor) -> Tensor:
        return self._combined(self.of_image(f) + self.of_tag(h), self.of_user(u))

    def _combined(self, pair: Tensor, third: Tensor) -> Tensor:
        return self.out(torch.relu(pair[:, None] + third[None]))[..., 0]


@remembered
class UserPairs(TripletModel):
    """Only two-way terms: s = hᵀ(A f + B u). The user moves the image's embedding and nothing else. It is the
    user-biased model of Denton et al. 2015 with a learnt vector for each user, and what the tensor model must
    beat to show that three-way products matter."""

    def __init__(self, features, n_tags, n_users, D, F, E, tag_vectors=None):
        super().__init__(features, n_tags, n_users, D, F, E, tag_vectors)
        self.A, self.B = nn.Linear(F, D), nn.Linear(E, D, bias=False)

    @torch.no_grad()
    def align(self, to_user: Tensor, to_image: Tensor, offset: Tensor) -> None:
        self.A.weight.copy_(to_image)
        self.A.bias.copy_(offset)
        self.B.weight.copy_(to_user)

    def with_tags(self, f: Tensor, u: Tensor, h: Tensor) -> Tensor:
        return (self.A(f) + self.B(u)) @ h.T

    def with_images(self, h: Tensor, u: Tensor, f: Tensor) -> Tensor:
        return (h * self.B(u)).sum(1)[:, None] + h @ self.A(f).T

    def with_users(self, f: Tensor, h: Tensor, u: Tensor) -> Tensor:
        return (h * self.A(f)).sum(1)[:, None] + h @ self.B(u).T


@remembered
class RankingLoss:
    """max(0, s(t⁻) − s(t⁺) + 1), summed over six negatives a positive and averaged over the batch.

    Three are "hard": tag, image or user is replaced by the one in the batch with the highest score (left out
    without `hard`, to see what they bring). Three are "intermediate": it is replaced by a random one. What
    gives a triplet of the training posts is no negative (t⁻ ∉ T), so it is never taken."""

    def __init__(self, posts: Posts, n_tags: int, n_users: int, device, hard: bool = True):
        self.known = torch.from_numpy(posts.keys(n_tags, n_users)).to(device)
        self.n_tags, self.n_users, self.hard = n_tags, n_users, hard

    def observed(self, batch: Tensor) -> Tensor:
        """bool (3, B, B): whether the replacement of `TripletModel.forward` gives an observed triplet."""
        image, tag, user = batch[:, :3].unbind(1)
        # what each adds to the key of a triplet (`Posts.keys`): one part leaves, another one's comes in
        part = torch.stack([tag, image * self.n_users * self.n_tags, user * self.n_tags])
        key = (part.sum(0) - part)[:, :, None] + part[:, None, :]
        place = torch.searchsorted(self.known, key).clamp_max(len(self.known) - 1)
        return self.known[place] == key

    def negatives(self, scores: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the batch replaces: int (6, B), hard then random, and bool (6, B), whether any can."""
        allowed = ~self.observed(batch)
        hardest = scores.detach().masked_fill(~allowed, -torch.inf).argmax(2)
        place = torch.arange(allowed[0].numel() * 3, dtype=torch.int32, device=batch.device).view(
            allowed.shape
        )
        draw = hashed(place, batch[:, 3].int()[:, None]).masked_fill(~allowed, -1).argmax(2)
        return torch.cat([hardest, draw]), allowed.any(2).repeat(2, 1)

    def __call__(self, scores: Tensor, batch: Tensor) -> Tensor:
        """The mean loss of a batch: scores (3, B, B) of its triplets int (B, 3)."""
        chosen, possible = self.negatives(scores, batch)
        possible[:3] &= self.hard
        negative = scores.repeat(2, 1, 1).gather(2, chosen[:, :, None])[:, :, 0]
        violation = torch.relu(negative - scores[0].diagonal() + MARGIN)
        return (violation * possible).sum() / scores.shape[1]


@remembered
class OverAllTags(nn.Module):
    """A triplet model as a softmax classifier: the user is known, the tag is the class (as eq. 1)."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch: Tensor) -> Tensor:
        """Scores (B, K) of all tags for the images and users of triplets int (B, 3)."""
        m, (image, _, user) = self.model, batch[:, :3].unbind(1)
        return m.with_tags(m.embed_images(image), m.embed_users(user), m.tag)


def learn(
    models: Sequence[TripletModel], posts: Sequence[Posts], recipes: Sequence[Recipe], seeds: Sequence[int],
    device, loss: str = "ranking", validate: Callable[[list[TripletModel]], Sequence[float]] | None = None,
) -> list[list[dict]]:  # fmt: skip
    """Train triplet models of one shape side by side, in place; the histories of `many.fit_many`.

    The loss is "ranking" (the paper), "random negatives" (without the three hard ones) or "softmax" (over all
    tags, given image and user). `validate` maps models to validation errors. BadInput for another loss, or a
    post of a user whom the model does not know."""
    if loss not in ("ranking", "random negatives", "softmax"):
        raise BadInput(f"loss is {loss!r}; choose ranking, random negatives or softmax")
    for model, some in zip(models, posts, strict=True):
        if len(some) == 0 or some.user.min() < 0 or some.user.max() >= model.n_users:
            raise BadInput(f"learn: needs at least one post, and users from 0 to {model.n_users - 1}")
    histories = [None] * len(models)
    networks, check = [OverAllTags(model) for model in models] if loss == "softmax" else models, validate
    if loss == "softmax" and validate is not None:
        check = lambda networks: validate([network.model for network in networks])  # noqa: E731
    # the ranking loss knows what was observed, so copies with other posts have another loss
    parts = {id(some): some for some in posts}
    for key, some in parts.items():
        if loss == "softmax":  # negative log-likelihood of the drawn tag, eq. 1 with the user in the score
            criterion = _likelihood
        else:
            size = models[0].n_tags, models[0].n_users
            criterion = RankingLoss(some, *size, device, loss == "ranking")
        mine = [k for k in range(len(models)) if id(posts[k]) == key]
        given = ([x[k] for k in mine] for x in (networks, posts))
        how = {"device": device, "validate": check}
        done = fit_many(*given, criterion, [recipes[k] for k in mine], [seeds[k] for k in mine], **how)
        for k, history in zip(mine, done, strict=True):
            histories[k] = history
    return histories


@known
def _likelihood(scores: Tensor, batch: Tensor) -> Tensor:
    return nn.functional.cross_entropy(scores, batch[:, 1])
