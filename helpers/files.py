"""Writing so that nothing is ever half-written."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside `target` that becomes `target` only if the block ends without an error.

    The block may create a file or a folder there. A folder that is already at `target` is removed just
    before the rename, so a reader sees the old content or the new, never a mixture.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new-{os.getpid()}")
    try:
        yield new
        if new.is_dir() and target.exists():
            shutil.rmtree(target)
        os.replace(new, target)
    finally:
        if new.is_dir():
            shutil.rmtree(new)
        elif new.exists():
            new.unlink()


def digest(file: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
