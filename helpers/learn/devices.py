"""Where torch computes: which device a word means, and what a device is."""

import os
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import torch

from helpers.errors import BadInput


def resolve(wanted: str) -> torch.device:
    """The device of "cpu", "cuda", "cuda:1", "mps" or "auto" (cuda, else cpu); BadInput if unusable here."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        why = f"is not usable here ({str(error).splitlines()[0]}); try auto or cpu"
        raise BadInput(f"device is {wanted!r}, which {why}") from None
    return device


def on_each_core(compute: Callable, parts: Iterable) -> list:
    """`compute(part)` of each part, in order, on the CPU: a core, with one thread of torch, takes one part at
    a time. Threads that share a small operation would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(compute, parts))
    finally:
        torch.set_num_threads(threads)


def has_bf16(device: torch.device | str) -> bool:
    """Whether this is a GPU with units for bf16. Where it is emulated, and on most CPUs, it is slower."""
    return torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def has_fp16(device: torch.device | str) -> bool:
    """Whether this is a GPU with units for float16: Nvidia's since compute capability 7.0."""
    return torch.device(device).type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that torch may still fill: free, or of tensors that are gone."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def describe(device: torch.device | str) -> dict:
    """What really computes: {"kind": "cpu"} (or "mps"); for cuda also what is known of name, memory_gib,
    compute_capability, cuda, cudnn (torch's number) and driver."""
    device = torch.device(device)
    if device.type != "cuda":
        return {"kind": device.type}
    card = torch.cuda.get_device_properties(device)
    found = {"kind": "cuda", "name": card.name, "memory_gib": round(card.total_memory / 2**30, 1)}
    found |= {"compute_capability": f"{card.major}.{card.minor}", "cuda": torch.version.cuda}
    found["cudnn"] = torch.backends.cudnn.version()
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
        found["driver"] = said.partition("\n")[0].strip()  # a line for each card, all alike
    except (OSError, subprocess.SubprocessError):  # not installed, or it fails
        pass
    return {name: value for name, value in found.items() if value}
