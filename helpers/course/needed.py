"""Which cells of a notebook the graded ones need, so that grading runs no others.

A notebook may train for a minute before its exercises, of which most need an import and a toy. Names are
followed from the last line up: a cell is needed if it may set or change a name that is read below it, in a
needed cell, before it is set anew. What an answer reads counts as well, so this is found for each submission.
Not seen is a call that changes an argument where its result has a name (`history = fit(network)`).
"""

import ast
import symtable
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from traitlets import Bool

from helpers.errors import BadInput
from helpers.notebook import sources as notebooks

SKIP = "skip-execution"  # the tag for which nbclient, which runs notebooks for nbgrader, leaves a cell out
DEFINITION = ast.FunctionDef | ast.ClassDef
ALWAYS_SETS = DEFINITION | ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom
CONSTANT = ast.Import | ast.ImportFrom | ast.AnnAssign  # modules and parameters: no call changes them
# a call of these, alone on its line, shows or records something and changes none of its arguments
SHOWING = {"display", "needs", "plots", "plt", "print", "results", "run", "say", "show", "sns", "table"}
ENTRY = "__entry__"  # `metrics["x"]` becomes a name of its own, so that other entries are not needed with it


class Rewritten(ast.NodeTransformer):
    """Makes names of `name["text"]`, and generators of comprehensions: from Python 3.12 on the scope of a
    comprehension is part of the one around, and what it calls x looks like an x of the notebook."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(node.value, ast.Name) and isinstance(key, str):
            return ast.Name(f"{node.value.id}{ENTRY}{key.encode().hex()}", node.ctx)
        return self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp) -> ast.expr:
        return self.generic_visit(ast.GeneratorExp(node.elt, node.generators))

    visit_SetComp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        both = ast.Tuple([node.key, node.value], ast.Load())
        return self.generic_visit(ast.GeneratorExp(both, node.generators))


class Effects:
    """Names that a simple statement reads, sets, sets in any case, and may change in place; and those that
    are read or changed when what it sets is called."""

    def __init__(self, statement: ast.stmt):
        scope = symtable.symtable(ast.unparse(statement), "cell", "exec")
        names = {symbol.get_name(): symbol for symbol in scope.get_symbols()}
        inner, changed = list(globals_within(scope)), set(changed_by(statement))
        within = {name for name, _ in inner}
        self.sets = {name for name, s in names.items() if s.is_assigned() or s.is_imported()}
        self.replaces = self.sets if isinstance(statement, ALWAYS_SETS) else set()
        self.constant = self.sets if isinstance(statement, CONSTANT) else set()
        self.reads = {name for name, symbol in names.items() if symbol.is_referenced()}
        if isinstance(statement, DEFINITION):
            self.changes, self.called_changes, self.called_reads = set(), changed & within, within
        else:
            self.changes, self.called_changes, self.reads = changed, set(), self.reads | within
            self.called_reads = {name for name, later in inner if later}
        if isinstance(statement, ast.AugAssign):
            self.reads |= self.sets


def globals_within(
    table: symtable.SymbolTable, local: frozenset[str] = frozenset(), later: bool = False
) -> Iterator[tuple[str, bool]]:
    """Names of the notebook that functions and generators in a scope read or set, and whether they do so
    when they are called: a generator does at once."""
    for inner in table.get_children():
        names = {symbol.get_name(): symbol for symbol in inner.get_symbols()}
        own = local | {name for name, s in names.items() if not s.is_global() and ENTRY not in name}
        called = later or inner.get_name() != "genexpr"
        yield from ((name, called) for name in names if name.partition(ENTRY)[0] not in own)
        yield from globals_within(inner, own, called)


def changed_by(statement: ast.stmt) -> Iterator[str]:
    """What a statement may change in place: `x` of `x[0] = 1`, of `x.append(1)` and of a line `fit(x)`."""
    for node in ast.walk(statement):
        part = isinstance(node, ast.Subscript | ast.Attribute) or ENTRY in getattr(node, "id", "")
        if part and not isinstance(node.ctx, ast.Load):
            yield root(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            if root(call.func) not in SHOWING:
                owner = [] if isinstance(call.func, ast.Name) else [call.func]
                yield from map(root, [*owner, *(each for each in call.args if isinstance(each, ast.Name))])


def root(node: ast.AST) -> str:
    """The name that an expression begins with: "run" of `run.rng("x").normal`; "" if it begins with none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def looked_at(value: ast.expr) -> ast.stmt:
    """A statement that reads a value and, as it is no call alone, changes nothing."""
    return ast.Expr(ast.Tuple([value], ast.Load()))


def opened(statement: ast.stmt) -> tuple[Sequence[ast.stmt], Sequence[Sequence[ast.stmt]]]:
    """What a compound statement does first, and blocks of which one comes then; ([], []) of a simple one."""
    match statement:
        case ast.If(test=head, body=body, orelse=other) | ast.While(test=head, body=body, orelse=other):
            return [looked_at(head)], [body, other]
        case ast.For(target=target, iter=head, body=body, orelse=other):
            return [looked_at(head)], [[ast.Assign([target], ast.Constant(0), lineno=0), *body], other]
        case ast.With(items=items, body=body):
            made = [(item.optional_vars, item.context_expr) for item in items]
            return [ast.Assign([to], head, lineno=0) if to else looked_at(head) for to, head in made], [body]
        case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=last):
            caught = [[*([looked_at(h.type)] if h.type else []), *h.body, *last] for h in handlers]
            return [], [[*body, *other, *last], *caught, []]
    return [], []


class Names:
    """How the names of a notebook depend on each other."""

    def __init__(self, cells: Sequence[NotebookNode]):
        self.opened, self.effects = cache(opened), cache(Effects)
        self.cells = [parsed(cell.source) for cell in cells]  # statements, or None where they are no Python
        self.called_reads, self.called_changes = defaultdict(set), defaultdict(set)
        self.entries, self.constant = defaultdict(set), set()
        for one in [effects for cell in self.cells for effects in self.within(cell or [])]:
            for name in one.sets:
                self.called_reads[name] |= one.called_reads
                self.called_changes[name] |= one.called_changes
            self.constant |= one.constant
            for name in one.sets | one.reads | one.called_reads | one.changes:
                self.entries[name.partition(ENTRY)[0]].add(name)

    def within(self, block: Iterable[ast.stmt]) -> Iterator[Effects]:
        """The effects of all simple statements in a block."""
        for statement in block:
            first, blocks = self.opened(statement)
            for inner in [first, *blocks]:
                yield from self.within(inner)
            if not blocks:
                yield self.effects(statement)

    def read(self, one: Effects) -> set[str]:
        """What is read by a statement and by all that it may call."""
        found, todo = set(), list(one.reads)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += self.called_reads.get(name, ())
        return found.union(*({name.partition(ENTRY)[0]} | self.parts(name) for name in found))

    def parts(self, name: str) -> set[str]:
        """A name, and its entries unless it is one."""
        return {name} | self.entries.get(name, set())

    def changed(self, one: Effects) -> set[str]:
        """What a statement, and what it may call, sets or changes."""
        called = set().union(*(self.called_changes.get(name, ()) for name in self.read(one)))
        return set().union(*map(self.parts, one.sets | (one.changes | called) - self.constant))

    def before(self, block: Sequence[ast.stmt], live: set[str]) -> set[str]:
        """The names whose values matter before a block, if those in `live` matter after it."""
        for statement in reversed(block):
            first, blocks = self.opened(statement)
            if blocks:
                live = self.before(first, set().union(*(self.before(inner, live) for inner in blocks)))
            else:
                one = self.effects(statement)
                live = live.difference(*map(self.parts, one.replaces)) | self.read(one)
        return live


def parsed(source: str) -> list[ast.stmt] | None:
    try:
        return Rewritten().visit(notebooks.parse(source, "cell")).body
    except BadInput:
        return None


def needed(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells that the graded cells need, and these, in order; also those that are no Python, which
    fail by themselves."""
    cells = notebooks.code_cells(notebook)
    names, chosen, live = Names(cells), [], set()
    for cell, block in reversed(list(zip(cells, names.cells, strict=True))):
        about = cell.metadata.get("nbgrader", {})
        wanted = block is None or about.get("grade") or about.get("solution") or "start(" in cell.source
        wanted = wanted or "parameters" in cell.metadata.get("tags", [])
        if wanted or any(live & names.changed(one) for one in names.within(block)):
            chosen.append(cell)
            live = names.before(block or [], live)
    return chosen[::-1]


class OnlyNeeded(Preprocessor):
    """For `nbgrader autograde`, before it executes a submission: what is not needed gets the tag by which it
    is left out."""

    enabled = Bool(True).tag(config=True)

    def preprocess(self, nb, resources):
        run = {id(cell) for cell in needed(nb)}
        for cell in notebooks.code_cells(nb):
            tags = [tag for tag in cell.metadata.get("tags", []) if tag != SKIP]
            cell.metadata["tags"] = tags if id(cell) in run else [*tags, SKIP]
        return nb, resources
