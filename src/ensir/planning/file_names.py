"""What the names of files and folders tell: words for targets and inputs, known test sets, numbered scenes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

Role = Literal["target", "input"]
ROLES: dict[Role, re.Pattern[str]] = {
    "target": re.compile(
        r"gts?|gtmod\d*|ground|groundtruth|truth|targets?|sharp|clean|clear|hr|hq|norain|original|high|label"
    ),
    "input": re.compile(
        r"lq|lr|lr(bic)?x?\d*|blur|blurry|blurred|noisy|noise|rain|rainy|hazy|haze|low|inputs?|degraded|bicubic"
    ),
}
REFERENCE = re.compile(r"ref|reference|train|training|val|valid|validation|dev")
TEST = re.compile(r"tests?|testing|eval|benchmark")
HIDDEN = re.compile(r"hidden|challenge")  # tests whose targets nobody has
BENCHMARK = re.compile(
    r"set5|set14|c?bsds?68|b(sds?)?100|urban100|manga109|kodak24|mcmaster|rain100[hl]|test100|test1200|test2800|hide"
    r"|gopro|realblur|sidd|dnd|div2k|reds\d*|live1|classic5"
)
PART = re.compile(r"\{\w+(?:,[^{}]*)?\}")  # a named part of a pattern
GENERIC = re.compile(
    r"results?|outputs?|out|preds?|predictions?|restored|visualization|images?|imgs?|models?|data|datasets?|sr|png|x\d|tests?|train"
)
TOKEN = re.compile(r"x\d+(?![^\W_])|[^\W_]+?(?=x\d+(?![^\W_]))|[^\W_]+|[\W_]", re.IGNORECASE)


def tokens(text: str) -> list[str]:
    """Split a name into words, numbers, scales and what stands between: ``baby``, ``x4``; ``a``, ``_``, ``1``."""
    return TOKEN.findall(text)


@lru_cache(4096)  # folders occur in many paths
def runs(text: str) -> tuple[tuple[int, int], ...]:
    """Return start and end of every run of tokens in a name, the longest first, then the last."""
    spans = [found.span() for found in TOKEN.finditer(text)]
    pairs = [(start, end) for i, (start, _) in enumerate(spans) for _, end in spans[i:]]
    return tuple(sorted(pairs, key=lambda pair: (pair[0] - pair[1], -pair[0])))


@lru_cache(4096)
def run_texts(text: str) -> frozenset[str]:
    """Return every run of tokens in a name."""
    return frozenset(text[start:end] for start, end in runs(text))


def role(text: str) -> tuple[Role, int] | None:
    """Return the first word for targets or inputs in a name, and which token it is."""
    for place, token in enumerate(tokens(text)):
        for kind, words in ROLES.items():
            if words.fullmatch(token.lower()):
                return kind, place
    return None


def without_role(text: str) -> str:
    """Return what a name says besides a role."""
    return "".join(token for token in tokens(text) if not role(token)).strip("_-. ")


def says(words: re.Pattern[str], text: str) -> bool:
    """Return whether a name is one of some words, or contains it between separators."""
    return any(words.fullmatch(part) for part in (text.lower(), *re.split(r"[\W_]+", text.lower())))


def are_sets(names: Iterable[str]) -> bool:
    """Return whether folders are called as sets of images are."""
    return any(says(words, name) for words in (REFERENCE, TEST, BENCHMARK) for name in names)


def are_scenes(names: list[str]) -> bool:
    """Return whether folders look like the scenes of one set: many, or called alike but for numbers."""
    if are_sets(names):
        return False
    first = {re.sub(r"\d+", "#", tokens(name)[0].lower()) for name in names}
    return len(names) > 8 or (len(first) == 1 and "#" in first.pop())


def as_name(text: str) -> str:
    """Return a text as the name of a dataset or a model, without accents."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_") or "unnamed"


def model_names(paths: list[str]) -> dict[str, str]:
    """Name models after what their paths do not share."""
    stems = {path: path.rpartition(".")[0] for path in paths}
    in_names = [set(tokens(stem.rpartition("/")[2])) for stem in stems.values()]
    always = set.intersection(*in_names) if len(paths) > 1 else set()
    words = {}
    for path, stem in stems.items():
        *folders, last = stem.split("/")
        pieces = [piece.strip("_-. @") for folder in folders for piece in PART.split(folder)]
        pieces += [_without_ends(piece, always) for piece in PART.split(last)]
        words[path] = [piece for piece in pieces if piece and not GENERIC.fullmatch(piece.lower())]
    shared = set.intersection(*map(set, words.values())) if len(paths) > 1 else set()
    names: dict[str, str] = {}
    for path in paths:
        own = [word for word in words[path] if word not in shared] or words[path] or ["model"]
        name = as_name(own[0] if len(paths) > 1 else own[-1])
        taken = [*names.values()]
        names[path] = next(n for n in (name, *(f"{name}_{i}" for i in range(2, 999))) if n not in taken)
    return names


def _without_ends(piece: str, always: set[str]) -> str:
    """Return a piece of a file name without the tokens at its ends that the names of all models hold."""
    words = tokens(piece)
    while words and (words[0] in always or not words[0].isalnum()):
        words.pop(0)
    while words and (words[-1] in always or not words[-1].isalnum()):
        words.pop()
    return "".join(words)
