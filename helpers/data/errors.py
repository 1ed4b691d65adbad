"""The one exception for input that a user can mend."""


class BadInput(ValueError):
    """Names the file, row or parameter, what was expected, and what to do. Shown as one line."""
