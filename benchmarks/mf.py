"""Equation 3 by SGD, d = 100: time to the same validation RMSE, ours against LIBMF and cornac.

    python -m benchmarks.mf --users 40000 --threads 2 --libmf FOLDER

LIBMF as packaged is built without vector instructions and slow, which would be a weak peer. So give the
folder of its unpacked source (`pip download --no-deps --no-binary :all: libmf`, then tar xzf): it is
compiled here with -march=native -DUSEAVX, in a temporary folder. Without it only cornac is timed.
"""

import ctypes
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import crowds
from benchmarks.common import compare, parser, show
from helpers.crowd import factorize
from helpers.measures.metrics import rmse

D, LAMBDA = 100, 0.01


def build_libmf(source: Path, folder: Path) -> ctypes.CDLL:
    """LIBMF with AVX as a shared library in `folder`."""
    (code,) = source.rglob("mf.cpp")
    shim, library = Path(__file__).with_name("libmf_shim.cpp"), folder / "libmf.so"
    flags = "-O3 -march=native -DUSEAVX -std=c++11 -pthread -shared -fPIC -include string".split()
    subprocess.run(
        ["c++", *flags, f"-I{code.parent}", shim, code, "-o", library], check=True, stderr=subprocess.DEVNULL
    )
    return ctypes.CDLL(str(library))


def with_libmf(library, data, n_users, n_items, threads, epochs):
    user, item, value = data
    nodes = np.empty(len(user), [("u", "i4"), ("v", "i4"), ("r", "f4")])
    nodes["u"], nodes["v"], nodes["r"] = user, item, value
    X, Y = np.empty((n_users, D), np.float32), np.empty((n_items, D), np.float32)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (nodes, X, Y)]
    numbers = ctypes.c_float(0.1), ctypes.c_float(LAMBDA)
    failed = library.libmf_fit(
        n_users,
        n_items,
        ctypes.c_longlong(len(user)),
        pointers[0],
        D,
        threads,
        epochs,
        *numbers,
        *pointers[1:],
    )
    assert not failed
    return factorize.Factors(X, Y)


def with_cornac(dataset, threads, epochs):
    from cornac.models import MF

    model = MF(k=D, backend="cpu", max_iter=epochs, learning_rate=0.05, lambda_reg=LAMBDA, use_bias=False,
               num_threads=threads, seed=1)  # fmt: skip
    return model.fit(dataset)


def cornac_factors(model, dataset, n_users, n_items):
    X, Y = np.zeros((n_users, D), np.float32), np.zeros((n_items, D), np.float32)
    X[list(dataset.uid_map)] = model.u_factors[list(dataset.uid_map.values())]
    Y[list(dataset.iid_map)] = model.i_factors[list(dataset.iid_map.values())]
    return factorize.Factors(X, Y)


def ours(data, n_users, n_items, threads, epochs):
    made = factorize.epochs(factorize.group(*data, n_users, n_items), D, LAMBDA, 0.2, 0.5, 0, threads)
    for _ in range(epochs):
        _, X, Y = next(made)
    return factorize.Factors(X, Y)


def main() -> None:
    made = parser(__doc__.splitlines()[0], users=40_000, items=20_000, views=40, threads=2)
    made.add_argument("--libmf", type=Path, help="folder of LIBMF's unpacked source")
    options = made.parse_args()
    n_users, n_items, threads = options.users, options.items, options.threads
    user, item, value = crowds.entries(n_users, n_items, options.views)
    cut = int(0.8 * len(user))
    train, held = (user[:cut], item[:cut], value[:cut]), (user[cut:], item[cut:], value[cut:])
    runs, scored = {"ours": lambda e: ours(train, n_users, n_items, threads, e)}, {}
    with tempfile.TemporaryDirectory() as folder:
        if options.libmf:
            library = build_libmf(options.libmf, Path(folder))
            runs["LIBMF (AVX)"] = lambda e: with_libmf(library, train, n_users, n_items, threads, e)
        try:
            from cornac.data import Dataset
        except ImportError:
            print("cornac is not installed (pip install -e '.[bench]')")
        else:
            dataset = Dataset.from_uir([*zip(*(x.tolist() for x in train), strict=True)])
            runs["cornac"] = lambda e: with_cornac(dataset, threads, e)
            scored["cornac"] = lambda model: cornac_factors(model, dataset, n_users, n_items)
        curves = {}
        for name, run in runs.items():
            most = 40 if name == "cornac" else 10
            tries = range(1, most + 1) if name != "cornac" else range(5, most + 1, 5)
            factors = scored.get(name, lambda found: found)
            curves[name] = {e: rmse(held[2], factors(run(e)).predict(*held[:2])) for e in tries}
            best = min(curves[name], key=curves[name].get)
            print(f"{name}: best validation RMSE {curves[name][best]:.4f} at epoch {best}")
        # the mark is what every strong method reaches: LIBMF's best (or ours, without it)
        mark = min(curves.get("LIBMF (AVX)", curves["ours"]).values())
        needed = {n: next((e for e, v in c.items() if v <= mark + 5e-5), None) for n, c in curves.items()}
        print(f"{cut:,} entries, {threads} threads, to RMSE {mark:.4f}: epochs {needed}")
        reached = {n: (lambda n=n: runs[n](needed[n])) for n in runs if needed[n]}
        missed = [n for n in runs if not needed[n]]
        if missed:
            print(f"not reached by: {', '.join(missed)}")
        show("MF, time to the mark", compare(reached, options.repeats), 1.5)


if __name__ == "__main__":
    main()
