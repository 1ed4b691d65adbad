"""Reading a large file in the format of YFCC100M: speed, and memory that grows with the pictures only.

python -m benchmarks.yfcc100m --megabytes 2000 --photos 10000

Unlike the others, this one has no peer: it measures the reader alone, on a plain file and on the same lines
in two packed parts, each in an own process.
"""

import bz2
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import parser, record

LICENCE = "Attribution-NonCommercial-NoDerivs License\thttp://creativecommons.org/licenses/by-nc-nd/2.0/"
WORDS = (
    "canon sea snow travel new+york caf%C3%A9 2009 square iphoneography winter+%2F+summer %E6%B5%B7".split()
)
READ = (
    "import json, sys, time; from helpers.data.yfcc100m import load\n"
    "from helpers.notebook.provenance import peak_mb\n"
    "before = peak_mb(); c = load(sys.argv[1], size=16)\n"
    "print(json.dumps([time.process_time(), peak_mb(), before, len(c.items), len(c.tags)]))"
)


def lines(n: int, seed: int = 0) -> list[str]:
    """n invented lines of yfcc100m_dataset, without their beginning, the photo's id; every hundredth is a
    video."""
    rng = np.random.default_rng(seed)

    def words(most: int, between: str) -> str:
        return between.join(rng.choice(WORDS, rng.integers(0, most)))

    made = []
    for k in range(n):
        owner, at = f"{rng.integers(10**7, 10**8)}@N0{k % 8}", 1_100_000_000 + int(rng.integers(3e8))
        taken = (
            "null" if k % 50 == 0 else f"20{k % 15:02}-1{k % 3}-{1 + k % 31:02} 09:56:37.0"
        )  # some never were
        place = f"{rng.uniform(-180, 180):.6f}\t{rng.uniform(-90, 90):.6f}\t12" if k % 2 else "\t\t"
        made.append(
            f"{owner}\tnick+{k}\t{taken}\t{at}\tCanon+PowerShot\t{words(6, '+')}\t{words(60, '+')}"
            f"\t{words(9, ',')}\tgeo:lat=1,vision:outdoor=0.9\t{place}\thttp://www.flickr.com/photos/{owner}/1/"
            f"\thttp://farm8.staticflickr.com/7205/1_df7747990d.jpg\t{LICENCE}\t7205\t8\tdf7747990d\t692d7e0a7f"
            f"\tjpg\t{int(k % 100 == 99)}\n"
        )
    return made


def write(folder: Path, megabytes: float, photos: int, packed: bool = False) -> tuple[int, int]:
    """A dataset of about so many megabytes, unpacked, and pictures of some of it: bytes and lines."""
    block, size, first = lines(20_000), 0, 1
    names = (
        [folder / f"yfcc100m_dataset-{k}.bz2" for k in (0, 1)] if packed else [folder / "yfcc100m_dataset"]
    )
    (folder / "images").mkdir(parents=True)
    for file in names:
        with bz2.open(file, "wb") if packed else open(file, "wb") as stream:
            part = 0
            while part < megabytes * 1e6 / len(names):
                part += stream.write("".join(f"{first + k}\t{line}" for k, line in enumerate(block)).encode())
                first += len(block)
        size += part
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(picture, "JPEG")
    for photo in np.linspace(1, first - 1, photos).astype(int):
        (folder / "images" / f"{photo}.jpg").write_bytes(picture.getvalue())
    return size, first - 1


def measure(folder: Path) -> tuple[float, ...]:
    """Of a process that reads a folder: seconds, those of its processors, peak of the resident memory in MiB,
    the same before it reads, items, tags."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, *json.loads(done.stdout.splitlines()[-1])


def main(arguments: list[str] | None = None) -> None:
    given = parser(__doc__, megabytes=2000, photos=10_000).parse_args(arguments)
    for packed in (False, True):
        with tempfile.TemporaryDirectory() as place:
            size, n = write(Path(place), given.megabytes, given.photos, packed)
            seconds, cpu, peak, before, items, tags = measure(Path(place))
            found = {"megabytes": size / 1e6, "lines": n, "seconds": seconds, "of_processor": cpu}
            found |= {"peak_mb": peak, "peak_before_mb": before, "items": items, "tags": tags}
            print({name: round(value) for name, value in found.items()})
            record(f"YFCC100M, {'bz2' if packed else 'plain'}", given, **found)


if __name__ == "__main__":
    main()
