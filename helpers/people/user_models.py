"""Who tags: scores of (image, hashtag, user) triplets (Veit et al. 2018, section 3.2).

Three ways to combine the three embeddings: a full core tensor (the paper's model), a multi-layer perceptron
on their concatenation (the paper's comparison), and pairwise products only. All learn the embeddings of users
and hashtags and a linear map of frozen image features, by the ranking loss with six negatives (`learn`). A
fourth, which is of today, has no vector for a user: it attends to the tags that the user wrote.
"""

import math
from collections.abc import Callable, Sequence

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap

from helpers.errors import BadInput
from helpers.learn.again import known, remembered
from helpers.learn.many import fit_many, once
from helpers.learn.networks import hashed
from helpers.learn.train import Recipe
from helpers.people.posts import Posts
from helpers.words.bags import Bags

MARGIN = 1.0
LOSSES = {"ranking", "random negatives", "logistic", "softmax"}
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
        self.n_tags, self.n_users, self.E = n_tags, n_users, E
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
        E, F, bags = self.E, self.image.out_features, Bags(*posts.tags)
        row, tag = torch.from_numpy(bags.owner), torch.from_numpy(bags.indices.astype(np.int64))
        mean = torch.zeros(len(posts), h.shape[1]).index_add_(0, row, h[tag]) / row.bincount()[:, None]
        user, image = torch.from_numpy(posts.user), torch.from_numpy(posts.image)
        count = torch.bincount(user, minlength=self.n_users)[:, None]
        of_user = torch.zeros(self.n_users, h.shape[1]).index_add_(0, user, mean) / (count + 1)
        x, offset = self.features[image].to(h.device), mean.mean(0)
        penalty = RIDGE * len(x) / x.shape[1] * torch.eye(x.shape[1])
        slope = torch.linalg.solve(x.T @ x + penalty, x.T @ (mean - offset))
        self.image.bias.zero_()
        users, to_user = _directions(of_user, E, self.held)
        maps, to_image = _directions(slope, F, self.held)
        if self.user is not None:
            self.user.copy_(users)
        self.image.weight[: F - self.held] = maps.T[: F - self.held]
        self.align(to_user, to_image, offset)

    def read(self, posts: Posts) -> None:
        """Take in who wrote what, without any other start: nothing, but for models that look it up."""

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
        return torch.stack(self.replaced(self.embed_images(image), self.tag[tag], self.embed_users(user)))

    def replaced(self, f: Tensor, h: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three parts of `forward`, each (B, B), from the embeddings of B triplets."""
        return self.with_tags(f, u, h), self.with_images(h, u, f), self.with_users(f, h, u)

    def all_tags(self, image: Tensor, user: Tensor) -> Tensor:
        """Scores (B, K) of all tags for image rows and users, both int (B,)."""
        return self.with_tags(self.embed_images(image), self.embed_users(user), self.tag)

    @torch.inference_mode()
    def tag_scores(self, image: np.ndarray, user: np.ndarray) -> np.ndarray:
        """s(t; W) of every hashtag for pairs of image row and user (eq. 6): float32 (Q, K)."""
        pairs = zip(*(self._rows(x).split(128) for x in (image, user)), strict=True)
        return torch.cat([self.all_tags(*pair).float().cpu() for pair in pairs]).numpy()

    def scores(self, posts: Posts) -> np.ndarray:
        """`tag_scores` of the images and users of posts, for `posts.hits`."""
        return self.tag_scores(posts.image, posts.user)

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

    def replaced(self, f: Tensor, h: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        f, u, of_tags = self._ended(f), self._ended(u), self._of_tags(h)  # W is met once
        pairs = (f[:, :, None] * u[:, None, :]).flatten(1)
        with_images = (of_tags @ u[:, :, None])[:, :, 0] @ f.T
        return pairs @ of_tags.flatten(1).T, with_images, (f[:, None, :] @ of_tags)[:, 0] @ u.T

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

    @torch.no_grad()
    def align(self, to_user: Tensor, to_image: Tensor, offset: Tensor) -> None:
        """A product of rectified sums: |a + b| − |a − b| has the sign of a · b and grows with both. So along
        each of the directions in which tags differ most, a being a tag's part and b that of what it should
        meet, four units begin at ±(a + b) and ±(a − b)."""
        f = self.image(self.features.to(self.tag.device))
        axes = torch.linalg.svd(self.tag - self.tag.mean(0), full_matrices=False)[2]
        axes = axes[: self.out.in_features // 4].contiguous()
        n = len(axes)
        spread = (self.user @ to_user.T @ axes.T).var(0) + (f @ to_image.T @ axes.T).var(0)
        scale = (self.tag @ axes.T).std(0) / spread.sqrt().clamp_min(1e-6)
        meet, sides = scale[:, None] * axes, torch.tensor([1.0, -1.0, -1.0, 1.0])
        for part, weight in ((self.of_image, to_image), (self.of_user, to_user)):
            part.weight[: 4 * n] = torch.kron(sides[:, None], meet @ weight)
        self.of_tag.weight[: 4 * n] = torch.kron(torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None], axes)
        self.of_tag.bias.zero_()
        self.of_tag.bias[: 4 * n] = torch.kron(sides, meet @ offset)
        self.out.weight *= 0.1
        self.out.weight[0, : 4 * n] = torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat_interleave(n)

    def with_tags(self, f: Tensor, u: Tensor, h: Tensor) -> Tensor:
        return self._combined(self.of_image(f) + self.of_user(u), self.of_tag(h))

    def with_images(self, h: Tensor, u: Tensor, f: Tensor) -> Tensor:
        return self._combined(self.of_tag(h) + self.of_user(u), self.of_image(f))

    def with_users(self, f: Tensor, h: Tensor, u: Tensor) -> Tensor:
        return self._combined(self.of_image(f) + self.of_tag(h), self.of_user(u))

    def _combined(self, pair: Tensor, third: Tensor) -> Tensor:
        if pair.device.type != "cpu":
            return self.out((pair[:, None] + third[None]).relu_())[..., 0]
        return RectifiedSums.apply(pair, third, self.out.weight[0])


SUMS = {"reassoc", "contract", "nsz"}  # what the compiler may change to sum side by side; NaN stays NaN


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _rectified(a, c, o):
    """Σ_h o_h · max(0, a_bh + c_kh) of N copies: float (N, B, K) of (N, B, H), (N, K, H), (N, H)."""
    found = np.empty((len(a), a.shape[1], c.shape[1]), a.dtype)
    zero = np.zeros(1, a.dtype)[0]  # of their kind: a plain 0 would make everything twice as wide
    for n in range(len(a)):
        for b in range(a.shape[1]):
            for k in range(c.shape[1]):
                total = zero
                for h in range(o.shape[1]):
                    x = a[n, b, h] + c[n, k, h]
                    total += o[n, h] * (zero if x <= zero else x)
                found[n, b, k] = total
    return found


@numba.njit(nogil=True, cache=True, fastmath=SUMS)
def _rectified_back(a, c, o, gradient):
    """The gradients of `_rectified` for a, c and o, given that for its result, float (N, B, K)."""
    to_a, to_c, to_o = np.zeros_like(a), np.zeros_like(c), np.zeros_like(o)
    zero = np.zeros(1, a.dtype)[0]
    for n in range(len(a)):
        for b in range(a.shape[1]):
            for k in range(c.shape[1]):
                g = gradient[n, b, k]
                if g == zero:  # as for most combinations under a ranking loss
                    continue
                for h in range(o.shape[1]):
                    x = a[n, b, h] + c[n, k, h]
                    on = zero if x <= zero else g
                    to_a[n, b, h] += on
                    to_c[n, k, h] += on
                    to_o[n, h] += on * x
        to_a[n] *= o[n]
        to_c[n] *= o[n]
    return to_a, to_c, to_o


class RectifiedSums(torch.autograd.Function):
    """Σ_h o_h · max(0, a_bh + c_kh): float (…, B, K) of a (…, B, H), c (…, K, H) and o (…, H).

    The perceptron's hidden layer for all combinations has B · K · H numbers, too many for a processor's
    cache. Here none of them is stored, forward and, computed again, backward."""

    @staticmethod
    def forward(a: Tensor, c: Tensor, o: Tensor) -> Tensor:
        found = _rectified(*_arrays((a, 2), (c, 2), (o, 1)))
        return torch.from_numpy(found).view(*a.shape[:-1], c.shape[-2])

    @staticmethod
    def setup_context(context, inputs, output) -> None:
        context.save_for_backward(*inputs)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, c, o = context.saved_tensors
        found = _rectified_back(*_arrays((a, 2), (c, 2), (o, 1), (gradient, 2)))
        return tuple(torch.from_numpy(x).view(y.shape) for x, y in zip(found, (a, c, o), strict=True))

    @staticmethod
    def vmap(info, in_dims, a, c, o):
        parts = [
            x.expand(info.batch_size, *x.shape) if d is None else x.movedim(d, 0)
            for x, d in zip((a, c, o), in_dims, strict=True)
        ]
        return RectifiedSums.apply(*parts), 0


def _arrays(*parts: tuple[Tensor, int]) -> list[np.ndarray]:
    """Tensors, each with the number of its own axes, as arrays with one axis for all others before them."""
    return [x.detach().reshape(-1, *x.shape[-k:]).contiguous().numpy() for x, k in parts]


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
class UserAttention(TripletModel):
    """Two towers with attention, as today's recommenders have them (DIN, Zhou et al. 2018, arXiv 1706.06978,
    and the many after it): s = hᵀ(A f + B Σ_l α_l h_l). A user is what they wrote: the embeddings h_l of at
    most `past` of their training tags, drawn at random, each as often as written. What the image asks for
    says which of them matter, α = softmax over l of (Q f)ᵀ(P h_l) / √E, beside one more place with score and
    value 0.

    Tags of the very post that is asked about are not looked at, else training would only learn to copy them.
    `begin` or `read` must be called, to look up who wrote what. Scores of all tags only, for the loss
    "softmax"."""

    def __init__(self, features, n_tags, n_users, D, F, E, tag_vectors=None, past: int = 32):
        super().__init__(features, n_tags, n_users, D, F, E, tag_vectors)
        self.user = None
        self.A, self.B = nn.Linear(F, D), nn.Linear(D, D, bias=False)
        self.Q, self.P = nn.Linear(F, E, bias=False), nn.Linear(D, E, bias=False)
        # tags and images of the past; the last row is for users without one
        self.register_buffer("wrote", torch.full((n_users + 1, past), -1), persistent=False)
        self.register_buffer("at", torch.full((n_users + 1, past), -1), persistent=False)

    @torch.no_grad()
    def begin(self, posts: Posts) -> None:
        """As in other models, after `read`."""
        super().begin(posts)
        self.read(posts)

    @torch.no_grad()
    def read(self, posts: Posts) -> None:
        """Look up the past of each user; the draw of whose past is longer is the same every time."""
        post, tag = Bags(*posts.tags).owner, posts.tags[1]
        order = np.lexsort((np.random.default_rng(0).permutation(len(post)), posts.user[post]))
        user = posts.user[post][order]
        rank = np.arange(len(user)) - np.searchsorted(user, user)
        kept = rank < self.wrote.shape[1]
        place = torch.from_numpy(user[kept]), torch.from_numpy(rank[kept])
        self.wrote[place] = torch.from_numpy(tag[order][kept].astype(np.int64))
        self.at[place] = torch.from_numpy(posts.image[post][order][kept].astype(np.int64))

    @torch.no_grad()
    def align(self, to_user: Tensor, to_image: Tensor, offset: Tensor) -> None:
        self.A.weight.copy_(to_image)
        self.A.bias.copy_(offset)
        self.B.weight.copy_(torch.eye(len(offset)))

    def all_tags(self, image: Tensor, user: Tensor) -> Tensor:
        row, f = torch.where(user < 0, self.n_users, user), self.embed_images(image)
        tag = self.wrote[row]
        h, hidden = self.tag[tag.clamp_min(0)], (tag < 0) | (self.at[row] == image[:, None])
        ask = (self.P(h) @ self.Q(f)[:, :, None])[:, :, 0] / math.sqrt(self.E)
        ask = torch.cat([ask.masked_fill(hidden, -torch.inf), torch.zeros_like(ask[:, :1])], 1)
        past = (ask.softmax(1)[:, None, :-1] @ h)[:, 0]
        return (self.A(f) + self.B(past)) @ self.tag.T


@numba.njit(cache=True, inline="always")
def _mark(key, n):
    """The place of a key among n = 2^k ≤ 2³² marks: bits of a product that depend on all of the key's."""
    return (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & np.uint64(n - 1)


@numba.njit(cache=True)
def marks(known):
    """bool (16 n to 32 n,): the places where one of n > 0 keys int64 falls."""
    marked = np.zeros(2 ** int(np.log2(len(known)) + 5), np.bool_)
    for key in known:
        marked[_mark(key, len(marked))] = True
    return marked


@numba.njit(nogil=True, cache=True)
def among(part, known, marked):
    """Which sums part[n, 0, b] + … + part[n, A−1, b] are known where c's part takes the place of b's: bool
    (N, A, B, B), by n, part, b and c, for parts int64 (N, A, B), known int64, sorted, and its `marks`. Few
    are, so a mark that is not there answers for nearly all; to search for each takes ten times as long."""
    N, A, B = part.shape
    found = np.zeros((N, A, B, B), np.bool_)
    for n in range(N):
        for a in range(A):
            for b in range(B):
                rest = part[n, :, b].sum() - part[n, a, b]
                for c in range(B):
                    key = rest + part[n, a, c]
                    if marked[_mark(key, len(marked))]:
                        place = np.searchsorted(known, key)
                        found[n, a, b, c] = place < len(known) and known[place] == key
    return found


@remembered
class RankingLoss:
    """max(0, s(t⁻) − s(t⁺) + 1), summed over six negatives a positive and averaged over the batch.

    Three are "hard": tag, image or user is replaced by the one in the batch with the highest score (without
    `hard` by a random one, to see what they bring). Three are "intermediate": it is replaced by a random one.
    What gives a triplet of the training posts is no negative (t⁻ ∉ T), so it is never taken. With `logistic`
    each triplet has a logistic loss of its own instead, which the paper found less suited; the positive one
    counts as often as it has negatives."""

    def __init__(self, posts: Posts, n_tags: int, n_users: int, device, hard=True, logistic=False):
        known = posts.keys(n_tags, n_users)
        self.known, self.marked = torch.from_numpy(known).to(device), marks(known)
        self.n_tags, self.n_users, self.hard, self.logistic = n_tags, n_users, hard, logistic

    def observed(self, batch: Tensor) -> Tensor:
        """bool (…, 3, B, B): whether the replacement of `TripletModel.forward` gives an observed triplet; for
        a batch int (…, B, 3 or more)."""
        image, tag, user = batch[..., :3].unbind(-1)
        # what each adds to the key of a triplet (`Posts.keys`): one part leaves, another one's comes in
        part = torch.stack([tag, image * self.n_users * self.n_tags, user * self.n_tags], -2)
        if part.is_cpu:
            found = among(part.view(-1, *part.shape[-2:]).numpy(), self.known.numpy(), self.marked)
            return torch.from_numpy(found).view(*part.shape, -1)
        key = (part.sum(-2, keepdim=True) - part)[..., :, None] + part[..., None, :]
        place = torch.searchsorted(self.known, key).clamp_max(len(self.known) - 1)
        return self.known[place] == key

    def negatives(self, scores: Tensor, batch: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the batch replaces: int (6, B), hard then random, and bool (6, B), whether any can."""
        place = torch.arange(scores.numel(), dtype=torch.int32, device=batch.device).view(scores.shape)

        def draw(place: Tensor) -> Tensor:
            return hashed(place, batch[:, 3].int()[:, None]).masked_fill(observed, -1).argmax(2)

        if self.hard:
            first = scores.detach().masked_fill(observed, -torch.inf).argmax(2)
        else:
            first = draw(place + place.numel())
        return torch.cat([first, draw(place)]), ~observed.all(2).repeat(2, 1)

    def __call__(self, scores: Tensor, batch: Tensor) -> Tensor:
        """The mean loss of a batch: scores (3, B, B) of its triplets int (B, 4)."""
        return self._mean(scores, batch, self.observed(batch))

    def many(self, scores: Tensor, batch: Tensor) -> Tensor:
        """The mean losses (C,) of C copies: what was observed is looked up outside of `vmap`."""
        batch, axis = once(batch)
        return vmap(self._mean, in_dims=(0, axis, axis))(scores, batch, self.observed(batch))

    def _mean(self, scores: Tensor, batch: Tensor, observed: Tensor) -> Tensor:
        chosen, possible = self.negatives(scores, batch, observed)
        negative, positive = (
            scores.repeat(2, 1, 1).gather(2, chosen[:, :, None])[:, :, 0],
            scores[0].diagonal(),
        )
        if self.logistic:
            each = nn.functional.softplus(negative) + nn.functional.softplus(-positive)
        else:
            each = torch.relu(negative - positive + MARGIN)
        return (each * possible).sum() / scores.shape[1]


@remembered
class OverAllTags(nn.Module):
    """A triplet model as a softmax classifier: the user is known, the tag is the class (as eq. 1)."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch: Tensor) -> Tensor:
        """Scores (B, K) of all tags for the images and users of triplets int (B, 3)."""
        return self.model.all_tags(batch[:, 0], batch[:, 2])


def learn(
    models: Sequence[TripletModel], posts: Sequence[Posts], recipes: Sequence[Recipe], seeds: Sequence[int],
    device, losses: Sequence[str], validate: Callable[[list[TripletModel]], Sequence[float]] | None = None,
) -> list[list[dict]]:  # fmt: skip
    """Train triplet models side by side, in place; the histories of `many.fit_many`, one a model.

    A loss is one of `LOSSES`: "ranking" (the paper), "random negatives" (six random ones), "logistic" (of
    each triplet) or "softmax" (over all tags, given image and user). `validate` maps models to validation
    errors. BadInput for another loss, or a post of a user whom the model does not know."""
    if other := set(losses) - LOSSES:
        raise BadInput(f"loss is {other.pop()!r}; choose one of {', '.join(sorted(LOSSES))}")
    parts: dict[tuple, list[int]] = {}  # models of one loss, which knows what was observed, and one feature
    for k, (model, some) in enumerate(zip(models, posts, strict=True)):
        if len(some) == 0 or some.user.min() < 0 or some.user.max() >= model.n_users:
            raise BadInput(f"learn: needs at least one post, and users from 0 to {model.n_users - 1}")
        parts.setdefault((id(some), model.n_users, losses[k], model.features.data_ptr()), []).append(k)
    histories = [None] * len(models)
    for (_, n_users, loss, _), mine in parts.items():
        networks, check, criterion = [models[k] for k in mine], validate, _likelihood
        if loss == "softmax":  # negative log-likelihood of the drawn tag, eq. 1 with the user in the score
            networks = [OverAllTags(model) for model in networks]
            check = validate and (lambda networks: validate([network.model for network in networks]))
        else:
            how = {"hard": loss != "random negatives", "logistic": loss == "logistic"}
            criterion = RankingLoss(posts[mine[0]], networks[0].n_tags, n_users, device, **how)
        some, how, numbers = ([x[k] for k in mine] for x in (posts, recipes, seeds))
        done = fit_many(networks, some, criterion, how, numbers, device=device, validate=check)
        for k, history in zip(mine, done, strict=True):
            histories[k] = history
    return histories


@known
def _likelihood(scores: Tensor, batch: Tensor) -> Tensor:
    return nn.functional.cross_entropy(scores, batch[:, 1])
