"""Where torch computes: which device a word means, and what a device is."""

import subprocess

import torch

from helpers.errors import BadInput


def resolve(wanted: str) -> torch.device:
    """The device that "cpu", "cuda", "cuda:1", "mps" or "auto" (cuda where there is one, else cpu) means.

    BadInput where it cannot be used here.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"device is {wanted!r}, which is not usable here ({reason}); try auto or cpu"
        ) from None
    return device


def describe(device: torch.device | str) -> dict:
    """What really computes: {"kind": "cpu"} (or "mps"); for cuda also what is known of the card.

    That is name, memory_gib, compute_capability, cuda, cudnn (torch's number) and driver.
    """
    device = torch.device(device)
    if device.type != "cuda":
        return {"kind": device.type}
    card = torch.cuda.get_device_properties(device)
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # not installed, or it fails
        driver = ""
    found = {
        "kind": "cuda",
        "name": card.name,
        "memory_gib": round(card.total_memory / 2**30, 1),
        "compute_capability": f"{card.major}.{card.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": driver.partition("\n")[0].strip(),  # a line for each card, all alike
    }
    return {name: value for name, value in found.items() if value}
