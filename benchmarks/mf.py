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
from cornac.models import MF

from benchmarks import crowds
from benchmarks.common import curves, parser, report, to_mark
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


def ours(data, n_users, n_items, threads, epochs):
    made = factorize.epochs(factorize.group(*data, n_users, n_items), D, LAMBDA, 0.2, 0.5, 0, threads)
    for _ in range(epochs):
        _, X, Y = next(made)
    return factorize.Factors(X, Y)


def main(arguments: list[str] | None = None) -> None:
    made = parser(__doc__, users=40_000, items=20_000, views=40, threads=2)
    made.add_argument("--libmf", type=Path, help="folder of LIBMF's unpacked source")
    options = made.parse_args(arguments)
    size, threads = (options.users, options.items), options.threads
    user, item, value = crowds.entries(*size, options.views)
    cut = int(0.8 * len(user))
    train, held = (user[:cut], item[:cut], value[:cut]), (user[cut:], item[cut:], value[cut:])
    dataset, how = crowds.for_cornac(*train), {"backend": "cpu", "use_bias": False, "num_threads": threads}
    # the mark is what every strong method reaches: LIBMF's best (or ours, without it)
    strong, tries = "ours", {"ours": range(1, 11), "cornac": range(5, 41, 5)}

    def with_cornac(epochs: int) -> MF:
        model = MF(k=D, max_iter=epochs, learning_rate=0.05, lambda_reg=LAMBDA, seed=1, **how)
        return model.fit(dataset)

    def minus_rmse(name: str, found) -> dict[str, float]:
        factors = crowds.of_cornac(found, dataset, *size)[0] if name == "cornac" else found
        return {"−RMSE": -rmse(held[2], factors.predict(*held[:2]))}

    runs = {"ours": lambda e: ours(train, *size, threads, e), "cornac": with_cornac}
    with tempfile.TemporaryDirectory() as folder:
        if options.libmf:
            strong, library = "LIBMF (AVX)", build_libmf(options.libmf, Path(folder))
            runs[strong], tries[strong] = (
                lambda e: with_libmf(library, train, *size, threads, e),
                tries["ours"],
            )
        print(f"{cut:,} entries, {threads} threads")
        found = curves(runs, minus_rmse, tries)
        times, more = to_mark(found, runs, "−RMSE", strong, 5e-5, options.repeats)
    report("MF, time to equal RMSE", times, options, 1.5, **more)


if __name__ == "__main__":
    main()
