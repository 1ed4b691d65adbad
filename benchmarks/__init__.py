"""Speed against peers, one command each: `python -m benchmarks.filtering`. Both sides run in one process."""

import os

# These name another machine's processor to OpenBLAS; a peer must not be slowed down by them. It has to
# happen before numpy is imported, so it stands here.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import helpers  # noqa: E402, F401 - how threads wait is set before a benchmark imports torch
