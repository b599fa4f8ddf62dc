"""What a step's outputs depend on besides its inputs: its code and the packages that code imports.

A digest covers the syntax tree, without docstrings, of a script and of every library module it
imports, transitively: a comment or a reformatted line changes nothing, an edited statement changes
exactly the steps that can reach it.
"""

import ast
import atexit
import contextlib
import hashlib
import itertools
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from headatlas.base.errors import InputError
from headatlas.jobs import invocation
from headatlas.jobs.contents import file_digest, remember, remembered

_KEPT = 4000  # files of which is remembered what they say


class _Memory:
    """What files say, by the digest of their bytes, between processes: reading one costs what a hundred look-ups do."""

    def __init__(self):
        self._path, self._known, self._new = None, {}, {}

    def open(self, folder):
        if folder is None:
            return
        reader = hashlib.sha256(Path(__file__).read_bytes() + sys.version.encode()).hexdigest()[:16]
        path = Path(folder) / f"code-{reader}.json"
        if path != self._path:
            self._path, self._known = path, remembered(path)
            atexit.register(self.save)

    def get(self, key):
        try:
            imported, digest = self._new.get(key) or self._known[key]
            return [(int(level), str(name)) for level, name in imported], bytes.fromhex(digest)
        except (KeyError, TypeError, ValueError):
            return None

    def learn(self, key, imported, digest):
        self._new[key] = imported, digest.hex()

    def save(self):
        if self._path is not None and self._new:
            kept = itertools.islice((self._new | self._known).items(), _KEPT)
            remember(self._path, dict(kept))


_memory = _Memory()
remember_in = _memory.open


def _statements(tree):
    """Every statement of a syntax tree, and the tree: what may import, and what may have a docstring."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            todo += getattr(node, part, ())


@cache
def _read(path):
    """What a file imports, as (level, dotted name); level 0 is absolute; and the digest of its statements.

    Of a package's `__init__.py`, what it imports when it is imported: whoever needs a module of the package imports it,
    and calls none of its functions.
    """
    content, is_package = path.read_bytes(), path.name == "__init__.py"
    key = f"{is_package:d}-{hashlib.sha256(content).hexdigest()}"
    if known := _memory.get(key):
        return known
    tree, imported = ast.parse(content, str(path)), []
    for node in tree.body if is_package else _statements(tree):
        if isinstance(node, ast.Import):
            imported += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported += [(node.level, ".".join(filter(None, (node.module, alias.name)))) for alias in node.names]
    digest = hashlib.sha256(_undocumented(tree).encode()).digest()
    _memory.learn(key, imported, digest)
    return imported, digest


@cache
def _found(base, name):
    """Local files that importing a dotted name from a folder reads."""
    found = []
    for part in name.split("."):
        found += [file for file in (base / "__init__.py", base / f"{part}.py") if file.is_file()]
        base /= part
    if (base / "__init__.py").is_file():
        found.append(base / "__init__.py")
    return found


@cache
def _imported(path, root):
    """What a file imports: local files, and the names of everything else."""
    files, others = set(), set()
    for level, name in _read(path)[0]:
        found = _found(path.parents[level - 1] if level else root, name)
        files.update(found)
        if not found and not level:
            others.add(name.split(".")[0])
    return files, others


@cache
def _reach(script, root, *modules):
    """Local files a script can import, and the names of everything else it imports."""
    root, files, others = Path(root).resolve(), set(), set()
    todo = [Path(script).resolve(), *(file for module in modules for file in _found(root, module))]
    while todo:
        path = todo.pop()
        if path in files:
            continue
        files.add(path)
        local, foreign = _imported(path, root)
        todo += local
        others |= foreign
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
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _file_digest(path):
    return _read(path)[1]


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


_version = cache(metadata.version)  # reading one takes longer than all else that is asked of a package


@cache
def packages(script, root, *modules):
    """Names and versions of the packages that a script and its modules import, as pairs.

    A module of no package that is installed here stands under its own name, with None: the job may run
    in an environment that has it.
    """
    found = {}
    for module in _reach(str(script), str(root), *modules)[1]:
        for name in _distributions().get(module, []):
            found[name] = _version(name)
        if module not in _distributions():
            found[module] = None
    return tuple(sorted(found.items(), key=lambda item: item[0].lower()))


def statements(root):
    """Digests of the statements of every Python file below a folder (16 hex digits), by its path below it.

    Returns
    -------
    dict from str to str
        A file that is no Python as it stands is left out.
    """
    found, root = {}, Path(root).resolve()
    for path in sorted(root.rglob("*.py")):
        with contextlib.suppress(OSError, SyntaxError):
            found[path.relative_to(root).as_posix()] = _file_digest(path).hex()[:16]
    return found


def forget():
    """Read the files anew from now on: they are taken for unchanged as long as a process lives."""
    for known in (_read, _found, _imported, _reach, code_digest, packages):
        known.cache_clear()


class RunningCode:
    """The code of a script as the process that runs it finds it on disk.

    Parameters
    ----------
    script : str
        Its name.
    modules : sequence of str
        Those that it imports by a name it is given.
    planned : str
        Digest of its code when the job was planned.
    root : path-like, optional
        The folder of scripts.

    Raises
    ------
    InputError
        If the code is no longer what it was when the run began, which may be hours ago.
    """

    def __init__(self, script, modules, planned, root=Path(__file__).parents[2]):
        self._script, self._modules, self._planned, self._root = script, modules, planned, Path(root).resolve()
        self._bytes = self._read()
        self._check()

    @property
    def _path(self):
        return self._root / f"{self._script}.py"

    def _read(self):
        """Digests of the files as they stand, None where one is gone or half-edited."""
        try:
            return {path: file_digest(path) for path in local_sources(self._path, self._root, *self._modules)}
        except (OSError, SyntaxError):
            return None

    def _check(self):
        if not invocation.same_python():  # each writes statements its own way
            return
        edited = "its code" if self._bytes is None else self._edited()
        if not edited and code_digest(self._path, self._root, *self._modules) != self._planned:
            edited = "its code, or a module that it imports,"
        if edited:
            raise InputError(
                f"{self._script}: {edited} was edited after this run began; nothing of it was kept: run again"
            )

    def _edited(self):
        """The file that is not what it was when the run began, where Snakemake said what that was."""
        for path in self._bytes or ():
            name = path.relative_to(self._root).as_posix()
            if invocation.planned_statements().get(name, found := _file_digest(path).hex()[:16]) != found:
                return name
        return None

    def check_unchanged(self):
        """Raise `InputError` if a statement of the code was edited since the job began."""
        forget()
        before, self._bytes = self._bytes, self._read()
        if self._bytes != before:
            self._check()
