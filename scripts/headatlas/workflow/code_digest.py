"""What a step's outputs depend on besides its inputs: its code and the packages that code imports.

A digest covers the syntax tree, without docstrings, of a script and of every library module it
imports, transitively: a comment or a reformatted line changes nothing, an edited statement changes
exactly the steps that can reach it.
"""

import ast
import hashlib
import sys
from functools import cache
from importlib import metadata
from pathlib import Path


def _tree(path):
    return ast.parse(Path(path).read_bytes(), str(path))


@cache
def _imported(path):
    """What a file imports, as (level, dotted name); level 0 is absolute.

    Of a package's `__init__.py`, what it imports when it is imported: whoever needs a module of the package imports it,
    and calls none of its functions.
    """
    found = []
    for node in _tree(path).body if path.name == "__init__.py" else ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.level, ".".join(filter(None, (node.module, alias.name)))) for alias in node.names]
    return found


@cache
def _reach(script, root, *modules):
    """Local files a script can import, and the names of everything else it imports."""
    root, files, others, todo = Path(root).resolve(), set(), set(), [Path(script).resolve()]
    by_name = {todo[0]: [(0, module) for module in modules]}
    while todo:
        path = todo.pop()
        if path in files:
            continue
        files.add(path)
        for level, name in _imported(path) + by_name.get(path, []):
            base = path.parents[level - 1] if level else root
            found = []
            for part in name.split("."):
                found += [file for file in (base / "__init__.py", base / f"{part}.py") if file.is_file()]
                base /= part
            if (base / "__init__.py").is_file():
                found.append(base / "__init__.py")
            todo += found
            if not found and not level:
                others.add(name.split(".")[0])
    return sorted(files), sorted(others - set(sys.stdlib_module_names))


def local_sources(script, root, *modules):
    """The script and every file under `root` that it imports, directly or not.

    Parameters
    ----------
    script : str or path-like
    root : str or path-like
        The folder that is on the script's import path.
    *modules : str
        Dotted names of modules that it imports by a name it is given when it runs.

    Returns
    -------
    list of pathlib.Path
    """
    return list(_reach(str(script), str(root), *modules)[0])


def _undocumented(tree):
    """The syntax tree as text, without docstrings and positions; the tree loses them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def _file_digest(path):
    return hashlib.sha256(_undocumented(_tree(path)).encode()).digest()


@cache
def code_digest(script, root, *modules):
    """Digest of the statements of a script and of all library modules in its reach (16 hex digits)."""
    digest = hashlib.sha256()
    for path in local_sources(script, root, *modules):
        digest.update(str(path.relative_to(Path(root).resolve())).encode() + b"\0")
        digest.update(_file_digest(path))
    return digest.hexdigest()[:16]


@cache
def _distributions():
    return metadata.packages_distributions()


@cache
def packages(script, root, *modules):
    """Names and versions of the packages that a script and its modules import, as pairs.

    A module of no package that is installed here stands under its own name, with None: the job may run
    in an environment that has it.
    """
    found = {}
    for module in _reach(str(script), str(root), *modules)[1]:
        for name in _distributions().get(module, []):
            found[name] = metadata.version(name)
        if module not in _distributions():
            found[module] = None
    return tuple(sorted(found.items(), key=lambda item: item[0].lower()))
