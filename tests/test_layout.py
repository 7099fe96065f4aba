from __future__ import annotations

import ast
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


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_floors_import_only_what_lies_below(room: str) -> None:
    allowed = {
        "search_spaces": {"core"},
        "configs": set(),
        "controllers": {"core", "search_spaces"},
        "evaluate": {"core", "search_spaces"},
    }
    for path in (ROOT / room).rglob("*.py"):
        ours = {name.split(".")[1] for name in imports(path) if name.startswith("nas.")}
        assert ours <= {room} | allowed[room], path


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
