"""What the worker computes: the text of a document, and its keywords."""

import io
import re
from collections import Counter

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from stop_words import get_stop_words

from apps.common.errors import RefusedError

PDF, PLAIN = "application/pdf", "text/plain"
TEXT_MAX_CHARACTERS = 1_000_000
KEYWORDS_MAX = 10
KEYWORD_WORDS_MAX = 3

_STOP_WORDS = frozenset(get_stop_words("en"))
_WORD = re.compile(r"[^\W\d_][\w'-]*")
# What ends a phrase, besides a stop word.
_BREAK = re.compile(r"[^\w\s'-]|\n\s*\n|\d+")


def extract(content: bytes, media_type: str) -> str:
    """The text of a document. Raises `RefusedError` for one that can't be read, with the reason."""
    text = _pdf(content) if media_type == PDF else content.decode("utf-8", "replace")
    # PostgreSQL stores no NUL characters.
    text = text.replace("\0", "").strip()
    if not text:
        raise RefusedError("the document contains no text")
    if len(text) > TEXT_MAX_CHARACTERS:
        raise RefusedError(f"the document has more than {TEXT_MAX_CHARACTERS} characters")
    return text


def _pdf(content: bytes) -> str:
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted:
            raise RefusedError("the PDF is encrypted")
        return "\n\n".join(page.extract_text() for page in reader.pages)
    # pypdf raises errors of Python too for a malformed file.
    except (
        PyPdfError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise RefusedError("the PDF is malformed") from error


def keywords(text: str) -> list[str]:
    """The best keywords of an English text, best first.

    RAKE (Rose, Engel, Cramer and Cowley, "Automatic Keyword Extraction from Individual Documents",
    2010): phrases are what stop words and punctuation separate. The score of a word is the sum of
    the lengths of its phrases by its frequency; that of a phrase is the sum of its words' scores.
    """
    phrases = [
        phrase
        for part in _BREAK.split(text.lower())
        for phrase in _phrases(_WORD.findall(part))
        if len(phrase) <= KEYWORD_WORDS_MAX
    ]
    frequency = Counter(word for phrase in phrases for word in phrase)
    degree: Counter[str] = Counter()
    for phrase in phrases:
        degree.update(dict.fromkeys(phrase, len(phrase)))
    scores = {
        phrase: sum(degree[word] / frequency[word] for word in phrase) for phrase in set(phrases)
    }
    times = Counter(phrases)
    # Of phrases with one score, the more frequent comes first.
    best = sorted(scores, key=lambda phrase: (-scores[phrase], -times[phrase], phrase))
    return [" ".join(phrase) for phrase in best[:KEYWORDS_MAX]]


def _phrases(words: list[str]) -> list[tuple[str, ...]]:
    """Splits words at stop words."""
    phrases: list[tuple[str, ...]] = []
    phrase: list[str] = []
    for word in [*words, None]:
        if word is not None and word not in _STOP_WORDS:
            phrase.append(word)
        elif phrase:
            phrases.append(tuple(phrase))
            phrase = []
    return phrases
