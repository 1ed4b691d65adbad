"""The one exception for input that a user can mend."""


class BadInput(ValueError):
    """Names the file, row or parameter, what was expected, and what to do. Shown as one line."""

    def _render_traceback_(self) -> list[str]:
        # Jupyter calls this: a student should read the remedy, not our call stack
        return [f"BadInput: {self}"]
