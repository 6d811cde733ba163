"""EnsIR-flow: ensembles of image-restoration models over chunked Zarr stores."""

__version__ = "0.1.0"


class InputError(ValueError):
    """Bad input from outside: the message names the file, the key and the mend."""
