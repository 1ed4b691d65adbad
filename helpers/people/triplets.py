"""Learning from triplets (image, hashtag, user): the ranking loss with six negatives of Veit et al. 2018."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.train import Recipe, fit
from helpers.people.posts import Posts

MARGIN = 1.0


class RankingLoss:
    """max(0, s(t⁻) − s(t⁺) + 1), summed over six negatives a positive and averaged over the batch.

    Three are "hard": tag, image or user is replaced by the one in the batch with the highest score. Three are
    "intermediate": it is replaced by a random one. A replacement that gives an observed triplet is no
    negative (t⁻ ∉ T), so it is never taken.

    Args:
        posts: the training posts, for T.
        n_tags, n_users: K and U.
        hard: False leaves the three hard negatives out, to see what they bring.
    """

    def __init__(self, posts: Posts, n_tags: int, n_users: int, device, hard: bool = True):
        self.known = torch.from_numpy(posts.keys(n_tags, n_users)).to(device)
        self.n_tags, self.n_users, self.hard = n_tags, n_users, hard

    def observed(self, batch: Tensor) -> Tensor:
        """bool (3, B, B): whether the replacement of `TripletModel.forward` gives an observed triplet."""
        image, tag, user = batch.unbind(1)
        b, c = (slice(None), None), (None, slice(None))
        pair = torch.stack([
            (image[b] * self.n_users + user[b]) * self.n_tags + tag[c],
            (image[c] * self.n_users + user[b]) * self.n_tags + tag[b],
            (image[b] * self.n_users + user[c]) * self.n_tags + tag[b],
        ])  # fmt: skip
        place = torch.searchsorted(self.known, pair).clamp_max(len(self.known) - 1)
        return self.known[place] == pair

    def negatives(self, scores: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the batch replaces: int (6, B), hard then random, and bool (6, B), whether any can."""
        allowed = ~self.observed(batch)
        hardest = scores.detach().masked_fill(~allowed, -torch.inf).argmax(2)
        draw = torch.rand(allowed.shape).to(scores.device).masked_fill(~allowed, -1).argmax(2)
        return torch.cat([hardest, draw]), allowed.any(2).repeat(2, 1)

    def __call__(self, scores: Tensor, batch: Tensor) -> Tensor:
        """The mean loss of a batch: scores (3, B, B) of its triplets int (B, 3)."""
        chosen, possible = self.negatives(scores, batch)
        if not self.hard:
            possible = possible & (torch.arange(6, device=scores.device) >= 3)[:, None]
        negative = scores.repeat(2, 1, 1).gather(2, chosen[:, :, None])[:, :, 0]
        violation = torch.relu(negative - scores[0].diagonal() + MARGIN)
        return (violation * possible).sum() / scores.shape[1]


class OverAllTags(nn.Module):
    """A triplet model as a softmax classifier: the user is known, the tag is the class (as eq. 1)."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch: Tensor) -> Tensor:
        """Scores (B, K) of all tags for the images and users of triplets int (B, 3)."""
        m, (image, _, user) = self.model, batch.unbind(1)
        return m.with_tags(m.embed_images(image), m.embed_users(user), m.tag)


def learn(
    model, posts: Posts, recipe: Recipe, seed: int, device, loss: str = "ranking",
    validate: Callable[[object], float] | None = None,
) -> list[dict]:  # fmt: skip
    """Train a triplet model in place with `helpers.learn.train.fit`; its history.

    Args:
        loss: "ranking" (the paper), "random negatives" (without the three hard ones) or "softmax" (over all
            tags, given image and user).
        validate: model -> a number to be minimised on validation posts; the best epoch's weights are kept.

    Raises:
        BadInput: an unknown loss, or a post of a user whom the model does not know.
    """
    if loss not in ("ranking", "random negatives", "softmax"):
        raise BadInput(f"loss is {loss!r}; choose ranking, random negatives or softmax")
    if len(posts) == 0 or posts.user.min() < 0 or posts.user.max() >= model.n_users:
        raise BadInput(f"learn: needs at least one post, and users from 0 to {model.n_users - 1}")
    network, criterion = model, RankingLoss(posts, model.n_tags, model.n_users, device, loss == "ranking")
    if loss == "softmax":  # negative log-likelihood of the drawn tag, eq. 1 with the user in the score
        network = OverAllTags(model)
        criterion = lambda scores, batch: nn.functional.cross_entropy(scores, batch[:, 1])  # noqa: E731
    return fit(
        network, posts, criterion, recipe, device=device, seed=seed, log=lambda line: None,
        validate=None if validate is None else lambda _: validate(model),
    )  # fmt: skip
