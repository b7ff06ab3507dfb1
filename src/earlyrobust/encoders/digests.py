"""Computes fingerprints of models from their files, without loading the models."""

from __future__ import annotations

import hashlib
from pathlib import Path

from earlyrobust.encoders.fetching import locate
from earlyrobust.errors import ModelError

# The files that determine a model's answers: weights, configuration and tokenizer.
_FILES = (
    *("*.safetensors", "pytorch_model*.bin", "config.json"),
    *("tokenizer*.json", "vocab*", "merges.txt", "*.model"),
)
# Only this many blocks of this many bytes of a large file are read, evenly spread. Any training changes all
# blocks.
_BLOCKS, _BLOCK = 64, 256 * 1024


def files_digest(name: str) -> str | None:
    """Compute a fingerprint from a model's files: their names, their sizes, and blocks of their content.

    Args:
        name: An embedded encoder or a folder. Models on the hub have no fingerprint.

    Returns:
        A SHA-256 hash in hexadecimal; None if there is no such folder, or it cannot be read.
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
