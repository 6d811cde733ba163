"""The index of a shared dataset: its images and how they were made, as the root of its store tells, without any pixels.

Names come from others and become names of files here, so none is taken that could lead out of a folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from ensir.errors import InputError
from ensir.storage.shared import NOT_OURS, SharedStore, is_url

STATED = ("licence", "citation")
FACTS = ("bits", "value_range", "scale", "degradation", "targets", "grey", "kernel_digest", *STATED)
DIGEST = re.compile("[0-9a-f]{64}")
LONGEST_NAME, LONGEST_COMPONENT = 1000, 240  # bytes: files are called by names, and what is added to them
LONGEST_STORY = 2**20  # bytes, without how inputs were made
LARGEST, LARGEST_SCALE = 2**28, 64  # pixels of an image; its size over that of its input


class IndexedImage(NamedTuple):
    """An image of a shared dataset: its part and position there, its size, and digests of target and input, if any."""

    part: str
    position: int
    height: int
    width: int
    target: str
    input: str


class Index:
    """What the root of a shared dataset tells.

    Parameters
    ----------
    shared : SharedStore

    Attributes
    ----------
    images : dict
        An `IndexedImage` by name.
    facts : dict
        The attributes that all parts share: depth, scale, degradation, licence and others.
    channels : int
    versions : dict
        What the publisher made each part with.
    has_inputs : bool

    Raises
    ------
    InputError
        It is no dataset, or one that no version of ours has written.
    """

    def __init__(self, shared: SharedStore):
        location, attributes = shared.location, [shared.attributes(part) for part in shared.parts]
        kinds = {str(held.get("kind")) for held in attributes} - {"dataset"}
        if kinds or not attributes:
            raise InputError(
                f"{location}: holds {kinds.pop() if kinds else 'nothing'!r}, not a dataset; fix the path"
            )
        if shared.index is None:
            raise InputError(
                f"{location}: its root names no sizes of images, as an earlier version sealed it; run its "
                "configuration again where it was made, which seals it anew, and publish it again"
            )
        facts = [{name: held[name] for name in FACTS if name in held} for held in attributes]
        if any(held != facts[0] for held in facts):
            raise InputError(f"{location}: its parts were made with different settings; {NOT_OURS}")
        self.facts, self.images = facts[0], dict[str, IndexedImage]()
        self.versions = {part: shared.attributes(part).get("versions") for part in shared.parts}
        told = [{**self.facts, "degradation": None}, self.versions]
        if (size := len(json.dumps(told))) > LONGEST_STORY:
            raise InputError(
                f"{location}: tells in {size:,} bytes how it was made, and at most {LONGEST_STORY:,} are read; "
                f"{NOT_OURS}"
            )
        try:
            indexed = [shared.index[part] for part in shared.parts]
            (self.channels,) = {columns["channels"] for columns in indexed}
            (self.has_inputs,) = {"input_digest" in columns for columns in indexed}
            for part, held, columns in zip(shared.parts, attributes, indexed, strict=True):
                self._add(part, held["images"], columns)
            self._check_facts()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{location}: its root holds no index of its images; {NOT_OURS}") from error

    def _check_facts(self) -> None:
        """Raise a ValueError or KeyError for facts that no version writes; `check_degradation` checks one more."""
        facts, bits = self.facts, self.facts["bits"]
        known = (
            all(type(number) is int and number >= 1 for number in (self.channels, self.scale))
            and bits in (8, 16)
            and facts["value_range"] == [0, 2**bits - 1]
            and self.scale <= LARGEST_SCALE
            and facts.get("grey") in (None, "replicate")
            and type(facts.get("targets", True)) is bool
            and "degradation" in facts
            and all(isinstance(facts[name], str | None) for name in STATED)
        )
        if not known:
            raise ValueError

    def _add(self, part: str, names: list[str], columns: dict[str, Any]) -> None:
        nothing = [""] * len(names)
        targets = columns["digest"] if self.has_targets else nothing
        inputs = columns["input_digest"] if self.has_inputs else nothing
        rows = zip(names, columns["height"], columns["width"], targets, inputs, strict=True)
        for position, (name, height, width, target, degraded) in enumerate(rows):
            if name in self.images or not _is_name(name):
                raise ValueError
            if (
                not all(type(side) is int and side > 0 for side in (height, width))
                or height * width > LARGEST
            ):
                raise ValueError
            if any(digest and not DIGEST.fullmatch(digest) for digest in (target, degraded)):
                raise ValueError
            self.images[name] = IndexedImage(part, position, height, width, target, degraded)

    @property
    def has_targets(self) -> bool:
        """Whether there are targets."""
        return self.facts.get("targets", True) is not False

    @property
    def scale(self) -> int:
        """Size of a target over the size of its input."""
        return self.facts["scale"]

    @property
    def described(self) -> dict[str, Any]:
        """The section of a dataset in folders that holds the same, where paths do not matter."""
        found: dict[str, Any] = {"kind": "folder", "scale": self.scale}
        if self.has_targets:
            found["target"] = "{dataset}"
        if self.has_inputs and self.facts["degradation"] and self.has_targets:
            return found | {"degradation": self.facts["degradation"]}
        return found | ({"input": "{dataset}"} if self.has_inputs else {})

    def content(self, names: list[str]) -> str:
        """Return a digest of some images and of how they were made, wherever they are and in whichever parts.

        Licence and citation are no part of it: whoever copies a dataset may state them.
        """
        images = [(name, *self.images[name][2:]) for name in names]
        facts = {name: value for name, value in self.facts.items() if name not in STATED}
        text = json.dumps([facts, self.channels, images], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _is_name(name: Any) -> bool:
    """Return whether a name stays in the folder that files of this name are written to."""
    if not isinstance(name, str) or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        return False
    components = name.split("/")
    return not set(name) & set("{}<>\\") and all(
        component not in ("", ".", "..") and len(component.encode()) <= LONGEST_COMPONENT
        for component in components
    )


def read(location: str, digest: str | None, copy: str) -> Index:
    """Read the index of a shared dataset; where all of it was copied from a URL already, that of the copy.

    Parameters
    ----------
    location : str
        Path or URL.
    digest : str or None
        SHA-256 that its root must have.
    copy : str
        The store that its images are copied to.

    Raises
    ------
    InputError
        It cannot be reached, is another one, is no dataset, or is damaged.
    """
    if digest and is_url(location):
        try:
            held = SharedStore(copy)
            if held.published == digest:
                return Index(held)
        except InputError:  # there is none yet, or none that is sound
            pass
    return Index(SharedStore(location, digest))
