"""The library behind the notebooks: the papers' methods, the data and the machinery to re-run everything."""

import os

# numba's OpenMP layer sets the number of OpenMP threads when its first parallel kernel runs, and those are
# PyTorch's threads as well: on a busy machine small networks then train up to a hundred times slower. With
# the other layer two Python threads must not start parallel kernels at once; nothing here does.
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")

# OpenMP threads that wait for each other spin by default. Where other programs run, the one waited for has
# no core, and small networks train ten times slower. (libgomp reads this when torch is imported.)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
