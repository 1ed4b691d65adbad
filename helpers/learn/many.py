"""Many small networks trained at once, each as `train.fit` would train it alone.

A search or a repetition trains tens of copies of one small network. One after the other, most of the time
goes into starting operations that are too small for the machine. Side by side their weights are one tensor
with one more axis, and each operation computes all of them (`torch.func.vmap`, which makes batched matrix
products of linear layers).
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from helpers.errors import BadInput
from helpers.learn import again
from helpers.learn.devices import has_bf16, on_each_core
from helpers.learn.networks import Dropout, step_key
from helpers.learn.train import Progress, Recipe, optimiser
from helpers.randomness import hash_seed

TOGETHER = 8  # copies that a CPU core computes at once: their weights stay in its cache

Loss = Callable[[Tensor, Tensor], Tensor]


def fit_many(
    networks: Sequence[nn.Module],
    examples: Sequence,
    loss: Loss,
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    *,
    device: torch.device,
    validate: Callable[[list[nn.Module]], Sequence[float]] | None = None,
    after_step: Callable[[dict[str, Tensor], list[nn.Module]], None] | None = None,
    together: int | None = None,
) -> list[list[dict]]:
    """Train C copies of one network in place, each with its own examples, recipe and seed: C histories.

    Each ends as `train.fit` with the same seed would leave it, up to rounding (relative 1e-3 on weights after
    some epochs in float32), whichever copies are beside it. Copies of
    one shape, whose recipes differ in `lr` and `weight_decay` alone, and which have as many examples with
    targets of one kind, share operations, at most `together` of them at once (None: 8 a core, or all on a
    GPU).

    Examples are `Vectors`, or others with their `together`, `plan` and `look_up`. `loss` maps the outputs and
    targets of *one* copy to its mean loss, by operations that `vmap` knows; or it has an attribute
    `many`, which maps those of all, (C, B, …), to losses (C,). `validate` maps networks in evaluation mode to
    their validation errors. `after_step` gets the stacked weights by name, and the networks that they are of.

    A copy whose loss is no longer finite stops where it is, with the validation error inf if it has none: a
    search must survive a learning rate that is too large. BadInput for lists of different lengths."""
    C, device = len(networks), torch.device(device)
    if not C == len(examples) == len(recipes) == len(seeds):
        given = f"{C} networks, {len(examples)} examples, {len(recipes)} recipes, {len(seeds)} seeds"
        raise BadInput(f"fit_many: {given}; give one of each a copy")
    if C:
        project = None if after_step is None else networks[0].project
        again.tell(networks[0], examples[0], loss, recipes[0], seeds[0], project)

    def alike(c: int) -> str:
        shapes = [(name, *p.shape) for name, p in networks[c].named_parameters()]
        targets = getattr(examples[c], "targets", None)  # a class, or a number for each class: another shape
        kind = (targets.shape[1:], targets.dtype) if isinstance(targets, Tensor) else None
        return repr((len(examples[c]), replace(recipes[c], lr=1.0, weight_decay=0.0), shapes, kind))

    parts, size = [], together or (TOGETHER if device.type == "cpu" else C)
    for _, group in groupby(sorted(range(C), key=alike), alike):
        group = list(group)
        parts += [group[k : k + size] for k in range(0, len(group), size)]
    histories, lock = [None] * C, threading.Lock()

    def checked(networks: list[nn.Module]) -> Sequence[float]:
        with lock:  # of metrics' own threads there is one set
            return validate(networks)

    def train(part: list[int]) -> None:
        mine = ([x[c] for c in part] for x in (networks, examples, recipes, seeds))
        done = _train(*mine, loss, device, None if validate is None else checked, after_step)
        for c, history in zip(part, done, strict=True):
            histories[c] = history

    if device.type != "cpu":
        [train(part) for part in parts]
        return histories
    on_each_core(train, parts)
    return histories


def _train(networks, examples, recipes, seeds, loss, device, validate, after_step) -> list[list[dict]]:
    """`fit_many` for copies that share all operations."""
    stack, states = Stack(networks, device), [Progress(recipe) for recipe in recipes]
    stack.tie()
    step, n, batch = _Steps(stack, recipes), len(examples[0]), recipes[0].batch
    given, starts = type(examples[0]).together(examples).on(device), range(0, len(examples[0]), batch)
    mean_losses = getattr(loss, "many", None) or each(loss)
    half = has_bf16(device)  # as in `train.fit`; without such units float32, for gradients would need a scale
    alive = list(range(len(networks)))  # the copies that are still in the stack
    while alive:
        before, epoch = time.perf_counter(), states[alive[0]].epoch
        copies = torch.tensor(alive, device=device)
        rows = _plans(examples, [(c, seeds[c]) for c in alive], epoch).to(device)
        at = [epoch + position / len(starts) for position in range(len(starts))]
        rates = torch.tensor([[states[c].lr(x) for c in alive] for x in at], device=device)
        total = torch.zeros(len(alive), device=device)
        keys = stack.step_keys([seeds[c] for c in alive], epoch, len(starts))
        [network.train() for network in networks]
        for position, start in enumerate(starts):
            stack.set_keys([of[position] for of in keys])
            inputs, targets = given.look_up(rows[:, start : start + batch], copies)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                value = mean_losses(stack(inputs), targets)
            step(torch.autograd.grad(value.sum(), list(stack.weights.values())), rates[position])
            if after_step is not None:
                after_step(stack.weights, stack.networks)
            total += value.detach() * min(batch, n - start)
        losses, seconds = (total / n).tolist(), time.perf_counter() - before
        [network.eval() for network in networks]
        due = validate is not None and states[alive[0]].due
        errors = validate([networks[c] for c in alive]) if due else [None] * len(alive)
        for c, lr, mean, error in zip(alive, rates[-1].tolist(), losses, errors, strict=True):
            if not math.isfinite(mean):
                if validate is None:
                    raise BadInput(
                        f"the loss is {mean} after epoch {epoch + 1}; try a smaller lr than {lr:g}"
                    )
                error = math.inf
            weights = partial(_copied, networks[c])
            states[c].end_epoch(lr, mean, None if error is None else float(error), weights, seconds, n)
        going = [k for k, c in enumerate(alive) if math.isfinite(losses[k]) and not states[c].finished]
        if len(going) < len(alive):
            stack.keep(going)
            step.keep(going)
            alive = [alive[k] for k in going]
    for network, state in zip(networks, states, strict=True):
        network.load_state_dict(
            _copied(network) if state.best_weights is None else state.best_weights, assign=True
        )
    return [state.history for state in states]


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _plans(examples, copies: list[tuple[int, int]], epoch: int) -> Tensor:
    """The rows that each of C copies visits in an epoch, int64 (C, n, …): those that `train.fit` would."""
    plans = []
    for c, seed in copies:
        order = np.random.default_rng([seed, epoch]).permutation(len(examples[c]))
        plans.append(examples[c].plan(order, torch.Generator().manual_seed(hash_seed(seed, epoch))))
    same = all(torch.equal(plan, plans[0]) for plan in plans)
    return plans[0].expand(len(plans), *plans[0].shape) if same else torch.stack(plans)


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """One more axis. A matrix lies transposed in memory, as its gradient will: the sum of outer products of
    inputs and outputs."""
    return torch.stack([t.mT for t in tensors]).mT if tensors[0].ndim == 2 else torch.stack(list(tensors))


def once(x: Tensor) -> tuple[Tensor, int | None]:
    """A tensor of C copies and its axis for `vmap`; what is the same for all, by `expand`, has none."""
    return (x[0], None) if x.stride(0) == 0 else (x, 0)


def each(loss: Loss) -> Loss:
    """The losses (C,) of C copies, from the mean loss of one."""

    def losses(outputs, targets: Tensor) -> Tensor:
        targets, axis = once(targets)
        return vmap(loss, in_dims=(0, axis))(outputs, targets)

    return losses


def looped(loss: Loss) -> Loss:
    """A loss with operations that `vmap` does not know, of one copy after the other."""

    def losses(outputs, targets: Tensor) -> Tensor:
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        ones = zip(*outputs, targets, strict=True)
        return torch.stack([loss(one if len(one) > 1 else one[0], target) for *one, target in ones])

    loss.many = losses
    return loss


class Stack:
    """Copies of one network as one function: `stack(inputs)` maps (C, B, …) to outputs (C, B, …). `weights`
    are copies of the networks' with an axis of C more. Buffers that all copies share stay one."""

    def __init__(self, networks: Sequence[nn.Module], device: torch.device):
        self.networks = [network.to(device) for network in networks]
        named = [dict(network.named_parameters()) for network in networks]
        self.weights = {k: _stacked([one[k].detach() for one in named]) for k in named[0]}
        [weight.requires_grad_() for weight in self.weights.values()]
        buffers = [dict(network.named_buffers()) for network in networks]
        shared = {
            k for k, v in buffers[0].items() if all(one[k].data_ptr() == v.data_ptr() for one in buffers)
        }
        self.shared = {k: buffers[0][k] for k in shared}
        self.own = {k: torch.stack([one[k] for one in buffers]) for k in buffers[0].keys() - shared}
        parts = self.networks[0].named_modules()
        self.dropouts = [f"{name}.key" for name, part in parts if isinstance(part, Dropout)]

    def tie(self) -> None:
        """Make the networks' own parameters views of the weights, so that they are trained."""
        for c, network in enumerate(self.networks):
            for name, parameter in network.named_parameters():
                parameter.data = self.weights[name].data[c]

    def __call__(self, inputs: Tensor) -> Tensor:
        def one(weights, own, x):
            return functional_call(self.networks[0], (weights, own, self.shared), (x,))

        inputs, axis = once(inputs)
        return vmap(one, in_dims=(0, 0, axis))(self.weights, self.own, inputs)

    def step_keys(self, seeds: Sequence[int], epoch: int, steps: int) -> list[Tensor]:
        """The keys of each `Dropout` for each step of an epoch, int32 (steps, C); (steps,) for one seed."""
        seeds = seeds[:1] if len(set(seeds)) == 1 else seeds
        keys = [
            [[step_key(seed, epoch, step, place) for seed in seeds] for step in range(steps)]
            for place in range(len(self.dropouts))
        ]
        device = next(iter(self.weights.values())).device
        return [torch.tensor(of, dtype=torch.int32, device=device).squeeze(1) for of in keys]

    def set_keys(self, keys: Sequence[Tensor]) -> None:
        """The keys of a step, one for each `Dropout`."""
        for name, key in zip(self.dropouts, keys, strict=True):
            self.own.pop(name, None), self.shared.pop(name, None)
            (self.own if key.ndim else self.shared)[name] = key

    def keep(self, some: list[int]) -> None:
        """Go on with some of the copies; the others keep the weights that they have."""
        # new leaves: autograd remembers the shape of a tensor
        self.weights = {name: w.detach()[some].requires_grad_() for name, w in self.weights.items()}
        self.own = {name: tensor[some] for name, tensor in self.own.items()}
        self.networks = [self.networks[c] for c in some]
        self.tie()


class _Steps:
    """One optimiser for all copies, each with its own learning rate and decay: torch's own, at rate 1, says
    where to go, and each copy goes as far as its rate says."""

    def __init__(self, stack: Stack, recipes: Sequence[Recipe]):
        self.stack, self.adam = stack, recipes[0].optimiser == "adamw"
        self.ways = [torch.zeros_like(w) for w in stack.weights.values()]
        self.optimiser = optimiser(self.ways, recipes[0], lr=1.0, weight_decay=0.0)
        self.decay = torch.tensor([recipe.weight_decay for recipe in recipes], device=self.ways[0].device)

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor], rates: Tensor) -> None:
        for w, way, gradient in zip(self.stack.weights.values(), self.ways, gradients, strict=True):
            if gradient.stride() != way.stride():  # the fused kernels read in order of memory
                gradient = torch.empty_like(way).copy_(gradient)
            decay = self.decay.view(-1, *[1] * (w.ndim - 1)) if w.ndim > 2 else None  # biases have none
            if self.adam and decay is not None:
                torch.mul(w, -decay, out=way)  # decoupled: part of the way, not of the gradient
            else:
                way.zero_()
                if decay is not None:
                    gradient.addcmul_(w, decay)
            way.grad = gradient
        self.optimiser.step()
        for w, way in zip(self.stack.weights.values(), self.ways, strict=True):
            w.addcmul_(way, rates.view(-1, *[1] * (w.ndim - 1)))

    def keep(self, some: list[int]) -> None:
        self.decay = self.decay[some]
        for way in self.ways:
            way.data = way.data[some]
            for value in self.optimiser.state[way].values():
                if torch.is_tensor(value) and value.ndim:
                    value.data = value.data[some]


@torch.inference_mode()
def outputs_of(networks: Sequence[nn.Module], inputs: Tensor, batch: int = 4096) -> Tensor:
    """What each of C networks in evaluation mode says of the same inputs (n, …): float32 (C, n, …)."""
    stack = Stack(networks, inputs.device)
    parts = (stack(part.expand(len(networks), *part.shape)) for part in inputs.split(batch))
    return torch.cat([part.float() for part in parts], 1)
