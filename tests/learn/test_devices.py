"""What a word for a device means, and what is said of a device."""

import subprocess
from types import SimpleNamespace

import pytest
import torch

from helpers.errors import BadInput
from helpers.learn import devices


def test_words_become_devices(monkeypatch):
    assert devices.resolve("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.resolve("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    assert devices.resolve("auto") == torch.device("cuda")


@pytest.mark.parametrize("wanted", ["gpu", "xla:9", "cuda:77"])
def test_what_cannot_be_used_is_refused(wanted):
    with pytest.raises(BadInput, match=f"device is '{wanted}', which is not usable here .*; try auto or cpu"):
        devices.resolve(wanted)


@pytest.fixture
def card(monkeypatch):
    properties = SimpleNamespace(name="Card 80GB", total_memory=80 * 2**30, major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92400)


def test_a_card_is_described(card, monkeypatch):
    done = SimpleNamespace(stdout="580.65.06\n580.65.06\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert devices.describe("cuda:1") == {
        "kind": "cuda",
        "name": "Card 80GB",
        "memory_gib": 80.0,
        "compute_capability": "9.0",
        "cuda": "13.0",
        "cudnn": 92400,
        "driver": "580.65.06",
    }


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), subprocess.TimeoutExpired("", 1), subprocess.CalledProcessError(9, "")]
)
def test_what_is_unknown_is_left_out(card, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(subprocess, "run", fails)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: None)
    assert devices.describe(torch.device("cuda")).keys() == {
        "kind", "name", "memory_gib", "compute_capability", "cuda",
    }  # fmt: skip


def test_a_cpu_is_a_cpu():
    assert devices.describe("cpu") == {"kind": "cpu"}


@pytest.mark.parametrize(("capability", "half"), [((6, 1), False), ((7, 5), True), ((9, 0), True)])
def test_units_and_memory_of_a_card(monkeypatch, capability, half):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capability >= (8, 0))
    assert devices.has_fp16("cuda") == half
    assert devices.has_bf16("cuda") == (capability == (9, 0))
    assert not devices.has_fp16("cpu")
    assert not devices.has_bf16("cpu")
    # 3 GiB are free, and of 5 that torch has taken 1 is unused
    for name, value in {"mem_get_info": (3, 80), "memory_reserved": 5, "memory_allocated": 4}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert devices.free_memory(torch.device("cuda")) == 4
