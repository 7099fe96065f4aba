from __future__ import annotations

import ast
import graphlib
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.toys import ROOT, TOY_EVALUATORS

ROOMS = ("search_spaces", "controllers", "evaluate", "configs")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_links_point_home() -> None:
    for room in ROOMS:
        link = ROOT / "nas" / room
        assert link.is_symlink() and link.readlink() == Path("..") / room


def test_every_folder_of_code_is_a_package() -> None:
    """Setuptools finds packages by their ``__init__.py``; a folder without one would be missing from the wheel."""
    for room in ("nas", *ROOMS):
        for path in (ROOT / room).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path


# The floors of the house, from the ground up. A room may import rooms of lower floors only. A file belongs to the room
# with the longest name that it begins with.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("nas.core", "nas.configs"),
    ("nas.search_spaces",),
    (
        "nas.controllers",
        "nas.evaluate.objective",
        "nas.evaluate.data",
        "nas.evaluate.contract",
        "nas.evaluate.predictions",
    ),
    ("nas.evaluate.cost", "nas.evaluate.proxy", "nas.evaluate.table"),
    ("nas.evaluate.imagenet", "nas.evaluate.supernet"),
    ("nas.evaluate.devices", "nas.evaluate.recipe"),
    ("nas.evaluate.workers", "nas.evaluate"),
    ("nas.scale", "nas.testing"),
    ("nas.weights",),
    ("nas.search",),
    ("nas.training", "nas.export", "nas.studies"),
    ("nas.report", "nas.tracking"),
    ("nas.make",),
    ("nas.results", "nas.cli"),
    ("nas.api",),
    ("nas", "nas.__main__"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, Path]:
    """Return every module of the program by the name it is imported by."""
    found = {}
    for top in ("nas", *ROOMS):
        for path in (ROOT / top).rglob("*.py"):  # links are not followed
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts if top == "nas" else ("nas", *parts))
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """Return the names that a file imports anywhere in it, lazily or for types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


MODULES = modules()


def own_imports(module: str) -> set[str]:
    """Return the modules of the program that one of them imports, lazily or for types alone."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else str(node.module))
    return {name for name in found if name in MODULES} - {module}


def room(module: str) -> str:
    """Return the room that a module belongs to."""
    return max((name for name in FLOOR if module == name or module.startswith(f"{name}.")), key=len)


def test_every_file_has_a_room() -> None:
    assert len(MODULES) > 200
    strays = {module for module in MODULES if room(module) == "nas"} - {"nas"}
    assert not strays, "give it a room, and the room a floor"
    assert {room(module) for module in MODULES} >= set(FLOOR) - {"nas.configs"}


@pytest.mark.parametrize("name", FLOOR)
def test_imports_point_downwards(name: str) -> None:
    """Rooms of one floor do not import each other either, so that controllers and evaluators never meet."""
    for module in MODULES:
        if room(module) == name:
            others = {other for other in own_imports(module) if room(other) != name}
            upwards = {other for other in others if FLOOR[room(other)] >= FLOOR[name]}
            assert not upwards, f"{module} imports {upwards}"


def test_no_imports_run_in_a_circle() -> None:
    graph = {module: own_imports(module) for module in MODULES}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, naming the circle


HOMES = {
    "ray": {"evaluate/workers/ray_cluster.py", "evaluate/workers/ray_pool.py", "training/distributed.py"},
    "optuna": {"controllers/optuna_sampler.py", "tracking/optuna_study.py", "tracking/dashboard.py"},
    "wandb": {"tracking/wandb_run.py"},
    "tensorboardX": {"tracking/tensorboard_log.py"},
    "moocore": {
        "evaluate/objective/pareto.py",
        "controllers/nondominated.py",
    },  # siblings that do not import each other
}


@pytest.mark.parametrize("library", HOMES)
def test_each_heavy_library_has_one_home(library: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for room in ("nas", *ROOMS)
        for path in (ROOT / room).rglob("*.py")
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert {user.removeprefix("nas/") for user in users} == HOMES[library]


@pytest.mark.parametrize(
    "arguments", ["import nas", "from nas.cli.app import app; app(['--help'], standalone_mode=False)"]
)
def test_starting_loads_nothing_heavy(arguments: str) -> None:
    heavy = ("torch", "ray", "numpy", "pydantic", "sklearn", "optuna", "wandb", "torchvision", "PIL")
    code = f"{arguments}\nimport sys\nprint('LOADED', [name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert result.stdout.splitlines()[-1] == "LOADED []"


def test_no_file_shadows_the_standard_library() -> None:
    for room in ROOMS:
        assert not {path.stem for path in (ROOT / room).glob("*.py")} & sys.stdlib_module_names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, tree = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("tree") / "mnas"
    unwanted = shutil.ignore_patterns(".*", "build", "*.egg-info", "runs", "__pycache__")
    shutil.copytree(ROOT, tree, symlinks=True, ignore=unwanted)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(tree)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("mnas-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_file_and_nothing_outside_nas(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert all(name.startswith(("nas/", "mnas-")) for name in names)
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".py", ".yaml"):
                assert f"nas/{path.relative_to(ROOT)}" in names
    for path in (*(ROOT / "nas").glob("*.py"), *(ROOT / "nas" / "cli").glob("*.py")):
        assert f"{path.relative_to(ROOT)}" in names
    assert "nas/py.typed" in names


@pytest.mark.slow
def test_the_wheel_searches_from_a_venv_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """The venv sees this environment's libraries; our own code can only come from the wheel."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    site = next((tmp_path / "venv" / "lib").glob("python3*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "libraries.pth").write_text(libraries + "\n")
    (tmp_path / "toys.py").write_text(TOY_EVALUATORS)
    python = tmp_path / "venv" / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import nas.evaluate.cost.exact as c; print(c.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert where.stdout.startswith(str(site))
    command: list[str | Path] = [
        python,
        "-m",
        "nas",
        "search",
        "--evaluator",
        "toys.py:Sine",
        "--trials",
        "4",
        "--workers",
        "1",
        "--out",
        "run",
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len((tmp_path / "run" / "trials.jsonl").read_text().splitlines()) == 4
