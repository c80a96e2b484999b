"""Which code decides a result: the definitions that it uses, and those that they use, found by reading the source.

A digest of them changes when what is computed may change. Comments, docstrings, the layout of lines, a definition that
nothing uses, and the file that one stands in change nothing. All names in the code are followed, also those that a
function imports for itself, and types of arguments, whose methods are called; what stands under `if TYPE_CHECKING` is
not. A module that the code names by a string, as a family or a source, has to be named by whoever asks.
"""

import ast
import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple, TypeGuard

HOME = Path(__file__).parent.parent
PACKAGES = ("gen", "pipelines")

DECIDES_NOTHING = frozenset(
    f"{package}.{module}"
    for package, modules in {
        # They refuse what is wrong, or hand it on as it stands in the params, which count by themselves.
        "gen": ("blame", "errors", "secrets", "settings"),
        "gen.config": ("consistency", "file", "load", "params"),
        # They move bytes that are verified by their sha256 or written whole, or show how far they have come.
        "gen.data": ("download", "fetch", "folder", "progress"),
        # They record, and tell runs apart by all of this; checkpoints are verified too.
        "gen.training": ("checkpoint", "identity", "journal", "profiling", "storage"),
        # They tell people.
        "pipelines.sweeps": ("progress",),
        "pipelines.tracking": (
            *("added", "changes", "facts", "interrupted", "moved", "names", "notes", "provenance", "recorder"),
            *("registry", "results", "store", "stored", "tracker", "unsent"),
        ),
        # They start, watch and end processes.
        "pipelines": ("cli",),
        "pipelines.runtime": (
            *(
                "above",
                "background",
                "cluster",
                "command",
                "fit",
                "forkserver",
                "jobs",
                "mailbox",
                "patience",
                "progress",
                "stage",
                "travel",
                "warm",
                "worker",
            ),
        ),
    }.items()
    for module in modules
) | {"gen.code"}
"""Modules that are not followed. Any other counts: rather too much is built again than too little."""
SECTIONS = ("Config", "Sweep")
"""Classes that say what a section of a params file holds, in modules that are followed.

The defaults of their fields are left out here. A run's identity has the values they stand for, written out or not; DVC,
which sees only what is written, has `defaults`.
"""


class Definition(NamedTuple):
    """A statement of a module: a function, a class, an assignment."""

    module: str
    text: str
    """Its syntax tree, without docstrings, written out."""
    uses: frozenset[str]
    """The names in it, with their attributes: `torch.nn.Linear`."""


Names = Mapping[str, Sequence[Definition | str]]
"""What each name of a module is bound to: definitions in it, or the dotted path of what is imported.

The empty name has what else is done when the module is imported.
"""


@functools.cache
def code_digest(*roots: str) -> str:
    """sha256 of the code behind modules (`gen.training.loop`) and definitions (`gen.training.scores.Coordinates`).

    Within a process it is of the code as it was when it was first asked for: as it is in use.
    """
    return _digest(used(*roots).values())


def used(*roots: str) -> dict[Definition, str]:
    """The definitions behind the roots, each with a digest of its text and of what its names stand for.

    Raises:
        ValueError: a root is not of gen or pipelines, or in a module that is not followed.
    """
    todo = [one for root in roots for one in look_up(root)]
    found: dict[Definition, str] = {}
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            raise ValueError(f"{one}: not among the code that counts")
        if one not in found:
            found[one], further = links(one)
            todo += further
    return found


@functools.cache
def links(one: Definition) -> tuple[str, list[Definition]]:
    """A digest of a definition's text and of what its names stand for; and of those, the definitions."""
    parts, further = [one.text], []
    for name in sorted(one.uses):
        if meant := bound(one.module, name):
            further += [each for each in meant if isinstance(each, Definition)]
            parts.append(f"{name} = {_digest(each if isinstance(each, str) else each.text for each in meant)}")
    return _digest(parts), further


def defaults(*sections: str) -> str:
    """What a params file may leave out of sections (`gen.families.dcgan.Config`), and what it then stands for."""
    found = []
    for section in sections:
        module, _, name = section.rpartition(".")
        file = file_of(module)
        assert file is not None, section
        try:
            body = ast.parse(file.read_text(encoding="utf-8")).body
        except SyntaxError:  # the digest of its code has all of its text
            continue
        for kind in (one for one in body if isinstance(one, ast.ClassDef) and one.name == name):
            for field in (one for one in kind.body if isinstance(one, ast.AnnAssign) and one.value is not None):
                further = {one.arg: one.value for one in field.value.keywords} if _is_field(field.value) else {}
                if default := further.get("default", None if further else field.value):
                    found.append(f"{name}.{ast.unparse(field.target)} = {_written(default)}")
    return "\n".join(found)


def look_up(path: str) -> list[Definition | str]:
    """What a dotted path stands for: definitions, for a module all it has; the path itself where it is not followed."""
    module = path
    while module and not file_of(module):
        module = module.rpartition(".")[0]
    if not module or module in DECIDES_NOTHING:
        return [path]
    name = path[len(module) + 1 :]
    found = bound(module, name) if name else []
    own = [one for each in read(module).values() for one in each if isinstance(one, Definition)]
    return [*found, *read(module).get("", [])] if found else list(own)


def bound(module: str, name: str) -> list[Definition | str]:
    """What a name with its attributes, used in a module, stands for; nothing for a local or a built-in one."""
    first, _, rest = name.partition(".")
    found: list[Definition | str] = []
    for one in read(module).get(first, []):
        found += [one] if isinstance(one, Definition) else look_up(f"{one}.{rest}".rstrip("."))
    return found


@functools.cache
def file_of(module: str) -> Path | None:
    """The source of a module of gen or pipelines; None of any other."""
    first, *rest = module.split(".")
    path = HOME.joinpath(first, *rest)
    files = (path / "__init__.py", path.with_suffix(".py")) if first in PACKAGES else ()
    return next((file for file in files if file.is_file()), None)


def modules_in(package: str) -> list[str]:
    """The names of a package's files."""
    return sorted(file.stem for file in HOME.joinpath(*package.split(".")).glob("*.py") if file.stem != "__init__")


@functools.cache
def read(module: str) -> Names:
    """What the names of a module are bound to."""
    file = file_of(module)
    assert file is not None, module
    package = module if file.stem == "__init__" else module.rpartition(".")[0]
    return _parse(module, package, file.read_text(encoding="utf-8"))


@functools.cache
def _parse(module: str, package: str, text: str) -> Names:
    try:
        tree = _Bare().visit(ast.parse(text))
    except SyntaxError:  # whoever runs it will say so
        return {"": [Definition(module, text, frozenset())]}
    names: dict[str, list[Definition | str]] = defaultdict(list)
    for node in ast.walk(tree):
        for name, path in _imports(node, package):
            names[name].append(path)
    for statement in tree.body:
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            one = Definition(module, _written(statement), frozenset(_names(statement)))
            for name in _binds(statement):
                names[name].append(one)
    return dict(names)


class _Bare(ast.NodeTransformer):
    """Takes away docstrings, what is for type checkers, what runs when a file is started, and defaults of sections."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for field in (one for one in node.body if isinstance(one, ast.AnnAssign) and node.name in SECTIONS):
            if _is_field(field.value):
                field.value.keywords = [one for one in field.value.keywords if one.arg != "default"]
            if not _is_field(field.value) or not field.value.keywords:
                field.value = None
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        left_out = ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        return None if left_out else self.generic_visit(node)


def _is_field(value: ast.expr | None) -> TypeGuard[ast.Call]:
    """Whether a field's value is pydantic's Field(...), which may name a default and does more besides."""
    return isinstance(value, ast.Call) and ast.unparse(value.func) == "Field"


def _imports(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with the dotted path of what it stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            path = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or path, path
    elif isinstance(node, ast.ImportFrom):
        source = resolve_name("." * node.level + (node.module or ""), package)
        for alias in node.names:
            yield alias.asname or alias.name, f"{source}.{alias.name}"


def _written(node: object) -> str:
    """A syntax tree as text, without fields that are empty: versions of Python differ by those."""
    if isinstance(node, ast.AST):
        fields = [f"{name}={_written(value)}" for name, value in ast.iter_fields(node) if value not in (None, [])]
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(_written, node))}]" if isinstance(node, list) else repr(node)


def _names(node: ast.AST) -> Iterator[str]:
    """The names in the code, each with all its attributes."""
    attributes = ""
    while isinstance(node, ast.Attribute):
        attributes = f".{node.attr}{attributes}"
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id + attributes
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _binds(statement: ast.stmt) -> list[str]:
    """The names that a statement gives to what it makes; with the empty one, where it may do more than make that."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    stored = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return stored if stored and isinstance(statement, ast.Assign | ast.AnnAssign) else [*stored, ""]


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()
