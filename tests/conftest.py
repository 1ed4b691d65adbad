"""What all tests share: one thread for their networks, and the device that they train on."""

import os
from functools import partial

import pytest
import torch

from helpers.learn import devices

LONGEST = ("test_nbval.py", "test_any_collection.py")  # together half of all minutes


def pytest_collection_modifyitems(items):
    """With `-n 2 --dist loadfile` a file stays on one process. The two longest begin, one on each, and the
    others fill up what is left: a long one that began late would end long after the rest."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The networks of the tests are tiny: threads that wait for each other cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def device():
    """Where tests train: the CPU, or what the variable CROWD_TEST_DEVICE says, for example cuda."""
    wanted = os.environ.get("CROWD_TEST_DEVICE", "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip(f"no CUDA device, but CROWD_TEST_DEVICE is {wanted}")
    return devices.resolve(wanted)


@pytest.fixture
def near(device):
    """What numbers of a training must be like. On another device than the CPU sums are rounded differently,
    in bf16 where it has units for it, and random negatives are others: within a quarter."""
    return partial(pytest.approx, **({"rel": 1e-6} if device.type == "cpu" else {"rel": 0.25, "abs": 0.05}))


@pytest.fixture
def same(device):
    """Whether two tensors are what one seed gives twice: to the bit on a CPU; a GPU adds in any order."""
    return torch.equal if device.type == "cpu" else partial(torch.allclose, rtol=0.1, atol=0.05)
