"""Errors of the operating system: which one it is, however a library wraps it, and how to fix it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ensir.errors import InputError

FIXES = {
    errno.ENOSPC: "free some space on this disk",
    errno.EDQUOT: "free some space in your quota",
    errno.EACCES: "make it readable and writable",
    errno.EPERM: "make it readable and writable",
    errno.EROFS: "mount its file system for writing",
    errno.EISDIR: "give the name of a file",
    errno.ENOTDIR: "a file is where a folder should be; give another path",
    errno.EEXIST: "give another path",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ENOENT: "fix the path",
    errno.ELOOP: "fix its symbolic links",
    errno.EMFILE: "allow more open files (`ulimit -n`)",
    errno.EIO: "check the disk and its connection",
    errno.EXDEV: "keep all of a results folder on one file system (`results`, or `--results`, may name any folder)",
}
NO_THREADS = re.compile(
    r"can't start new thread|can't spawn worker thread"
)  # as Python and Rust (obstore) say it
LONGEST = 500  # characters of a reason
# The number, as HDF5, Rust (safetensors, obstore) and Python write it into the text of an error.
NUMBER = re.compile(r"(?:errno = |os error |\[Errno )(\d+)")


def errno_of(error: BaseException) -> int | None:
    """Return the errno of the operating system's error that an error is, wraps or was raised from.

    None where there is none, or none of `FIXES`.
    """
    return next(filter(FIXES.__contains__, map(_own_errno, _chain(error))), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _own_errno(error: BaseException) -> int:
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    text = str(error)
    if match := NUMBER.search(text):
        return int(match[1])
    return next((number for number in FIXES if os.strerror(number) in text), 0)


def described(error: BaseException) -> str | None:
    """Return a line about an error of the operating system: where, what, and how to fix it; None for other errors."""
    if any(NO_THREADS.search(str(link)) for link in _chain(error)):
        return "no more threads can be started; allow more (`ulimit -u`), or use fewer cores, then run again"
    number = errno_of(error)
    if number is None:
        return None
    return f"{_place(error)}: {os.strerror(number)}; {FIXES[number]}, then run again"


def is_failure(error: BaseException) -> bool:
    """Return whether an error is no request to end; those of libraries in Rust are no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _place(error: BaseException) -> str:
    return next((name for link in _chain(error) for name in _names(link)), os.getcwd())


def _names(error: BaseException) -> list[str]:
    """Return the files that an error names; of two, the one that was to be written comes first."""
    names = (getattr(error, name, None) for name in ("filename2", "filename"))
    return [os.fsdecode(name) for name in names if isinstance(name, str | bytes | os.PathLike)]


def fix(error: BaseException, otherwise: str) -> str:
    """Say how to fix an error in reading, depending on what the operating system refused, if anything."""
    number = errno_of(error)
    return otherwise if number is None else FIXES[number]


@contextmanager
def naming(path: Path, partial: Path) -> Iterator[None]:
    """Make errors of the operating system name a result where they name its partial file or nothing.

    Raises
    ------
    OSError
        Also instead of errors of libraries that wrap one.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = errno_of(error)
        named = _names(error)
        if number is None or (named and not any(name.startswith(str(partial)) for name in named)):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def reason(error: BaseException) -> str:
    """Return the first line of an error, of characters that can be shown, without advice to trust a file.

    obstore's errors are pages long; PyTorch's and NumPy's explain how to run what they have just refused.
    """
    text = str(error).strip() or type(error).__name__
    if any(advice in text for advice in ("weights_only", "Weights only load failed", "allow_pickle")):
        return "it is damaged, or holds more than numbers"
    line = text.partition("\n")[0].rstrip(" :")
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:LONGEST]
