"""The one error that users see without a traceback."""


class InputError(ValueError):
    """Bad input from outside: the message names the file, the key and the fix."""
