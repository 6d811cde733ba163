"""Files that say how images were degraded: blur kernels, and masks of the known pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.images.image_files import is_lossy, read
from ensir.storage.failures import fix, reason

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


def kernel_files(degradation: dict[str, Any] | None) -> list[str]:
    """Return the file that a blur takes its kernel from; empty for kernels of a given shape."""
    path = (degradation or {}).get("kernel", "")
    return [path] if "." in path else []


def read_kernel(path: str, number: int = 1, mirrored: bool = False) -> Float[np.ndarray, "high wide"]:
    """Read a blur kernel from a ``.mat``, ``.npy`` or image file.

    Parameters
    ----------
    path : str
    number : int
        Number, from one, of the matrix in a ``.mat`` file, or of the cell in its cell array.
    mirrored : bool
        Rotate it by 180°.

    Returns
    -------
    float64 array, (height, width)
        With odd sides, not negative, of sum one.

    Raises
    ------
    InputError
        Not a kernel.
    """
    try:
        if path.endswith(".npy"):
            kernels = [np.load(path, allow_pickle=False)]
        elif path.endswith(".mat"):
            from scipy.io import loadmat

            matrices = [value for name, value in loadmat(path).items() if not name.startswith("__")]
            kernels = [
                cell for value in matrices for cell in (value.ravel() if value.dtype == object else [value])
            ]
        else:
            if is_lossy(path):
                raise InputError(
                    f"{path}: is a lossy image, whose values are not the kernel's; save the kernel as PNG, .npy or .mat"
                )
            kernels = [read(path).mean(axis=2)]
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read as a kernel ({reason(error)}); {fix(error, 'replace the file')}"
        ) from error
    if not 1 <= number <= len(kernels):
        raise InputError(f"{path}: holds {len(kernels)} kernels, and no number {number}; fix `number`")
    value = np.asarray(kernels[number - 1])
    numbers = value.ndim == 2 and value.dtype.kind in "fiu" and np.isfinite(value).all()
    if not numbers or value.min() < 0 or value.sum() == 0:
        raise InputError(f"{path}: kernel {number} is not a matrix of numbers from zero on; replace the file")
    if not value.shape[0] % 2 == value.shape[1] % 2 == 1:
        raise InputError(
            f"{path}: kernel {number} has {value.shape[0]}×{value.shape[1]} values; both sides must be odd"
        )
    value = np.asarray(value / value.sum(), np.float64)
    return value[::-1, ::-1] if mirrored else value


def read_mask(path: str) -> Bool[np.ndarray, "height width"]:
    """Return which pixels of an image are known, from an image that is black where they are missing.

    Known are those brighter than half of the brightest: masks hold 0 and 1, 0 and 255, or, after lossy compression or
    resizing, values in between.
    """
    brightest = read(path).max(axis=2).astype(np.int64)
    return 2 * brightest > max(brightest.max(), 1)
