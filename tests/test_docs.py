"""README and the documentation are true: their commands, their examples and their words run, on a tiny budget."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from nas.search.config import config_names
from nas.search_spaces.catalogue import reference_names, space_names
from tests.conftest import write_images
from tests.toys import ROOT, read_trials, run_nas

README = (ROOT / "README.md").read_text()
PAGES = {path.name: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
MEASURED = (
    "controllers.md",
    "surrogate.md",
    "rediscovery.md",
    "proxy.md",
    "family.md",
    "worth-it.md",
)  # what was run, at length
TINY = ("--trials", "2", "--workers", "0", "--set", "evaluator.epochs=1", "--set", "data.fraction=0.1")
ONE_EPOCH = ("--set", "evaluator.epochs=1")
LESS = {
    "train": ("--epochs", "1", "--batch-size", "16"),
    "bench": ("--rounds", "3", "--resolution", "32", "--backends", "eager,onnxruntime"),
    "rediscover": ("--seeds", "1", "--trials", "30", "--sample", "200"),
    "trust": ("--networks", "3", "--seeds", "1", "--longer", "2", "--longer-seeds", "1", "--workers", "0"),
    "confirm": ("--epochs", "1", "--fraction", "0.2"),
    "latency": ("--rounds", "3"),
    "supernet": ("--epochs", "1", "--batch-size", "16"),
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)


def commands(page: str) -> list[list[str]]:
    lines = [line for block in blocks(page, "bash") for line in block.splitlines() if line.startswith("nas ")]
    return [shlex.split(line)[1:] for line in lines]


WITH_COMMANDS = [page for page in PAGES if page not in MEASURED and commands(page)]


def test_two_commands_do_all_the_set_up() -> None:
    first, second = blocks("README.md", "bash")[:2]
    install, search = first.strip().rsplit(" && ", 1)
    assert install == "python3 -m venv .venv && .venv/bin/pip install ."
    assert search == ".venv/bin/nas search --target-flops 400M --out runs/first"
    assert second.strip() == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"
    assert "grep -m 1 'bin/python -m pytest' README.md" in (ROOT / ".ci" / "run").read_text()


def test_every_page_with_commands_is_run_or_says_what_was_measured() -> None:
    with_blocks = {page for page in PAGES if any("nas " in block for block in blocks(page, "bash"))}
    assert with_blocks == set(WITH_COMMANDS) | {page for page in MEASURED if commands(page)}
    assert set(MEASURED) <= set(PAGES)


def test_every_command_is_named_in_a_page() -> None:
    surface = (ROOT / "tests" / "cli" / "surface.txt").read_text()
    text = "\n".join(PAGES.values())
    missing = [
        name for name in re.findall(r"^nas (.+)$", surface, re.MULTILINE) if not re.search(rf"\bnas {name}\b", text)
    ]
    assert not missing


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take for granted: images, a run on them, a trained network, the files they write down."""
    folder = tmp_path_factory.mktemp("shelf")
    write_images(folder / "DIR", {"a": 40, "b": 40})
    (folder / "IMAGE").write_bytes((folder / "DIR" / "a" / "000.png").read_bytes())
    (folder / "mine.yaml").write_text(blocks("your-space.md", "yaml")[0])
    (folder / "climber.py").write_text(blocks("your-controller.md", "python")[0])
    named = ("--config", "image_folder", "--data", "DIR", *TINY, "--out", "runs/NAME")
    run_nas("search", *named, cwd=folder)
    small = ("--data", "DIR", "--recipe", "small-images", "--resolution", "32", *LESS["train"])
    run_nas("train", "runs/NAME", *small, "--out", "trained/mine", cwd=folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_every_command_runs(page: str, shelf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    shutil.copytree(shelf, folder)
    for arguments in commands(page):
        if "--out" in arguments:  # what the page makes itself
            shutil.rmtree(folder / arguments[arguments.index("--out") + 1], ignore_errors=True)
    for number, arguments in enumerate(commands(page)):
        run_nas(*small(arguments, number), cwd=folder)
    if page == "your-images.md":  # two trials, resumed to three
        assert len(read_trials(folder / "runs" / "NAME")) == 3
    if page == "scaling.md":
        assert len(list((folder / "family").iterdir())) == 3
    if page == "your-space.md":
        assert all(5.4e6 <= trial["metrics"]["macs"] <= 6e6 for trial in read_trials(folder / "runs" / "mine"))


def small(arguments: list[str], number: int) -> list[str]:
    """The same command with less to do."""
    if arguments[0] == "make":
        less = ("--resolution", "16", "--workers", "0", "--minutes", "1")
        return arguments if "--resume" in arguments else [*arguments, *less]
    if arguments[0] == "train" and "--resume" in arguments:
        return arguments
    if "--resume" in arguments:
        return [*arguments[: arguments.index("--trials")], "--trials", "3"]
    if "--supernet" in arguments:
        return [*arguments, "--trials", "2", "--workers", "0"]
    if arguments[0] == "search":
        trains = any(word in arguments for word in ("--data", "digits", "mine/search.yaml"))
        loose = (
            ("--max-latency", "60s", "--set", "objective.max_latency_error=100") if "latency.json" in arguments else ()
        )
        out = () if "--out" in arguments else ("--out", f"runs/{number}")
        longer = ("--set", "evaluator.epochs=2") if "asha" in arguments else ()
        workers = ("--workers", "2") if "--workers" in arguments else ()
        return [*arguments, *(TINY if trains else ("--trials", "40")), *longer, *loose, *workers, *out]
    if "--fit" in arguments:
        grid = ("--workers", "0", "--step", "0.5", "--tolerance", "0.6", "--set", "confirm.rounds=2")
        return [*arguments, *grid, *ONE_EPOCH]
    if arguments[0] == "scale-study" and "--data" in arguments:
        few = ("--budgets", "2", "--seeds", "1", "--workers", "0")
        return [*arguments[: arguments.index("--budgets")], *few, *ONE_EPOCH]
    return [*arguments, *LESS.get(arguments[0], ())]


@pytest.mark.slow
def test_the_classes_in_python(tmp_path: Path) -> None:
    """A space of stage tables is checked, searched and scaled; one of modules checked and searched."""
    space, modules, evaluator = blocks("your-space.md", "python")
    (climber,) = blocks("your-controller.md", "python")
    assert max(len(block.splitlines()) for block in (space, modules, evaluator, climber)) < 30
    assert len(blocks("your-space.md", "yaml")[0].splitlines()) <= 20
    (tmp_path / "mine.py").write_text("\n".join([space, modules, evaluator, climber]))
    for name in ("Space", "Modules"):
        run_nas("check", f"mine.py:{name}", cwd=tmp_path)
        run_nas("search", "--space", f"mine.py:{name}", *TINY, "--out", name, cwd=tmp_path)
    run_nas("scale", "Space", "--phi", "1,2", cwd=tmp_path)
    assert "no stage tables" in run_nas("scale", "Modules", "--phi", "1", cwd=tmp_path, check=2).stderr
    fast = ("--evaluator", "mine.py:Evaluator", "--trials", "3", "--workers", "0")
    run_nas("search", "--space", "mine.py:Modules", *fast, "--out", "scored", cwd=tmp_path)
    mine = ("--controller", "mine.py:Climber", "--target-flops", "300M", "--trials", "12", "--out", "climbed")
    assert "12 by mine.py:Climber" in run_nas("search", *mine, cwd=tmp_path).stdout.replace(f"{tmp_path}/", "")
    assert {trial["metrics"]["accuracy"] for trial in read_trials(tmp_path / "scored")} <= {0.5, 0.51, 0.52, 0.53}


def test_the_program_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = blocks("first-search.md", "python")
    monkeypatch.chdir(tmp_path)
    exec(compile(program.replace('"400M"', '"400M", trials=20, quiet=True'), "first-search.md", "exec"), {})
    assert len(read_trials(tmp_path / "runs" / "python")) == 20


def test_the_spaces_and_networks_it_names_are_all_there_are() -> None:
    section = PAGES["paper.md"].split("## Spaces and networks of the papers")[1]
    assert all(f"`{name}`" in section for name in space_names())
    families = {re.sub(r"[_0-9].*", "", name) for name in reference_names()}
    assert len(families) == 4 and all(f"`{family}" in section for family in families)


@pytest.mark.slow
@pytest.mark.parametrize("name", config_names())
def test_every_configuration_runs(name: str, tmp_path: Path) -> None:
    write_images(tmp_path / "images", {"a": 40, "b": 40})
    less = ("--trials", "2") if name == "default" else TINY
    run_nas("search", "--config", name, *less, "--report", "--out", "run", cwd=tmp_path)
    assert [trial["status"] for trial in read_trials(tmp_path / "run")] == ["ok", "ok"]
    assert (tmp_path / "run" / "report.html").exists()
    assert f"`{name}`" in README


def test_the_folders_it_names_exist() -> None:
    for folder in re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE):
        assert (ROOT / folder).is_dir()


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_and_pictures_lead_somewhere(page: str) -> None:
    here = ROOT if page == "README.md" else ROOT / "docs"
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[page]):
        assert target.startswith("http") or (here / target).exists(), target


def test_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()) < 600_000
