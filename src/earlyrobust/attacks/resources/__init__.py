"""Resources that attacks use besides the victim: neighbours of words, taggers, stop words, and models."""

from earlyrobust.attacks.resources.antonyms import WithoutAntonyms, load_antonyms
from earlyrobust.attacks.resources.collection import Resources
from earlyrobust.attacks.resources.lists import NeighbourLists, read_lists, wordnet_synonyms
from earlyrobust.attacks.resources.neighbours import Neighbours, load_neighbours
from earlyrobust.attacks.resources.stopwords import nltk_stop_words, textfooler_stop_words
from earlyrobust.attacks.resources.tagging import NltkTagger, PatternTagger, Tagger, load_tagger
from earlyrobust.attacks.resources.vectors import WordVectors, embedding_neighbours

__all__ = [
    "NeighbourLists",
    "Neighbours",
    "NltkTagger",
    "PatternTagger",
    "Resources",
    "Tagger",
    "WithoutAntonyms",
    "WordVectors",
    "embedding_neighbours",
    "load_antonyms",
    "load_neighbours",
    "load_tagger",
    "nltk_stop_words",
    "read_lists",
    "textfooler_stop_words",
    "wordnet_synonyms",
]
