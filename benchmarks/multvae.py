"""One epoch of Mult-VAE, 20,000 users x 10,000 items: ours, the dense network in torch, cornac's VAECF.

    python -m benchmarks.multvae --repeats 3

All three have the same layers (items - 64 - 64 - 64 - items), batch, optimiser and threads.
"""

import torch
from cornac.models import VAECF
from torch import nn
from torch.nn import functional as F

from benchmarks import crowds
from benchmarks.common import compare, parser, report
from helpers.crowd import multvae
from helpers.crowd.filtering import to_csr

BATCH = 500


class Dense(nn.Module):
    """The network as it is usually written: a dense 0/1 matrix in, log-softmax over all items out."""

    def __init__(self, n_items: int, f: int = 64, latent: int = 64):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_items, f), nn.Tanh(), nn.Linear(f, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, f), nn.Tanh(), nn.Linear(f, n_items))

    def loss(self, x, beta):
        mean, log_variance = self.encoder(F.dropout(F.normalize(x), 0.5)).chunk(2, dim=1)
        logits = self.decoder(mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance))
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)
        return (beta * divergence - (F.log_softmax(logits, dim=1) * x).sum(1)).mean()


def with_dense(train, n_items):
    model = Dense(n_items)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    users = multvae.Users(train, torch.device("cpu"))
    for some in torch.randperm(len(train[0]) - 1).split(BATCH):
        items, offsets = users.batch(some)
        x = torch.zeros(len(some), n_items)
        x[torch.arange(len(some)).repeat_interleave(offsets.diff()), items] = 1
        loss = model.loss(x, 0.2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, users=20_000, items=10_000, views=40, threads=2).parse_args(arguments)
    n_users, n_items = options.users, options.items
    user, item = crowds.views(n_users, n_items, options.views)
    train, cpu = to_csr(user, item, n_users), torch.device("cpu")
    dataset = crowds.for_cornac(user, item)
    torch.set_num_threads(options.threads)  # after numba's parallel kernels, which set it to all cores
    runs = {
        "ours": lambda: multvae.fit(train, n_items, cpu, batch=BATCH, max_epochs=1),
        "dense torch": lambda: with_dense(train, n_items),
        "cornac": lambda: VAECF(
            k=64, autoencoder_structure=[64], n_epochs=1, batch_size=BATCH, learning_rate=1e-3, seed=1
        ).fit(dataset),
    }
    print(f"{len(item):,} views, {options.threads} threads")
    report("Mult-VAE, one epoch", compare(runs, options.repeats), options, 1.8)


if __name__ == "__main__":
    main()
