"""What holds the code together: what the README says is where, and what nobody may call."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from semilla.records import disk

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "semilla"
MODULES = sorted(PACKAGE.rglob("*.py"))

PRINTING = {
    "__main__.py": "refuses a Python too old to import the rest",
    "tokenizer/tokenizer.py": "its child process hands the model over on standard output",
    "runtime/budgets.py": "its child process hands the measurements over on standard output",
    "training/rehearsal.py": "its child process hands the times over on standard output",
    "prerequisites/probe.py": "its child process hands the versions over on standard output",
}
"""Modules that write to a standard stream without being ``cli``, ``commands`` or ``terminal``, and why."""

WRITING = {
    "runtime/limits.py": "makes and fills control groups, which are the kernel's and no artifacts",
    "records/disk.py": "the system calls of the one writer, records/files.py",
    "records/lock.py": "a lock is held on a file that stays where it is; nothing durable is in it",
    "records/heartbeat.py": "a line in the lock file that lives as long as the lock; nothing durable is in it",
    "records/log.py": "a log is appended to, line by line",
    "cli.py": "a closed stream goes to /dev/null",
    "terminal/console.py": "a closed stream goes to /dev/null",
    "tokenizer/tokenizer.py": "hands the text to its child in a file without a name",
    "prerequisites/storage.py": "reserves space for a moment in files without a name",
}
"""Modules that call what creates, changes or removes files, and why each may. Nothing else leaves or takes a file."""


def list_top_level() -> set[str]:
    """Names of what stands directly in ``src/semilla``, as a reader of the folder sees it."""
    shown = {path.name + "/" * path.is_dir() for path in PACKAGE.iterdir() if not path.name.startswith(".")}
    return shown - {"__pycache__/", "py.typed"}  # the empty mark of a typed package explains itself to tools


def name_module(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


# ---- what is where


def read_tree(markdown: str) -> list[str]:
    """Entries of the README's tree of ``src/semilla``, as they stand there."""
    found = re.search(r"^```\w*\nsrc/semilla/\n(.*?)^```", markdown, re.M | re.S)
    lines = found[1].splitlines() if found else []
    return [line.split()[0] for line in lines if re.match(r" {2,4}\S", line)]


def test_the_readme_shows_what_is_where() -> None:
    """Its tree has one entry for each file and folder of ``src/semilla``, with a comment, and no other."""
    markdown = (ROOT / "README.md").read_text(encoding="utf-8")
    entries = read_tree(markdown)
    assert sorted(entries) == sorted(list_top_level())
    assert [entry for entry in entries if not re.search(rf"^ +{re.escape(entry)} +\S", markdown, re.M)] == []


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/install.md",
        "docs/texts.md",
        "docs/exports.md",
        "docs/experiments/README.md",
    ],
)
def test_links_between_pages_resolve(page: str) -> None:
    """Every link that is not an address names a file that is there."""
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


@pytest.mark.parametrize(
    "name", ["LICENSE", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "src/semilla/py.typed"]
)
def test_what_a_project_should_have(name: str) -> None:
    """Licence, changes and how to contribute are where everyone looks for them."""
    assert (ROOT / name).is_file()


# ---- what nobody may call


def find_dangers(tree: ast.AST) -> list[str]:
    """Calls that run text as code or as a shell command, load pickles, or lose characters in silence."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            banned = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
            found += [name for name in names if name.split(".")[0] in banned]
        if not isinstance(node, ast.Call):
            continue
        name, options = ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords}
        if name in {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput"}:
            found.append(name)
        found += [f"shell={options['shell']}"] if options.get("shell", "False") != "False" else []
        found += ["errors='ignore'"] if options.get("errors") == "'ignore'" else []
        if name in {"torch.load", "np.load", "numpy.load"}:
            wanted = {"weights_only": "True"} if name == "torch.load" else {"allow_pickle": "False"}
            found += [name] if not wanted.items() <= options.items() else []
        if name.endswith((".decode", ".encode")) and "'ignore'" in [ast.unparse(one) for one in node.args]:
            found.append("errors='ignore'")
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_module)
def test_nothing_dangerous_is_called(path: Path) -> None:
    """No shell, no evaluated text, no pickle, no character dropped in silence."""
    assert find_dangers(ast.parse(path.read_bytes())) == []


@pytest.mark.parametrize(
    "code",
    [
        "subprocess.run(command, shell=True)",
        "os.system('ls')",
        "eval('1')",
        "exec('x = 1')",
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "path.read_text(errors='ignore')",
        "data.decode('utf-8', 'ignore')",
    ],
)
def test_dangers_are_really_found(code: str) -> None:
    """Each of them draws the gate's attention."""
    assert len(find_dangers(ast.parse(code))) == 1


def writes_to_the_screen(tree: ast.AST) -> bool:
    """Tell whether a module prints or takes hold of a standard stream."""
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    prints = any(isinstance(node, ast.Call) and ast.unparse(node.func) == "print" for node in ast.walk(tree))
    return prints or any(re.match(r"(sys|os)\.(stdout|stderr|__std\w+__)\b", name) for name in names)


def test_only_the_terminal_prints() -> None:
    """Beside ``cli``, ``commands`` and ``terminal`` only those listed with a reason write to a standard stream."""
    writing = {
        name_module(path)
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] not in {"cli.py", "commands", "terminal"}
        and writes_to_the_screen(ast.parse(path.read_bytes()))
    }
    assert writing == set(PRINTING)


# ---- who writes

FILE_METHODS = {
    "unlink", "mkdir", "rmdir", "touch", "rename", "write_text", "write_bytes", "symlink_to", "hardlink_to", "tofile",
    "savez", "FileHandler",
}  # fmt: skip
FILE_FUNCTIONS = {
    "os.replace", "os.rename", "os.remove", "os.unlink", "os.mkdir", "os.makedirs", "os.rmdir", "os.truncate",
    "os.link", "os.symlink", "os.fsync", "np.save", "numpy.save", "onnx.save", "shutil.move", "shutil.rmtree",
    "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree",
}  # fmt: skip
WRITER_NAMES = {"files", "disk"}
"""What the writer and its system calls are called where a whole module is imported."""


def find_writes(tree: ast.AST) -> list[str]:
    """Calls that create, change or remove a file without going through ``records.files``."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in FILE_METHODS:
            found += [node.attr] if ast.unparse(node.value) not in WRITER_NAMES else []
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        found += [name] if name in FILE_FUNCTIONS or name.startswith("tempfile.") else []
        if name == "os.open" and re.search(r"O_(WRONLY|RDWR|CREAT)", ast.unparse(node)):
            found.append(name)
        if name == "open" or (name.endswith(".open") and name != "os.open"):
            modes = [one for one in (*node.args, *(word.value for word in node.keywords)) if _is_mode(one)]
            found += [name] if modes else []
        found += [name] if name == "torch.save" and "path" in ast.unparse(node.args[1]) else []
    return found


def _is_mode(node: ast.expr) -> bool:
    """Tell whether a constant is the mode of a file opened to be changed."""
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, str) and re.fullmatch(r"[rwaxbt]*[wax+][rwaxbt+]*", value) is not None


def test_only_one_module_writes() -> None:
    """Beside those listed with a reason, everything that leaves or removes a file goes through ``records.files``."""
    writing = {name_module(path) for path in MODULES if find_writes(ast.parse(path.read_bytes()))}
    assert writing == set(WRITING)


@pytest.mark.parametrize("code", [
    "path.unlink()", "path.mkdir(parents=True)", "os.replace(a, b)", "path.write_bytes(b'')", "shutil.rmtree(path)",
    "open(path, 'w')", "path.open('ab')", "path.open(mode='r+b')", "os.open(path, os.O_CREAT | os.O_WRONLY)",
    "tempfile.mkstemp()", "torch.save(content, path)", "logging.FileHandler(path)",
])  # fmt: skip
def test_writes_are_really_found(code: str) -> None:
    """Each of them draws the gate's attention."""
    assert len(find_writes(ast.parse(code))) == 1


@pytest.mark.parametrize("code", [
    "files.write_bytes(path, data)", "path.open('rb')", "path.open()", "text.replace('a', 'w')",
    "os.open(path, os.O_RDONLY)", "torch.save(content, buffer)",
])  # fmt: skip
def test_reading_is_no_writing(code: str) -> None:
    """Nor is what goes through the writer."""
    assert find_writes(ast.parse(code)) == []


def test_every_system_call_of_the_writer_can_be_replaced() -> None:
    """``disk.CALLS`` names the functions of the module, so that a test of faults misses none."""
    tree = ast.parse((PACKAGE / "records" / "disk.py").read_bytes())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions == {*disk.CALLS, "with_usual_mode"}
