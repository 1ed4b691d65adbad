"""Mult-VAE (Liang et al. 2018) with item biases, whose last decoder layer is the item matrix Q.

Encoder: items -> f (tanh) -> mean and log-variance of `latent` numbers. Decoder: latent -> f (tanh) ->
items, with weight Q [M, f] and a bias per item. The two sides mirror each other, as in the Cornac
implementation that Bibas et al. (2022) used; f = 64 is theirs, "the last layer of the decoder serves as
the item embedding matrix Q".
"""

import copy
import threading
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.errors import BadInput
from helpers.measures.ranking import Scorer

_BUILDING = threading.Lock()  # of torch's own random stream, which first weights are drawn from


class MultVAE(nn.Module):
    """The network. A user is a list of items; nothing of size users × items is ever an input.

    f is the width of the hidden layers, hence of the item vectors Q; `latent` numbers describe a user; while
    training, a share of a user's items is hidden by dropout; without bias the items' biases stay 0."""

    def __init__(
        self, n_items: int, f: int = 64, latent: int = 64, dropout: float = 0.5, with_bias: bool = True
    ):
        super().__init__()
        self.items = nn.EmbeddingBag(n_items, f, mode="sum", include_last_offset=True)
        self.items_bias = nn.Parameter(torch.zeros(f))
        self.moments, self.hidden = nn.Linear(f, 2 * latent), nn.Linear(latent, f)
        self.decoder = nn.Linear(f, n_items)
        self.dropout, self.draws = dropout, None  # `draws`: the generator of dropout; None is torch's own
        nn.init.xavier_normal_(self.items.weight)
        for layer in (self.moments, self.hidden, self.decoder):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.decoder.bias.requires_grad_(with_bias)

    @property
    def Q(self) -> Tensor:
        """float32[M, f]: the item matrix, weight of the decoder's last layer."""
        return self.decoder.weight

    def encode(self, items: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance float32[B, latent] of users given as items int64[n] and offsets int64[B+1].

        The input of a user with n items is 1/√n at each of them: the 0/1 row divided by its length."""
        counts = offsets.diff()
        weight = counts.clamp(min=1).float().rsqrt().repeat_interleave(counts, output_size=len(items))
        if self.training:
            kept = torch.empty_like(weight).bernoulli_(1 - self.dropout, generator=self.draws)
            weight = weight * kept / (1 - self.dropout)
        h = torch.tanh(self.items(items, offsets, per_sample_weights=weight) + self.items_bias)
        return self.moments(h).chunk(2, dim=1)

    def decode(self, z: Tensor) -> Tensor:
        """float32[B, f]: the decoder's last hidden layer; the logits of the items are h Qᵀ + bias."""
        return torch.tanh(self.hidden(z))

    def forward(self, items: Tensor, offsets: Tensor) -> Tensor:
        """float32[B, M]: logits from the mean of the latent distribution, for ranking."""
        return self.decoder(self.decode(self.encode(items, offsets)[0]))

    def loss(self, items: Tensor, offsets: Tensor, beta: float, noise: Tensor) -> Tensor:
        """Mean over users of −Σ_{i∈u} log softmax(logits)_i + β KL(q(z|u) ‖ N(0, 1)).

        The sum over a user's items is gathered: h·Σ Q_i + Σ b_i needs only the rows of those items, and the
        dense matrix of logits is used once, inside logsumexp. Items and offsets as for `encode`; the noise is
        standard normal, float32[B, latent]."""
        mean, log_variance = self.encode(items, offsets)
        h = self.decode(mean + noise * torch.exp(0.5 * log_variance))
        how = {"mode": "sum", "include_last_offset": True}
        of_items = F.embedding_bag(items, self.Q, offsets, **how)
        biases = F.embedding_bag(items, self.decoder.bias[:, None], offsets, **how)
        gathered = (h * of_items).sum(dim=1) + biases[:, 0]
        likelihood = gathered - offsets.diff() * torch.logsumexp(self.decoder(h), dim=1)
        divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(dim=1)
        return (beta * divergence - likelihood).mean()


class Users:
    """Users' items on a device, from which batches are cut without a loop over users."""

    def __init__(self, train: tuple[np.ndarray, np.ndarray], device: torch.device):
        self.size = torch.as_tensor(np.diff(train[0]))  # on the CPU: a GPU would be waited for
        self.indptr = torch.as_tensor(train[0], dtype=torch.int64, device=device)
        self.items = torch.as_tensor(train[1], dtype=torch.int64, device=device)

    def batch(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """items int64[n] and offsets int64[B+1] of the given users int64[B], a tensor on the CPU."""
        n, users = int(self.size[users].sum()), users.to(self.items.device, non_blocking=True)
        first, counts = self.indptr[users], self.indptr[users + 1] - self.indptr[users]
        offsets = F.pad(counts.cumsum(0), (1, 0))
        at = torch.arange(n, device=users.device)
        at += (first - offsets[:-1]).repeat_interleave(counts, output_size=n)
        return self.items[at], offsets


def scorer(model: MultVAE, train: tuple[np.ndarray, np.ndarray], device: torch.device) -> Scorer:
    """Scores of all items for users, from their training items, with dropout and noise off."""
    users = Users(train, device)

    def scores(some: np.ndarray) -> np.ndarray:
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            result = model(*users.batch(torch.as_tensor(some))).cpu().numpy()
        model.train(was_training)
        return result

    return scores


def fit(
    train: tuple[np.ndarray, np.ndarray], n_items: int, device: torch.device, beta: float = 0.2,
    learning_rate: float = 1e-3, batch: int = 500, max_epochs: int = 100, seed: int = 0,
    validate: Callable[[Scorer], float] | None = None, every: int = 5, patience: int = 2, decay: float = 0.0,
    horizon: int | None = None, **network,
) -> tuple[MultVAE, list[dict]]:  # fmt: skip
    """Train a Mult-VAE with fused AdamW, whose weight decay is `decay`; β rises in a straight line from 0 to
    `beta` over half of the steps: of `max_epochs`, or of `horizon` epochs, to repeat the start of a longer
    training.

    Train, validate, every and patience as for `bpr.fit_bpr`; users without items are skipped; `network` are
    options of `MultVAE`. Returns (model on `device`, history), the history with "epoch", "loss" and, when
    asked, "validation". The same seed gives the same result on one machine's CPU. Raises BadInput for no
    interactions, an item outside 0..M-1, or a loss that is not finite.
    Source: Liang et al. 2018 (loss, annealing); Bibas et al. 2022, section 4.1.3 (Q, bias)."""
    indptr, indices = train
    if len(indices) == 0 or indices.max() >= n_items or indices.min() < 0:
        raise BadInput(f"multvae.fit: needs interactions with items from 0 to {n_items - 1}")
    # weights, orders and noise are drawn on the CPU: the same on every device
    draws = torch.Generator().manual_seed(seed)
    with _BUILDING, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model = MultVAE(n_items, **network).to(device)
    model.draws = torch.Generator(device).manual_seed(seed)
    users, known = Users(train, device), torch.as_tensor(np.flatnonzero(np.diff(indptr)))
    score = scorer(model, train, device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=decay, fused=True)
    steps, total = 0, (horizon or max_epochs) * -(-len(known) // batch)
    best, highest, worse, history = None, -np.inf, 0, []
    for epoch in range(1, max_epochs + 1):
        losses = []
        for some in known[torch.randperm(len(known), generator=draws)].split(batch):
            noise = torch.randn(len(some), model.hidden.in_features, generator=draws)
            noise = noise.to(device, non_blocking=True)
            loss = model.loss(*users.batch(some), beta * min(1.0, 2 * steps / total), noise)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
            steps += 1
        row = {"epoch": epoch, "loss": float(torch.stack(losses).mean())}
        history.append(row)
        if not np.isfinite(row["loss"]):
            raise BadInput(f"multvae.fit: loss {row['loss']} in epoch {epoch}; lower learning_rate")
        if validate is None or (epoch % every and epoch != max_epochs):
            continue
        row["validation"] = validate(score)
        worse += 1
        if row["validation"] > highest:
            highest, worse, best = row["validation"], 0, copy.deepcopy(model.state_dict())
        if worse and worse >= patience:
            break
    if best is not None:
        model.load_state_dict(best)
    return model.eval(), history
