"""FAT: fast adversarial training (Yang et al., Findings of NAACL 2025), on embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from earlyrobust import processes
from earlyrobust.adversarial.base import ASCENT, Adversary, AscentConfig, Passes
from earlyrobust.adversarial.perturbation import Perturbation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

# A text is known by a hash of 96 bits, in two halves that a float64 holds exactly.
_Key = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class FATConfig(AscentConfig):
    """Settings of FAT.

    Attributes:
        step_size: Length of the ascent (0.2: the release for IMDB).
    """

    step_size: float = 0.2


class FAT(Adversary):
    """Trains on the end of one ascent, which starts where the ascent of the last epoch pointed to.

    δ₀ ~ U(0, 1)·sign(d)·ε₀/√(tokens·D), with the direction d of the ascent in the last epoch; U(−1, 1) where
    there is none.  d ← ∇_δ L(δ₀);  δ ← Π(δ₀ + α d/‖d‖₂);  g_θ ← ∇_θ L(δ).

    As in the release, texts are trained on with δ alone. The signs of d are remembered by the tokens of each
    text, and are part of checkpoints. Under text noise, whose texts differ from epoch to epoch, most starts
    are random. With neither a start nor an ascent it is plain training.
    """

    Config = FATConfig
    config: FATConfig

    def cost(self, layers: int) -> float:
        """An ascent, if it has a length, and a pass."""
        return ASCENT * (self.config.step_size > 0) + 1

    def parts(self, model: PreTrainedModel) -> nn.Module:
        """Return the memory of directions, which has no weights."""
        return DirectionMemory(model.get_input_embeddings().weight.shape[1])

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        config = self.config
        memory = cast("DirectionMemory", passes.parts)
        mask = perturbation.mask.squeeze(-1) > 0
        delta = perturbation.uniform(config.initial_magnitude, config.bound)
        known, signs = memory.recall(passes.tokens, mask)
        delta = torch.where(known[:, None, None], delta.abs() * signs, delta)
        if config.step_size > 0:
            delta.requires_grad_()
            with perturbation.applied(delta):
                gradient = passes.gradient(delta)
            memory.remember(passes.tokens, mask, gradient)
            delta = perturbation.ascend(delta.detach(), gradient, config.step_size, config.bound)
        with perturbation.applied(delta):
            return passes.accumulate()


class DirectionMemory(nn.Module):
    """The signs of the last ascent's direction for each text, one bit each.

    Args:
        channels: D, the width of the word embeddings.
    """

    _STATE = ("keys", "lengths", "bits")

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._channels = channels
        self._bits: dict[_Key, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._bits)

    def recall(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return which texts are known, shape (B,), and the signs of their directions, shape (B, T, D).

        Args:
            tokens: Indices of the vocabulary, shape (B, T).
            mask: Whether there is a token, shape (B, T).
        """
        known = np.zeros(len(tokens), np.bool_)
        signs = np.ones((*tokens.shape, self._channels), np.float32)
        valid = mask.cpu().numpy()
        for row, key in enumerate(_keys(tokens, valid)):
            bits = self._bits.get(key)
            if bits is not None:
                known[row] = True
                count = int(valid[row].sum()) * self._channels
                signs[row, valid[row]] = (
                    np.unpackbits(bits, count=count).reshape(-1, self._channels) * 2.0 - 1
                )
        device = tokens.device
        return torch.from_numpy(known).to(device), torch.from_numpy(signs).to(device)

    def remember(self, tokens: Tensor, mask: Tensor, direction: Tensor) -> None:
        """Keep the signs of directions; those of all processes, because texts change places between epochs.

        Args:
            tokens: Indices of the vocabulary, shape (B, T).
            mask: Whether there is a token, shape (B, T).
            direction: Shape (B, T, D).
        """
        valid, positive = mask.cpu().numpy(), (direction > 0).cpu().numpy()
        packed = [np.packbits(signs[places]) for signs, places in zip(positive, valid, strict=True)]
        width = processes.largest(max(map(len, packed)))
        rows = np.zeros((len(packed), 3 + width))
        for row, (key, bits) in enumerate(zip(_keys(tokens, valid), packed, strict=True)):
            rows[row, :3] = *key, len(bits)
            rows[row, 3 : 3 + len(bits)] = bits
        for row in processes.stacked(rows):
            first, second, length = row[:3].astype(np.int64).tolist()
            self._bits[first, second] = row[3 : 3 + length].astype(np.uint8)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Write the memory as three tensors: the keys, the lengths of the bits, and the bits in a row."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        keys = np.array(list(self._bits), np.int64).reshape(-1, 2)
        lengths = np.array([len(bits) for bits in self._bits.values()], np.int64)
        bits = np.concatenate([np.zeros(0, np.uint8), *self._bits.values()])
        for name, values in zip(self._STATE, (keys, lengths, bits), strict=True):
            destination[prefix + name] = torch.from_numpy(values)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """Read what `_save_to_state_dict` wrote."""
        super()._load_from_state_dict(state_dict, prefix, *args)
        unexpected = args[3]  # of load_state_dict, which knows no tensors of changing shapes
        names = [prefix + name for name in self._STATE]
        if not all(name in state_dict for name in names):
            return
        unexpected[:] = [name for name in unexpected if name not in names]
        keys, lengths, bits = (state_dict[name].cpu().numpy() for name in names)
        parts = np.split(bits, np.cumsum(lengths)[:-1]) if len(lengths) else []
        self._bits = dict(zip(map(tuple, keys.tolist()), parts, strict=True))


def _keys(tokens: Tensor, valid: NDArray[np.bool_]) -> list[_Key]:
    """Return a key for the tokens of each text."""
    found = []
    for ids, places in zip(tokens.cpu().numpy(), valid, strict=True):
        digest = hashlib.blake2b(ids[places].astype("<i8").tobytes(), digest_size=12).digest()
        found.append((int.from_bytes(digest[:6], "big"), int.from_bytes(digest[6:], "big")))
    return found
