"""SGD of equation 3: the kernel, its order, its gradient, what it recovers, and its lock-free variant."""

import numpy as np
import pytest

from helpers.crowd import factorize, peers
from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput
from helpers.measures import metrics


def planted(seed=0, n_users=120, n_items=80, rank=3, share=0.4, noise=0.0):
    """Entries of a low-rank matrix, shuffled: user, item, value."""
    rng = np.random.default_rng(seed)
    V = rng.normal(0.6, 0.4, (n_users, rank)) @ rng.normal(0.6, 0.4, (rank, n_items))
    user, item = np.nonzero(rng.random(V.shape) < share)
    value = (V[user, item] + noise * rng.normal(size=len(user))).astype(np.float32)
    order = rng.permutation(len(user))
    return user[order].astype(np.int32), item[order].astype(np.int32), value[order]


def split(data, share=0.8):
    cut = int(share * len(data[0]))
    return tuple(x[:cut] for x in data), tuple(x[cut:] for x in data)


def plain_sgd(entries, X, Y, order, eta, lam):
    """Equation 3, one entry at a time, in double precision."""
    X, Y, user = X.astype(float), Y.astype(float), entries.user
    for t in order:
        x, y = X[user[t]].copy(), Y[entries.item[t]].copy()
        e = entries.value[t] - y @ x
        X[user[t]] += eta * (e * y - lam * x)
        Y[entries.item[t]] += eta * (e * x - lam * y)
    return X, Y


@pytest.mark.parametrize("d", [5, 8, 20])
def test_the_kernel_is_the_plain_loop_in_the_documented_order(d):
    user, item, value = planted()
    entries = factorize.group(user, item, value, 122, 80)  # two users without entries
    eta, decay, lam, seed = 0.1, 0.5, 0.02, 3
    states = []
    for _, X, Y in factorize.epochs(entries, d, lam, eta, decay, seed):
        states.append((X.copy(), Y.copy()))
        if len(states) == 3:
            break
    for epoch in (1, 2):
        users, start = factorize.visiting_plan(entries.indptr, seed, epoch)
        order = factorize.visited_entries(entries.indptr, users, start)
        assert sorted(order) == list(range(len(value)))
        expected = plain_sgd(entries, *states[epoch - 1], order, eta / (1 + decay * epoch), lam)
        for got, wanted in zip(states[epoch], expected, strict=True):
            np.testing.assert_allclose(got, wanted, atol=2e-6)


def test_one_step_is_the_gradient_of_equation_3():
    """The kernel's step on a single entry against central differences of half of the entry's loss."""
    rng = np.random.default_rng(0)
    lam, eta, v, d = 0.3, 1e-3, 1.0, 8
    x, y = rng.normal(size=d), rng.normal(size=d)

    def half_loss(x, y):
        return 0.5 * ((v - y @ x) ** 2 + lam * (x @ x + y @ y))

    X, Y = np.float32([x]), np.float32([y])
    one = (np.array([0, 1]), np.zeros(1, np.int32), np.float32([v]), np.array([0]), np.zeros(1, np.int64))
    factorize.sgd_kernel(d)(*one, X, Y, eta, lam)
    for moved, before, loss in [(X[0], x, lambda z: half_loss(z, y)), (Y[0], y, lambda z: half_loss(x, z))]:
        step = np.eye(d) * 1e-5
        gradient = [(loss(before + h) - loss(before - h)) / 2e-5 for h in step]
        np.testing.assert_allclose((before - moved) / eta, gradient, atol=2e-3)


def test_a_planted_low_rank_matrix_is_recovered():
    train, held = split(planted(noise=0.05))
    entries = factorize.group(*train, 120, 80)
    found = factorize.fit(
        entries, 3, lam=0.001, eta=0.2, decay=0.02, max_epochs=200, validation=held, patience=20
    )
    assert (
        metrics.rmse(held[2], found.predict(*held[:2])) < 0.08
    )  # the noise is 0.05, the spread of values 0.5
    assert np.std(held[2]) > 0.4


def test_the_serial_variant_repeats_and_the_seed_matters():
    entries = factorize.group(*planted(), 120, 80)
    a, b, c = (factorize.fit(entries, 10, max_epochs=4, seed=s) for s in (1, 1, 2))
    assert a.Y.tobytes() == b.Y.tobytes()
    assert a.X.tobytes() == b.X.tobytes()
    assert not np.allclose(a.Y, c.Y)


def test_the_lock_free_variant_is_as_good_as_the_serial_one():
    train, held = split(planted(n_users=400, noise=0.05))
    entries = factorize.group(*train, 400, 80)
    losses = {
        threads: [
            metrics.rmse(
                held[2], factorize.fit(entries, 8, max_epochs=15, seed=s, threads=threads).predict(*held[:2])
            )
            for s in range(3)
        ]
        for threads in (1, 2, 4)
    }
    for threads in (2, 4):
        assert np.mean(losses[threads]) == pytest.approx(np.mean(losses[1]), rel=0.05)


def test_users_are_cut_into_parts_that_cover_all_once():
    indptr = np.array([0, 5, 5, 105, 110, 111])
    users = np.array([3, 2, 0, 1, 4])
    assert factorize.parts_of(indptr, users, 1)[0] is users
    parts = factorize.parts_of(indptr, users, 3)
    assert len(parts) == 12
    np.testing.assert_array_equal(np.concatenate(parts), users)


def test_early_stopping_returns_the_best_epoch():
    train, held = split(planted(noise=0.5))
    entries = factorize.group(*train, 120, 80)
    found = factorize.fit(
        entries, 40, lam=0.0, eta=0.2, decay=0.0, max_epochs=60, validation=held, patience=3
    )
    curve = [row["rmse"] for row in found.history]
    assert len(curve) < 60
    assert found.best_epoch == np.argmin(curve) + 1 == len(curve) - 3
    assert metrics.rmse(held[2], found.predict(*held[:2])) == pytest.approx(min(curve), rel=1e-6)


def test_padding_changes_nothing_and_is_not_returned():
    assert [factorize.padded(d) for d in (1, 8, 9, 100)] == [8, 8, 16, 104]
    found = factorize.fit(factorize.group(*planted(), 120, 80), 5, max_epochs=2)
    assert found.X.shape == (120, 5)
    assert found.Y.shape == (80, 5)
    assert found.Y.dtype == np.float32
    assert found.Y.flags.c_contiguous


def test_predictions_are_the_products():
    user, item, value = planted()
    found = factorize.fit(factorize.group(user, item, value, 120, 80), 5, max_epochs=2)
    np.testing.assert_allclose(found.predict(user, item), (found.X @ found.Y.T)[user, item], atol=1e-6)
    assert found.predict(user[:0], item[:0]).shape == (0,)


def test_diverging_and_bad_entries_are_explained():
    user, item, value = planted()
    with pytest.raises(BadInput, match="halve eta"):
        factorize.fit(factorize.group(user, item, 100 * value, 120, 80), 8, eta=5.0)
    with pytest.raises(BadInput, match="no entries"):
        factorize.fit(factorize.group(user[:0], item[:0], value[:0], 120, 80))
    with pytest.raises(BadInput, match=r"item .* expected 0 to 78"):
        factorize.group(user, item, value, 120, 79)
    with pytest.raises(BadInput, match="give one each"):
        factorize.group(user, item, value[:-1], 120, 80)


def test_als_repeats_and_minimises_its_own_objective():
    user, item, _ = planted(share=0.1)
    train = to_csr(user, item, 120)
    V = np.zeros((120, 80))
    V[user, item] = 1

    def objective(found):
        P = found.X @ found.Y.T
        return np.sum((1 + V) * (V - P) ** 2) + 0.1 * (np.sum(found.X**2) + np.sum(found.Y**2))

    short, long, again = (peers.als(train, 80, d=6, lam=0.1, epochs=e) for e in (1, 12, 12))
    np.testing.assert_array_equal(long.Y, again.Y)
    assert objective(long) < objective(short)
