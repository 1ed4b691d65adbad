"""Reading notebooks without running them."""

import ast


def assigned_names(source: str) -> list[str]:
    """The names that the statements of a cell assign at its top level."""
    names = []
    for statement in ast.parse(source).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        names += [t.id for t in targets if isinstance(t, ast.Name)]
    return names
