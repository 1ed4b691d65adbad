"""The exceptions for what a user can mend, and for what the data cannot tell."""


class BadInput(ValueError):
    """Names the file, row or parameter, what was expected, and what to do. Shown as one line."""

    def _render_traceback_(self) -> list[str]:
        # Jupyter calls this: a student should read the remedy, not our call stack
        return [f"{type(self).__name__}: {self}"]


class NotTestable(BadInput):
    """The data lack what a notebook needs. Nothing is wrong: the runner tells so and goes on."""


class TooFew(BadInput):
    """Too few users, items or cases are left to measure something; see `Conclusions.measuring`."""
