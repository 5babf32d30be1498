"""The shape of the product: imports point one way, and files are small."""

import ast
from pathlib import Path

from graphlib import CycleError, TopologicalSorter

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [name for name in ("fairseq_dsl", "fairseq_dsl_cli") if (ROOT / name).is_dir()]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", ""): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}


def imports(module):
    """The modules of the product that a module names, wherever in it; the packages that they are in count not."""
    own_package = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            above = own_package[: len(own_package) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            for name in (f"{source}.{alias.name}" for alias in node.names):
                found = name if name in MODULES else source
                if found in MODULES and found != module:
                    yield found


def cycle(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " → ".join(error.args[1])


def part(module):
    """A package or module of the first level."""
    return ".".join(module.split(".")[:2])


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: set(imports(module)) for module in MODULES}
    assert graph["fairseq_dsl.terms.term"] >= {"fairseq_dsl.objectives", "fairseq_dsl.terms.resources"}
    assert cycle(graph) is None


def test_no_package_imports_itself_by_way_of_others():
    graph = {}
    for module in MODULES:
        graph.setdefault(part(module), set()).update(part(found) for found in imports(module))
    without_self = {name: found - {name} for name, found in graph.items()}
    assert "fairseq_dsl.terms" in without_self["fairseq_dsl.criterions"]
    assert cycle(without_self) is None


def test_criterions_and_terms_know_no_task():
    for module in MODULES:
        if part(module) in ("fairseq_dsl.terms", "fairseq_dsl.criterions", "fairseq_dsl.marginals", "fairseq_dsl.data"):
            assert not any(part(found) == "fairseq_dsl.tasks" for found in imports(module)), module


def test_no_file_has_more_than_300_lines():
    files = [
        *MODULES.values(),
        *(path for part in ("scripts", "data-bin-recipes") for path in (ROOT / part).rglob("*.py")),
    ]
    assert any(path.parts[-2:] == ("local", "prepare.py") for path in files)
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: count for name, count in lines.items() if count > 300} == {}
