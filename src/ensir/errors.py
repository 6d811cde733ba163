"""The one error that is told to people without a traceback."""


class InputError(ValueError):
    """Bad input from outside: the message names the file, the key and the fix."""
