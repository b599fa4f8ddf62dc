"""A digest changes with a statement that a script can reach, and with nothing else."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headatlas.jobs import code_digest

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))


@pytest.fixture(autouse=True)
def fresh():
    """Files change within one test, which they never do within one run."""
    code_digest.forget()
    yield
    code_digest.forget()


NEAR = '''"""Near."""
from . import sibling
from .pack import value


def f(x):
    """Say."""
    return x + 1
'''

TREE = {
    "run.py": "from lib import near\nimport lib.pack.deep as d\n\n\ndef main():\n    from lib.lazy import late\n",
    "lib/__init__.py": "",
    "lib/near.py": NEAR,
    "lib/sibling.py": "from lib.far import g\n",
    "lib/far.py": "import json\n\n\ndef g():\n    return 1\n",
    "lib/pack/__init__.py": "from ..above import value\n",
    "lib/pack/deep.py": "A = 1\n",
    "lib/above.py": "value = 1\n",
    "lib/lazy.py": "late = 1\n",
    "lib/other.py": "import numpy\n",
    "lib/far_away.py": "",
    "other.py": "import lib.other\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_steps_ask_once_for_each_file(monkeypatch):
    """A dry run digests every step: were each file looked for by each of them, that would be most of its time."""
    asked, is_file = [], Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: asked.append(path) or is_file(path))
    for script in SCRIPTS:
        code_digest.code_digest(f"{ROOT}/scripts/{script}.py", f"{ROOT}/scripts")
    assert len(SCRIPTS) < len(asked) < 20 * len(list((ROOT / "scripts").rglob("*.py")))


def digest(tree, script="run", *modules):
    code_digest.forget()
    return code_digest.code_digest(str(tree / f"{script}.py"), str(tree), *modules)


def reach(tree, script="run", *modules):
    code_digest.forget()
    return {str(path.relative_to(tree)) for path in code_digest.local_sources(tree / f"{script}.py", tree, *modules)}


def test_reach_is_transitive_relative_lazy_and_through_packages(tree):
    assert reach(tree) == set(TREE) - {"lib/other.py", "lib/far_away.py", "other.py"}
    assert reach(tree, "other") == {"other.py", "lib/__init__.py", "lib/other.py"}


def test_a_module_imported_by_name_is_in_reach_with_all_that_it_imports(tree):
    by_name = {"lib/sibling.py", "lib/far.py"}
    assert reach(tree, "other", "lib.sibling") == {"other.py", "lib/__init__.py", "lib/other.py"} | by_name
    before, without = digest(tree, "other", "lib.sibling"), digest(tree, "other")
    assert before != without
    (tree / "lib/far.py").write_text("EDITED = 1\n")
    assert digest(tree, "other", "lib.sibling") != before
    assert digest(tree, "other") == without
    assert code_digest.packages(str(tree / "run.py"), str(tree), "lib.other") == (("numpy", np.__version__),)


@pytest.mark.parametrize("name", sorted(set(TREE) - {"lib/other.py", "lib/far_away.py", "other.py"}))
def test_an_edit_in_reach_changes_the_digest(tree, name):
    before, other = digest(tree), digest(tree, "other")
    (tree / name).write_text(TREE[name] + "\nEDITED = 1\n")
    assert digest(tree) != before
    assert (digest(tree, "other") != other) == (name == "lib/__init__.py")


@pytest.mark.parametrize("name", ["lib/other.py", "lib/far_away.py", "other.py"])
def test_an_edit_out_of_reach_changes_nothing(tree, name):
    before = digest(tree)
    (tree / name).write_text(TREE[name] + "\nEDITED = 1\n")
    assert digest(tree) == before


@pytest.mark.parametrize(
    "text",
    [
        NEAR.replace("return x + 1", "return x + 1  # a comment"),
        NEAR.replace("Say.", "Say it otherwise.\n\n    At length."),
        NEAR.replace('"""Near."""', '"""Far."""'),
        NEAR.replace('"""Near."""\n', ""),
        NEAR.replace('    """Say."""\n', ""),
        NEAR.replace("return x + 1", "\n\n    return (\n        x\n        + 1\n    )"),
    ],
    ids=["comment", "docstring", "module docstring", "no module docstring", "no docstring", "layout"],
)
def test_words_and_layout_change_nothing(tree, text):
    before = digest(tree)
    assert text != NEAR
    (tree / "lib/near.py").write_text(text)
    assert digest(tree) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("x + 1", "x + 2"), ("def f(x)", "def f(x=0)"), ("f(x)", "g(x)"), ("return x + 1", "'x'\n    return x + 1")],
    ids=["constant", "default", "name", "a string that is no docstring"],
)
def test_statements_change_the_digest(tree, old, new):
    before = digest(tree)
    (tree / "lib/near.py").write_text(NEAR.replace(old, new))
    assert digest(tree) != before


def test_a_function_of_a_docstring_alone_is_one_that_passes(tree):
    (tree / "lib/far.py").write_text('def g():\n    """Nothing."""\n')
    before = digest(tree)
    (tree / "lib/far.py").write_text("def g():\n    pass\n")
    assert digest(tree) == before


def test_a_module_moved_within_the_tree_changes_the_digest(tree):
    before = digest(tree)
    (tree / "lib/far.py").rename(tree / "lib/farther.py")
    (tree / "lib/sibling.py").write_text("from lib.farther import g\n")
    assert digest(tree) != before


def test_a_moved_checkout_keeps_its_digests(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "checkout"
    shutil.copytree(tree, elsewhere)
    assert digest(elsewhere) == digest(tree)
    link = elsewhere.with_name("link")
    link.symlink_to(elsewhere)
    assert digest(link) == digest(tree)


def test_modules_that_import_one_another_end(tree):
    (tree / "lib/far.py").write_text("from lib import near\n")
    assert "lib/near.py" in reach(tree)


def test_packages_have_the_versions_installed(tree):
    def packages(text):
        code_digest.forget()
        (tree / "lib/other.py").write_text(text)
        return code_digest.packages(str(tree / "other.py"), str(tree))

    assert packages("import json, sys\nfrom . import near\n") == ()
    assert packages("import numpy.random\n") == (("numpy", np.__version__),)
    lazy = packages("def f():\n    from sklearn import svm\n    import numpy\n")
    assert [name for name, _ in lazy] == ["numpy", "scikit-learn"]
    assert packages("import no_such_module.part\n") == (("no_such_module", None),)


def named(source, root):
    """All that a file's import statements could mean: written apart from the code under test."""
    package = source.relative_to(root).parent.parts
    names, tree = set(), ast.parse(source.read_text())
    if source.name == "__init__.py":  # imported for the sake of what lies beside it; its functions are for notebooks
        tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def graph(root):
    """Which files of the library each file's import statements lead to, all the way."""
    modules = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    direct = {}
    for module, path in modules.items():
        names = {name for name in named(path, root) if name in modules}
        names |= {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 1)}
        direct[module] = names
    whole = {}
    for module in modules:
        seen, todo = set(), [module]
        while todo:
            if (name := todo.pop()) not in seen:
                seen.add(name)
                todo += direct[name]
        whole[module] = {modules[name] for name in seen}
    return whole


def test_editing_a_module_changes_exactly_the_scripts_that_can_reach_it(monkeypatch):
    root = ROOT / "scripts"
    expected = graph(root)
    real = {path: code_digest._file_digest(path) for path in root.rglob("*.py")}
    edited = None

    def digests():
        code_digest.code_digest.cache_clear()
        return {script: code_digest.code_digest(str(root / f"{script}.py"), str(root)) for script in SCRIPTS}

    # digests of texts are tested above; parsing everything anew for each module would take minutes
    monkeypatch.setattr(code_digest, "_file_digest", lambda path: b"edited" if path == edited else real[path])
    before = digests()
    for module in sorted((root / "headatlas").rglob("*.py")):
        edited = module
        changed = {script for script, digest in digests().items() if digest != before[script]}
        assert changed == {script for script in SCRIPTS if module in expected[script]}, module.name


def test_editing_the_real_library_on_disk(tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    scripts = ("measure_distances", "train_model")
    before = [digest(tmp_path / "scripts", script) for script in scripts]
    with open(tmp_path / "scripts" / "headatlas" / "studies" / "phrenology" / "head_distances.py", "a") as module:
        module.write("\nEDITED = 1\n")
    after = [digest(tmp_path / "scripts", script) for script in scripts]
    assert [old != new for old, new in zip(before, after, strict=True)] == [True, False]


PROBE = """
import ast, json, sys
sys.path.insert(0, sys.argv[1])
for node in ast.walk(ast.parse(open(sys.argv[2]).read())):
    if isinstance(node, ast.Import | ast.ImportFrom):
        exec(compile(ast.Module([node], []), sys.argv[2], "exec"), {})
for module in sys.argv[3:]:
    __import__(module)
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "headatlas"]))
"""


@pytest.mark.parametrize(
    ("script", "modules"), [("fetch_corpus", ()), ("draw_figure", ("headatlas.studies.induction.figures.model_sizes",))]
)
def test_all_that_python_itself_loads_is_in_reach(script, modules):
    """The script's imports, run for real: the reach may hold more (what is imported lazily), never less."""
    path = ROOT / "scripts" / f"{script}.py"
    ran = subprocess.run(
        [sys.executable, "-c", PROBE, str(path.parent), str(path), *modules], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(ran.stdout))
    assert len(loaded) > 5
    assert loaded <= {str(file) for file in code_digest.local_sources(path, path.parent, *modules)}


def test_no_import_of_the_library_hides_from_the_digest():
    for path in (ROOT / "scripts").rglob("*.py"):
        text = path.read_text()
        if path.name == "draw_figure.py":  # the module that it imports is named in `spec`, and in the digest for that
            text = text.replace("import_module", "")
        for hidden in ("import_module", "__import__", "exec(", "runpy"):
            assert hidden not in text, f"{path.name}: {hidden} imports what no digest covers"


@pytest.fixture
def remembering(tmp_path, monkeypatch):
    """A memory of its own, as a process has it that begins now."""

    def begin():
        memory = code_digest._Memory()
        memory.open(tmp_path)
        monkeypatch.setattr(code_digest, "_memory", memory)
        code_digest.forget()
        return memory

    return begin


def test_what_files_say_is_remembered_by_their_bytes(tree, remembering, monkeypatch):
    memory = remembering()
    before = code_digest.code_digest(tree / "run.py", tree), code_digest.packages(tree / "run.py", tree)
    memory.save()
    remembering()
    with monkeypatch.context() as patch:
        patch.setattr(code_digest.ast, "parse", None)  # nothing is read again
        assert (code_digest.code_digest(tree / "run.py", tree), code_digest.packages(tree / "run.py", tree)) == before
    near = tree / "lib" / "near.py"
    near.write_text(near.read_text().replace("x + 1", "x + 2"))
    remembering()
    assert code_digest.code_digest(tree / "run.py", tree) != before[0]


@pytest.mark.parametrize("damage", [b"", b"[1, 2", b'{"a": 1}', b"null", b"\xff"])
def test_a_damaged_memory_is_passed_over(tree, remembering, tmp_path, damage):
    expected = code_digest.code_digest(tree / "run.py", tree)
    memory = remembering()
    code_digest.code_digest(tree / "run.py", tree)
    memory.save()
    (path,) = tmp_path.glob("code-*.json")
    entries = json.loads(path.read_bytes())
    path.write_bytes(damage)
    remembering()
    assert code_digest.code_digest(tree / "run.py", tree) == expected
    path.write_text(json.dumps({key: [1, "no hex"] for key in entries}))
    remembering()
    assert code_digest.code_digest(tree / "run.py", tree) == expected
