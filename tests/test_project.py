"""What the project says of itself outside the documentation: versions agree, and the paths that it names exist."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from tests.toys import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = ("CONTRIBUTING.md", "README.md", "docs/design.md", "docs/reference.md")
ROOMS = "nas|search_spaces|controllers|evaluate|configs|benchmarks|tests|docs"


def test_the_version_and_its_date_are_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    first = re.search(r"^## (\S+) \((\S+)\)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None and first.groups() == (PROJECT["version"], str(citation["date-released"]))


def test_every_python_version_that_is_promised_is_tested() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    tested = {"3.11", *jobs["fast-tests"]["strategy"]["matrix"]["python"]}
    promised = {found[1] for line in PROJECT["classifiers"] if (found := re.search(r"Python :: (3\.\d+)$", line))}
    assert promised == tested
    assert PROJECT["requires-python"] == ">=3.11"


@pytest.mark.parametrize("page", PAGES)
def test_named_paths_exist(page: str) -> None:
    named = set(re.findall(rf"`((?:{ROOMS})/[\w./-]*)`", (ROOT / page).read_text()))
    assert named, "names no path"
    gone = {path for path in named if "NAME" not in path and not (ROOT / path).exists()}
    assert not gone


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_workflows_and_forms_are_valid(path: object) -> None:
    document = yaml.safe_load((ROOT / str(path)).read_text())
    assert isinstance(document, dict) and document
    for job in document.get("jobs", {}).values():
        assert job["steps"] and (job["timeout-minutes"] if "needs" not in job else True)
