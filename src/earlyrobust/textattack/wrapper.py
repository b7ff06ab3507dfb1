"""A classifier as TextAttack wants its victims: called with texts, it answers with class probabilities."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earlyrobust.attacks.engine import Ask, Server
from earlyrobust.attacks.models import Victim

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Where TextAttack keeps the base class of its wrappers.
_BASES = "textattack.models.wrappers"


class TextAttackWrapper:
    """Lets TextAttack's recipes attack a classifier: `TextFoolerJin2019.build(TextAttackWrapper(...))`.

    TextAttack asks a wrapper for `model`, whose class it looks at, and calls it with texts. It reads the
    same tokens as the attacks of this package, and answers with the same probabilities.

    Recipes that ask for gradients cannot use it.

    Args:
        model: Any sequence classifier, cut or not; it is in evaluation mode afterwards, and stays on its
            device.
        tokenizer: Its tokenizer.
        max_length: Most tokens of a text that the model is to read; None for as many as it reads.

    Attributes:
        tokenizer: The tokenizer.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int | None = None
    ) -> None:
        self.tokenizer = tokenizer
        # Within a tuple, where TextAttack does not look for modules to move to a device of its own. What the
        # victim has made of this one would stay behind.
        self._kept = (model,)
        self._victim = Victim(model, tokenizer, max_length)
        self._server = Server.of(model.device)
        # `textattack attack --model-from-file` insists on the base class. Whoever needs it has loaded it.
        bases: Any = sys.modules.get(_BASES)
        if bases is not None:
            bases.ModelWrapper.register(TextAttackWrapper)

    @property
    def model(self) -> PreTrainedModel:
        """The classifier, whose class TextAttack looks at."""
        return self._kept[0]

    def __call__(self, text_input_list: Sequence[str | Sequence[str]], **kwargs: Any) -> NDArray[np.float64]:
        """Answer texts.

        Args:
            text_input_list: Strings, or tuples of two strings.
            kwargs: Not used.

        Returns:
            Class probabilities, shape (texts, classes). Each row sums to 1 in double precision, so that
            TextAttack takes the rows for probabilities, and not for logits.

        Raises:
            ModelError: If the classifier's answers are not numbers.
        """
        inputs = [(text,) if isinstance(text, str) else tuple(text) for text in text_input_list]
        answers = self._server.answer([Ask(self._victim, inputs)])[0]
        shape = (len(inputs), self.model.config.num_labels)
        probabilities: NDArray[np.float64] = np.asarray(answers, np.float64).reshape(shape)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities
