"""Fingerprints of models by their files, which are there before anything is loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from earlyrobust.encoders.fetching import locate
from earlyrobust.errors import ModelError

# What decides how a model answers: its weights, its configuration, its tokenizer.
_FILES = (
    *("*.safetensors", "pytorch_model*.bin", "config.json"),
    *("tokenizer*.json", "vocab*", "merges.txt", "*.model"),
)
# Of a large file so many blocks of so many bytes are read, evenly spread: any training changes all of them.
_BLOCKS, _BLOCK = 64, 256 * 1024


def files_digest(name: str) -> str | None:
    """Fingerprint of a model's files: sizes, beginnings, and parts of what follows.

    Args:
        name: An embedded encoder or a folder; any other name is no folder.

    Returns:
        A sha256 in hexadecimal; None where there is no such folder, or it cannot be read.
    """
    try:
        folder = Path(locate(name))
        files = sorted({file for pattern in _FILES for file in folder.glob(pattern) if file.is_file()})
        if not files:
            return None
        digest = hashlib.sha256()
        for file in files:
            size = file.stat().st_size
            digest.update(f"{file.name} {size} ".encode())
            with file.open("rb") as content:
                for place in range(0, size, max(_BLOCK, size // _BLOCKS)):
                    content.seek(place)
                    digest.update(content.read(_BLOCK))
    except (OSError, ModelError):
        return None
    return digest.hexdigest()
