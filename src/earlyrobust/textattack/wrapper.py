"""A wrapper that lets TextAttack attack a classifier: it takes texts and returns class probabilities."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earlyrobust.attacks.asks import Ask
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.server import Server

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Where TextAttack keeps the base class of its wrappers.
_BASES = "textattack.models.wrappers"


class TextAttackWrapper:
    """Lets TextAttack's recipes attack a classifier: `TextFoolerJin2019.build(TextAttackWrapper(...))`.

    The wrapper reads the same tokens as the attacks of this package, and returns the same probabilities.
    TextAttack calls it with texts, and reads `model` for the class of the classifier.

    Recipes that need gradients cannot use it.

    Args:
        model: Any sequence classifier, cut or not. It is put into evaluation mode and stays on its device.
        tokenizer: The model's tokenizer.
        max_length: Maximum number of tokens of a text that the model reads; None for the model's own limit.

    Attributes:
        tokenizer: The tokenizer.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int | None = None
    ) -> None:
        self.tokenizer = tokenizer
        # TextAttack moves modules that it finds to its own device, but it does not look into tuples. The
        # victim's own copy of the model would stay on the old device.
        self._kept = (model,)
        self._victim = Victim(model, tokenizer, max_length)
        self._server = Server.of(model.device)
        # `textattack attack --model-from-file` requires the base class. In that case it is already imported.
        bases: Any = sys.modules.get(_BASES)
        if bases is not None:
            bases.ModelWrapper.register(TextAttackWrapper)

    @property
    def model(self) -> PreTrainedModel:
        """The classifier; TextAttack reads its class."""
        return self._kept[0]

    def __call__(self, text_input_list: Sequence[str | Sequence[str]], **kwargs: Any) -> NDArray[np.float64]:
        """Return class probabilities for some texts.

        Args:
            text_input_list: Strings, or tuples of two strings.
            kwargs: Not used.

        Returns:
            Class probabilities, shape (texts, classes). Each row sums to 1 in double precision, so that
            TextAttack treats the rows as probabilities and not as logits.

        Raises:
            ModelError: If the classifier's answers are not numbers.
        """
        inputs = [(text,) if isinstance(text, str) else tuple(text) for text in text_input_list]
        answers = self._server.answer([Ask(self._victim, inputs)])[0]
        shape = (len(inputs), self.model.config.num_labels)
        probabilities: NDArray[np.float64] = np.asarray(answers, np.float64).reshape(shape)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities
