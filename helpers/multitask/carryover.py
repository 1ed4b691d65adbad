"""The methods of Bibas et al. 2022, trained and chosen with the same budget and the same steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.learn.examples import Pictures, Vectors
from helpers.learn.many import fit_many
from helpers.learn.train import Recipe, fit
from helpers.measures.metrics import mean_average_precision
from helpers.measures.search import Found, Space, search
from helpers.multitask.heads import Blocks, Targets, TwoHeads, capped, objective, stretched

METHODS = ("image-only", "sequential", "contrastive", "uniform", "interaction", "loss")
# who reads which parameter
OWN = {"alpha": METHODS[2:], "quantile": METHODS[4:], "tau": METHODS[2:3], "head": METHODS[1:]}
OWN |= {"form": ("sequential", *METHODS[3:]), "bias": ("sequential", *METHODS[3:]), "clip": METHODS[4:]}
LIMITS = {
    "lr": (1e-6, 1.0), "dropout": (0.0, 0.9), "hidden": (8, 4096), "decay": (0.0, 10.0),
    "alpha": (0.0, 1e4), "quantile": (0.05, 1.0), "tau": (0.0, 100.0),
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What is chosen on validation."""

    lr: float
    dropout: float  # of the shared layer
    alpha: float = 1.0  # weight of the second task
    quantile: float = 1.0  # Ω is this quantile of the confidence ω
    tau: float = 1.0  # margin of the triplet loss
    hidden: int = 128  # units of the shared layer
    decay: float = 0.01  # weight decay
    form: str = "exp"  # of the second task's loss, see `heads.reconstruction`
    head: int = 0  # units of a layer in the head of the vectors; 0: it is linear
    bias: int = 0  # 1: the item's bias is guessed beside its vector, as the published program may
    clip: int = 0  # 1: ω is clipped to its quartiles (`heads.stretched`), as there; `quantile` is not read
    omega: str = ""  # which confidence of `Study.omega`; empty: that with the method's name, if there is one


@dataclass(frozen=True)
class Job:
    """One training: a method of `METHODS` with a setting, from a seed."""

    method: str
    setting: Setting
    seed: int
    labelled: np.ndarray | None = None  # bool (n,), whose labels may be used; None: those of the study


@dataclass(frozen=True)
class Study:
    """One data set and everything that the methods share."""

    examples: Callable[[Tensor], Pictures | Vectors]  # of the training items, from `Targets.packed`
    targets: Targets  # of the training items
    omega: Mapping[str, np.ndarray]  # name -> confidence of each training item's CF vector, float (n,)
    network: Callable[[Setting], TwoHeads]  # a new one, drawn from torch's global generator
    held: Callable[[list[nn.Module]], np.ndarray]  # C networks -> logits float32 (C, m, N), validation items
    truth: np.ndarray  # bool (m, N), their labels
    recipe: Recipe  # how to train; `lr` and `weight_decay` are replaced by a setting's
    device: torch.device

    def validate(self, networks: list[nn.Module]) -> list[float]:
        """1 − mAP on validation of each network, what is minimised; inf where a logit is not finite."""
        logits = self.held(networks)
        usable = np.isfinite(logits).all(axis=(1, 2))
        errors = np.full(len(networks), np.inf)
        if usable.any():  # the classes of all networks side by side
            columns = np.concatenate(list(logits[usable]), axis=1)
            each = mean_average_precision(np.tile(self.truth, (1, usable.sum())), columns).each
            errors[usable] = 1 - each.reshape(usable.sum(), -1).mean(axis=1)
        return errors.tolist()

    def learn(self, jobs: Sequence[Job]) -> list[tuple[TwoHeads, float]]:
        """Train at once: of each job the network of its best epoch on validation, and that mAP (−inf if the
        training failed). Jobs that are the same share one training. BadInput for a method that is unknown."""
        keys = [(job.method, job.setting, job.seed, id(job.labelled)) for job in jobs]
        if len(once := dict(zip(keys, jobs, strict=True))) < len(jobs):
            made = dict(zip(once, self.learn(list(once.values())), strict=True))
            return [made[key] for key in keys]
        networks, last = [], [None] * len(jobs)
        for job in jobs:
            if job.method not in METHODS:
                raise BadInput(f"method {job.method!r} is unknown; choose one of {', '.join(METHODS)}")
            torch.manual_seed(job.seed)
            networks.append(self.network(job.setting))
        first = [k for k, job in enumerate(jobs) if job.method == "sequential"]
        plain = replace(self, targets=replace(self.targets, labelled=np.ones(len(self.targets.labels), bool)))
        plain._fit([networks[k] for k in first], [jobs[k] for k in first], alone=True)
        for contrastive in (False, True):
            some = [k for k, job in enumerate(jobs) if (job.method == "contrastive") == contrastive]
            for k, history in zip(
                some, self._fit([networks[k] for k in some], [jobs[k] for k in some]), strict=True
            ):
                last[k] = history
        known = [[row["validation"] for row in history if row["validation"] is not None] for history in last]
        return [(network, 1 - min(errors)) for network, errors in zip(networks, known, strict=True)]

    def _fit(self, networks: list[TwoHeads], jobs: list[Job], alone: bool = False) -> list[list[dict]]:
        """One phase of jobs that share a loss; `alone`: the second task without labels, not validated."""
        if not jobs:
            return []
        contrastive, made, recipes = jobs[0].method == "contrastive", [], []
        nearest = self.targets.nearest if contrastive else None
        for job in jobs:
            known = self.targets.labelled if alone or job.labelled is None else job.labelled
            labelled, two_tasks = np.flatnonzero(known), alone or job.method in OWN["alpha"]
            omega = self.omega.get(job.setting.omega or job.method)
            if omega is not None:
                clipped = job.setting.clip
                omega = capped(stretched(omega), 1.0) if clipped else capped(omega, job.setting.quantile)
            alpha = 1.0 if alone else job.setting.alpha if two_tasks else 0.0
            targets = replace(self._targets(job.setting), labelled=known)
            packed = targets.packed(omega, alpha, job.setting.tau, main=not alone)
            companions = two_tasks and len(labelled) < len(packed)
            made.append(Blocks(self.examples(packed), labelled, companions, nearest))
            budget = self._budget(len(labelled))
            recipes.append(replace(budget, lr=job.setting.lr, weight_decay=job.setting.decay))
        seeds = [job.seed + (not alone) for job in jobs]
        looks = count()

        def last(networks: list[TwoHeads]) -> list[float]:
            """Alone nothing is measured: the last look is the best; a training that diverges just ends."""
            return [-next(looks)] * len(networks)

        how = {"device": self.device, "validate": last if alone else self.validate}
        done = [None] * len(jobs)
        kinds = [(b.count, job.setting.form, job.setting.bias) for b, job in zip(made, jobs, strict=True)]
        for kind in dict.fromkeys(kinds):
            some = [k for k, other in enumerate(kinds) if other == kind]
            one = ([x[k] for k in some] for x in (networks, made))
            loss = objective(self._targets(jobs[some[0]].setting), kind[0], contrastive, kind[1])
            histories = self._run(*one, loss, [recipes[k] for k in some], [seeds[k] for k in some], how)
            for k, history in zip(some, histories, strict=True):
                done[k] = history
        return done

    def _targets(self, setting: Setting) -> Targets:
        return self.targets.with_bias if setting.bias else self.targets

    def _run(self, networks, examples, loss, recipes, seeds, how) -> list[list[dict]]:
        if isinstance(examples[0].examples, Vectors):
            return fit_many(networks, examples, loss, recipes, seeds, **how)
        check = how["validate"]
        how = how | {"validate": None if check is None else lambda network: check([network])[0], "log": None}
        jobs = zip(networks, examples, recipes, seeds, strict=True)
        return [fit(net, given, loss, recipe, seed=seed, **how) for net, given, recipe, seed in jobs]

    def _budget(self, labelled: int) -> Recipe:
        """As many looks at validation as if all items had labels, since the more looks, the better the best
        of them; and as many gradient steps between two looks, to the nearest whole epoch, so up to a fifth
        more or fewer with a look every second epoch. The same for all methods, which pass over the labelled
        items equally often."""
        recipe, n = self.recipe, len(self.targets.labels)
        steps, all_steps = -(-labelled // recipe.batch), -(-n // recipe.batch)
        every = max(1, round(recipe.validate_every * all_steps / steps))
        looks = max(1, recipe.epochs // recipe.validate_every)
        return replace(recipe, epochs=looks * every, validate_every=every)

    def with_labels(self, labelled: np.ndarray) -> "Study":
        """The same study with fewer labels known: bool (n,)."""
        return replace(self, targets=replace(self.targets, labelled=labelled))

    def choose(
        self,
        methods: Sequence[str],
        grids: Mapping[str, list],
        tries: int,
        rng: np.random.Generator,
        seed: int,
    ) -> dict[str, Found]:
        """Search the fields of `Setting` for each method, by mAP on validation, all with equally many tries.
        A method searches what it reads: the parameters of `OWN` are those of two tasks. Those with an α try
        what was best without one also with their lowest α. Few tries come in few
        rounds, since networks are trained fastest side by side."""
        spaces = {}
        for method in methods:
            own = {name: grid for name, grid in grids.items() if method in OWN.get(name, METHODS)}
            spaces[method] = Space(own, {name: LIMITS[name] for name in own if name in LIMITS})

        def evaluate(tries: list) -> list[float]:
            jobs = [Job(method, Setting(**setting), seed) for method, setting in tries]
            return [value for _, value in self.learn(jobs)]

        rounds = max(1, min(4, tries // 3))
        return search(evaluate, spaces, tries, rng, rounds, extra=rounds // 2, exchange=True, weakest="alpha")
