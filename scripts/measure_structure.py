"""Measure the structure of src/semilla: its rooms (packages and single modules), and the imports between them.

    python scripts/measure_structure.py [CHECKOUT]

A room is on a floor above all the rooms that it imports. Imports for type checking do not count.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path


def list_imports(tree: ast.AST) -> set[str]:
    """The modules of the package that a module imports, wherever it does, but for type checking."""
    found: set[str] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("semilla"):
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        waiting += ast.iter_child_nodes(node)
    return found


def find_floor(room: str, imports: dict[str, set[str]], *, above: tuple[str, ...] = ()) -> int:
    """The number of a room's floor; a circle counts as far as it is not closed."""
    below = imports[room] - {room, *above}
    return 1 + max((find_floor(one, imports, above=(*above, room)) for one in below), default=0)


def main(root: Path) -> None:
    modules: dict[str, Path] = {}
    for path in sorted((root / "src" / "semilla").rglob("*.py")):
        parts = path.relative_to(root / "src").with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    packages = {name for name, path in modules.items() if path.name == "__init__.py"}
    rooms = {name: name if name in packages else name.rpartition(".")[0] for name in modules}
    rooms |= {name: name for name, room in rooms.items() if room == "semilla"}
    imports: dict[str, set[str]] = defaultdict(set)
    lengths: list[tuple[int, str]] = []
    num_edges = num_lines = 0
    for name, path in modules.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        num_lines += len(text.splitlines())
        found = (list_imports(tree) & modules.keys()) - {name, "semilla"}
        num_edges += len(found)
        imports[rooms[name]] |= {rooms[one] for one in found} - {rooms[name]}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                lengths.append((node.end_lineno - node.lineno + 1, f"{name}.{node.name}"))
    print(f"modules                  {len(modules):>7,}")
    print(f"rooms                    {len(set(rooms.values())):>7,}")
    print(f"floors                   {max(find_floor(room, imports) for room in list(imports)):>7,}")
    print(f"imports between rooms    {sum(map(len, imports.values())):>7,}")
    print(f"imports between modules  {num_edges:>7,}")
    print(f"lines                    {num_lines:>7,}")
    longest, name = max(lengths)
    print(f"longest function         {longest:>7,}  {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
