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

# The key of a text is a hash of 96 bits, split into two halves that a float64 represents exactly.
_Key = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class FATConfig(AscentConfig):
    """Settings of FAT.

    Attributes:
        step_size: Length of the ascent step. Default: 0.2 (the release for IMDB).
    """

    step_size: float = 0.2


class FAT(Adversary):
    """Trains on the perturbation after one ascent, which starts in the direction of the last epoch's ascent.

        δ₀ ~ U(0, 1)·sign(d)·ε₀/√(tokens·D)
        d ← ∇_δ L(δ₀)
        δ ← Π(δ₀ + α d/‖d‖₂)
        g_θ ← ∇_θ L(δ)

    In the first line, d is the direction of the ascent in the last epoch. A text without one starts from
    U(−1, 1) in place of U(0, 1)·sign(d).

    As in the release, the step trains only on the perturbed texts. The adversary remembers the signs of d for
    each text, which it identifies by its tokens. Checkpoints hold these signs. Text noise changes the texts
    from epoch to epoch, so most starts are random under it. With initial_magnitude 0 and step_size 0, FAT is
    plain training.
    """

    Config = FATConfig
    config: FATConfig

    def cost(self, layers: int) -> float:
        """Return the cost of a pass, and of an ascent if `step_size` is positive."""
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
    """Stores the signs of the last ascent direction of each text, one bit for each entry.

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
            tokens: Token ids, shape (B, T).
            mask: True at tokens, False at padding, shape (B, T).
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
        """Store the signs of the directions of all processes.

        Each process stores the signs of all, because a text may be in the batch of another process in the
        next epoch.

        Args:
            tokens: Token ids, shape (B, T).
            mask: True at tokens, False at padding, shape (B, T).
            direction: The directions, shape (B, T, D).
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
        """Write the memory as three tensors: the keys, the lengths of the bits, and the concatenated bits."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        keys = np.array(list(self._bits), np.int64).reshape(-1, 2)
        lengths = np.array([len(bits) for bits in self._bits.values()], np.int64)
        bits = np.concatenate([np.zeros(0, np.uint8), *self._bits.values()])
        for name, values in zip(self._STATE, (keys, lengths, bits), strict=True):
            destination[prefix + name] = torch.from_numpy(values)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """Read the tensors that `_save_to_state_dict` wrote."""
        super()._load_from_state_dict(state_dict, prefix, *args)
        unexpected = args[3]  # of load_state_dict, where it lists these tensors, which are no buffers
        names = [prefix + name for name in self._STATE]
        if not all(name in state_dict for name in names):
            return
        unexpected[:] = [name for name in unexpected if name not in names]
        keys, lengths, bits = (state_dict[name].cpu().numpy() for name in names)
        parts = np.split(bits, np.cumsum(lengths)[:-1]) if len(lengths) else []
        self._bits = dict(zip(map(tuple, keys.tolist()), parts, strict=True))


def _keys(tokens: Tensor, valid: NDArray[np.bool_]) -> list[_Key]:
    """Return the key of each text, a hash of its tokens."""
    found = []
    for ids, places in zip(tokens.cpu().numpy(), valid, strict=True):
        digest = hashlib.blake2b(ids[places].astype("<i8").tobytes(), digest_size=12).digest()
        found.append((int.from_bytes(digest[:6], "big"), int.from_bytes(digest[6:], "big")))
    return found
