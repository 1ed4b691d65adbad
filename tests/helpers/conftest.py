"""One thread for the networks of the tests."""

import numba
import pytest
import torch

# numba's OpenMP layer sets the number of OpenMP threads when its first parallel kernel runs, and those are
# PyTorch's threads as well: it would undo `torch.set_num_threads`
numba.config.THREADING_LAYER = "workqueue"


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The networks of the tests are tiny: threads that wait for each other cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
