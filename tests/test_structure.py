"""The structure of the code: the README's tree, links between pages, forbidden calls, and who may print and write."""

from __future__ import annotations

import ast
import re
from inspect import isfunction
from pathlib import Path

import pytest
from draw_run import PICTURE, draw, read_words, shorten
from write_guide import read_recorded

from semilla.records import disk

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "semilla"
MODULES = sorted(PACKAGE.rglob("*.py"))

PRINTING = {
    "__main__.py": "rejects a Python too old to import the rest",
    "tokenizer/training.py": "its child process sends the model over standard output",
    "runtime/budgets.py": "its child process sends the measurements over standard output",
    "system/child.py": "a child process says on standard error which package it lacks",
    "training/rehearsal.py": "its child process sends the times over standard output",
    "corpus/formats/confined_child.py": "the child process sends documents over standard output",
    "prerequisites/probe.py": "its child process sends the versions over standard output",
}
"""Modules outside ``cli``, ``commands`` and ``terminal`` that write to a standard stream, with the reason for each."""

WRITING = {
    "system/memory_limit.py": "creates control groups, which belong to the kernel and are not artifacts",
    "records/disk.py": "makes the system calls for the only writer, records/files.py",
    "records/lock.py": "locks a file that stays in place and holds nothing durable",
    "records/heartbeat.py": "overwrites one line in place; the file is not durable and disappears with the run",
    "records/log.py": "appends to a log line by line",
    "pipeline/tracker_child.py": "sends what a library prints to /dev/null",
    "cli.py": "redirects a closed stream to /dev/null",
    "terminal/console.py": "redirects a closed stream to /dev/null",
    "system/connection.py": "makes memory to share out of an unnamed file",
    "system/storage.py": "says what the calls of records/disk.py mean on each system",
    "system/children.py": "passes input to a child in an unnamed file",
    "prerequisites/storage.py": "reserves space briefly in unnamed files",
    "system/temporary.py": "gives the trial of a text a folder for the moment",
}
"""The only modules that may create, change or remove files directly, with the reason for each."""


def list_top_level() -> set[str]:
    """Return the names directly in ``src/semilla``; folders end in a slash."""
    shown = {path.name + "/" * path.is_dir() for path in PACKAGE.iterdir() if not path.name.startswith(".")}
    return shown - {"__pycache__/", "py.typed"}  # py.typed is an empty marker for type checkers


def name_module(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


# ---- the README's tree, and links


def read_tree(markdown: str) -> list[str]:
    """Return the entries of the README's tree of ``src/semilla``, in order."""
    found = re.search(r"^```\w*\nsrc/semilla/\n(.*?)^```", markdown, re.M | re.S)
    lines = found[1].splitlines() if found else []
    return [line.split()[0] for line in lines if re.match(r" {2,4}\S", line)]


def test_the_readme_tree_matches_the_package() -> None:
    """The tree has exactly one entry, with a comment, for each file and folder directly in ``src/semilla``."""
    markdown = (ROOT / "README.md").read_text(encoding="utf-8")
    entries = read_tree(markdown)
    assert sorted(entries) == sorted(list_top_level())
    assert [entry for entry in entries if not re.search(rf"^ +{re.escape(entry)} +\S", markdown, re.M)] == []


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/README.md",
        "docs/install.md",
        "docs/platforms.md",
        "docs/trackers.md",
        "docs/texts.md",
        "docs/exports.md",
        "docs/serve.md",
        "docs/scaling.md",
        "docs/experiments/README.md",
    ],
)
def test_links_between_pages_resolve(page: str) -> None:
    """Every relative link names a file that exists."""
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


@pytest.mark.parametrize(
    "name", ["LICENSE", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "src/semilla/py.typed"]
)
def test_standard_files_exist(name: str) -> None:
    """The licence, the changelog and the other standard files have their usual names."""
    assert (ROOT / name).is_file()


# ---- the README's picture


def test_the_picture_shows_the_recorded_run() -> None:
    """If this fails, run scripts/docs."""
    words = read_words(PICTURE.read_text(encoding="utf-8"))
    assert words == read_words(draw(read_recorded()["transcript"]))
    assert "semilla" in words
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", PICTURE.read_text(encoding="utf-8"))


def test_the_picture_leaves_out_notes_most_epochs_and_the_gates() -> None:
    """A gap has one mark, however many lines it leaves out."""
    epochs = [f"epoch {number}: loss" for number in range(1, 7)]
    shown = list(
        shorten(["[1/5] phase", "note: n", *epochs, "", "  ok  gate", "  missed  target", "  next: x"])
    )
    assert shown == ["[1/5] phase", *epochs[:2], "  ⋮", *epochs[-2:], "", "  ⋮", "  next: x"]


# ---- forbidden calls


def find_dangers(tree: ast.AST) -> list[str]:
    """Return calls that run text as code or in a shell, load pickles, or silently drop characters."""
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
            required = {"weights_only": "True"} if name == "torch.load" else {"allow_pickle": "False"}
            found += [name] if not required.items() <= options.items() else []
        if name.endswith((".decode", ".encode")) and "'ignore'" in [ast.unparse(one) for one in node.args]:
            found.append("errors='ignore'")
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_module)
def test_nothing_dangerous_is_called(path: Path) -> None:
    """No module uses a shell, evaluates text, loads a pickle, or silently drops characters."""
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
def test_dangerous_calls_are_found(code: str) -> None:
    """The check finds each of these planted calls."""
    assert len(find_dangers(ast.parse(code))) == 1


def writes_to_the_screen(tree: ast.AST) -> bool:
    """Return whether a module prints or uses a standard stream."""
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    prints = any(isinstance(node, ast.Call) and ast.unparse(node.func) == "print" for node in ast.walk(tree))
    return prints or any(re.match(r"(sys|os)\.(stdout|stderr|__std\w+__)\b", name) for name in names)


def test_only_the_terminal_prints() -> None:
    """Outside ``cli``, ``commands`` and ``terminal``, only the modules in ``PRINTING`` use a standard stream."""
    writing = {
        name_module(path)
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] not in {"cli.py", "commands", "terminal"}
        and writes_to_the_screen(ast.parse(path.read_bytes()))
    }
    assert writing == set(PRINTING)


# ---- one home for what differs between systems

SYSTEM_MODULES = {
    "ctypes",
    "fcntl",
    "grp",
    "msvcrt",
    "multiprocessing",
    "pwd",
    "resource",
    "termios",
    "winreg",
}
"""Modules that one system has and another lacks, or in which systems differ."""
SYSTEM_NAMES = re.compile(
    r"os\.(O_(?!RDONLY|WRONLY|RDWR|CREAT)|memfd|sched_|statvfs|pwrite|posix_|fwalk|fork|kill|get[a-z]*[ug]id|uname|name$)"
    r"|sys\.platform|platform\.|signal\.(SIG(?!INT|TERM|_IGN)|SIGKILL)|pass_fds|start_new_session"
)
SYSTEM_PLACES = ("/proc", "/sys/", "/dev/shm")
OUTSIDE_HOME = {
    "errors.py": "asks for free inodes, below every other module, and only where os has statvfs",
    "corpus/formats/confined.py": "gives the child that reads documents a group of its own, to end it whole",
    "corpus/formats/confined_child.py": "limits the memory of that child where the system can",
    "corpus/formats/pdf.py": "passes buffers to PDFium, which is a C library on every system",
}
"""The only modules outside ``system`` that may depend on the operating system, with the reason for each."""


def find_system_parts(tree: ast.AST) -> list[str]:
    """Return imports, names and paths that are not the same on every system."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            found += [name for name in names if name.split(".")[0] in SYSTEM_MODULES]
        if isinstance(node, ast.Attribute) and SYSTEM_NAMES.match(ast.unparse(node)):
            found.append(ast.unparse(node))
        if isinstance(node, ast.keyword) and SYSTEM_NAMES.match(node.arg or ""):
            found.append(str(node.arg))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] if node.value.startswith(SYSTEM_PLACES) else []
    return found


def test_what_differs_between_systems_has_one_home() -> None:
    """Outside ``system`` and the modules in ``OUTSIDE_HOME``, nothing depends on the operating system."""
    others = [path for path in MODULES if not name_module(path).startswith("system/")]
    found = {name_module(path): find_system_parts(ast.parse(path.read_bytes())) for path in others}
    assert {name: parts for name, parts in found.items() if parts and name not in OUTSIDE_HOME} == {}
    assert [name for name in OUTSIDE_HOME if not found[name]] == []


@pytest.mark.parametrize("code", [
    "import fcntl", "from resource import getrlimit", "os.memfd_create('x')", "os.open(path, os.O_NOFOLLOW)",
    "if sys.platform == 'darwin': pass", "Path('/proc/self/status')", "os.kill(pid, 0)", "signal.SIGHUP",
    "subprocess.Popen(command, pass_fds=(3,))", "len(os.sched_getaffinity(0))", "os.statvfs(path)",
])  # fmt: skip
def test_parts_of_a_system_are_found(code: str) -> None:
    """The check finds each of these planted parts."""
    assert len(find_system_parts(ast.parse(code))) == 1


# ---- file writes

FILE_METHODS = {
    "unlink", "mkdir", "rmdir", "touch", "rename", "write_text", "write_bytes", "symlink_to", "hardlink_to", "tofile",
    "savez", "FileHandler",
}  # fmt: skip
FILE_FUNCTIONS = {
    "os.replace", "os.rename", "os.remove", "os.unlink", "os.mkdir", "os.makedirs", "os.rmdir", "os.truncate",
    "os.link", "os.symlink", "os.fsync", "np.save", "numpy.save", "onnx.save", "shutil.move", "shutil.rmtree",
    "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree",
}  # fmt: skip
OPENERS = {"open_own", "open_readable"}
"""Functions of the writer that change nothing by themselves."""
WRITER_NAMES = {"files", "disk"}
"""The names under which other modules import the writer and its system calls."""


def find_writes(tree: ast.AST) -> list[str]:
    """Return calls that create, change or remove a file without going through ``records.files``."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in FILE_METHODS:
            found += [node.attr] if ast.unparse(node.value) not in WRITER_NAMES else []
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        found += [name] if name in FILE_FUNCTIONS or name.startswith("tempfile.") else []
        if name in {"os.open", "open_own"} and re.search(r"O_(WRONLY|RDWR|CREAT)", ast.unparse(node)):
            found.append(name)
        if name == "open" or (name.endswith(".open") and name != "os.open"):
            modes = [one for one in (*node.args, *(word.value for word in node.keywords)) if _is_mode(one)]
            found += [name] if modes else []
        found += [name] if name == "torch.save" and "path" in ast.unparse(node.args[1]) else []
    return found


def _is_mode(node: ast.expr) -> bool:
    """Return whether a constant is a mode that opens a file for writing."""
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, str) and re.fullmatch(r"[rwaxbt]*[wax+][rwaxbt+]*", value) is not None


def test_only_one_module_writes() -> None:
    """Outside the modules in ``WRITING``, every file is created, changed and removed by ``records.files``."""
    writing = {name_module(path) for path in MODULES if find_writes(ast.parse(path.read_bytes()))}
    assert writing == set(WRITING)


@pytest.mark.parametrize("code", [
    "path.unlink()", "path.mkdir(parents=True)", "os.replace(a, b)", "path.write_bytes(b'')", "shutil.rmtree(path)",
    "open(path, 'w')", "path.open('ab')", "path.open(mode='r+b')", "os.open(path, os.O_CREAT | os.O_WRONLY)",
    "tempfile.mkstemp()", "torch.save(content, path)", "logging.FileHandler(path)",
])  # fmt: skip
def test_writes_are_found(code: str) -> None:
    """The check finds each of these planted writes."""
    assert len(find_writes(ast.parse(code))) == 1


@pytest.mark.parametrize("code", [
    "files.write_bytes(path, data)", "path.open('rb')", "path.open()", "text.replace('a', 'w')",
    "os.open(path, os.O_RDONLY)", "torch.save(content, buffer)",
])  # fmt: skip
def test_reads_are_not_reported(code: str) -> None:
    """Reads, and writes through ``records.files``, are allowed."""
    assert find_writes(ast.parse(code)) == []


def test_every_system_call_of_the_writer_can_be_replaced() -> None:
    """``disk.CALLS`` names every function that changes something, so fault injection covers all of them."""
    functions = {name for name, value in vars(disk).items() if isfunction(value)}
    assert functions == {*disk.CALLS, *OPENERS}
