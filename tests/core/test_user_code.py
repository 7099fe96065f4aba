"""A user's file runs as a module of a package of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nas.core.errors import InputError
from nas.core.user_code import UserCode, describe, without_user_code


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def load(path: Path) -> type:
    code = UserCode.read(f"{path}:Mine", "space")
    assert code is not None
    return code.load()


def test_neighbours_of_two_projects_stay_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        main = "import helper\nfrom pkg.inner import deep\n\n\nclass Mine:\n    value = helper.NAME, deep()\n\n"
        main += "    def late(self):\n        import helper\n        return helper.NAME\n"
        write(
            tmp_path / name,
            mine=main,
            helper=f"NAME = '{name}'\n",
            pkg__inner=f"from . import other\n\n\ndef deep():\n    return other.VALUE + '{name}'\n",
            pkg__other="VALUE = 'from '\n",
        )
    first, second = load(tmp_path / "a" / "mine.py"), load(tmp_path / "b" / "mine.py")
    assert first.value == ("a", "from a") and second.value == ("b", "from b")  # type: ignore[attr-defined]
    assert first().late() == "a" and second().late() == "b"


def test_the_imported_files_travel_and_no_others(tmp_path: Path) -> None:
    write(
        tmp_path, mine="import helper, json\n\n\nclass Mine:\n    value = helper.N\n", helper="N = 3\n", other="x = 1\n"
    )
    code = UserCode.read(f"{tmp_path / 'mine.py'}:Mine", "space")
    assert code is not None and sorted(code.files) == ["helper.py", "mine.py"]
    for path in tmp_path.glob("*.py"):
        path.unlink()
    assert code.load().value == 3


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, mine="class Mine:\n    value = 1\n")
    assert load(tmp_path / "mine.py").value == 1  # type: ignore[attr-defined]
    write(tmp_path, mine="class Mine:\n    value = 2\n")
    assert load(tmp_path / "mine.py").value == 2  # type: ignore[attr-defined]


def test_source_is_decoded_as_python_does(tmp_path: Path) -> None:
    (tmp_path / "bom.py").write_bytes(b"\xef\xbb\xbfclass Mine:\n    value = '\xc3\xa9'\n")
    (tmp_path / "cookie.py").write_bytes(b"# -*- coding: latin-1 -*-\nclass Mine:\n    value = '\xe9'\n")
    for name in ("bom", "cookie"):
        assert load(tmp_path / f"{name}.py").value == "é"  # type: ignore[attr-defined]


def test_the_working_directory_is_restored(tmp_path: Path) -> None:
    before = Path.cwd()
    write(tmp_path, mine="import os\n\nos.chdir('/')\n\n\nclass Mine:\n    pass\n")
    load(tmp_path / "mine.py")
    assert Path.cwd() == before


def test_a_folder_of_the_users_does_not_hide_the_program(tmp_path: Path) -> None:
    write(tmp_path, mine="from nas.core.errors import InputError\n\n\nclass Mine:\n    value = InputError\n")
    write(tmp_path, nas__core__errors="InputError = None\n")
    assert load(tmp_path / "mine.py").value is InputError  # type: ignore[attr-defined]


def test_processes_that_user_code_starts_import_it_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        mine="""
import multiprocessing
import helper


def work(number):
    return number + helper.N


class Mine:
    def run(self):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.map(work, [1])
""",
        helper="N = 41\n",
        start=f"""
from nas.core.user_code import UserCode

if __name__ == "__main__":
    print(UserCode.read({str(tmp_path / "mine.py")!r} + ":Mine", "x").load()().run())
""",
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "start.py")], capture_output=True, text=True, cwd="/", timeout=60, check=True
    )
    assert done.stdout == "[42]\n"


@pytest.mark.parametrize(
    ("main", "helper", "said"),
    [
        ("x = 1 / 0\n", "", r"ZeroDivisionError: division by zero \(mine.py, line 1\)"),
        ("import helper\n", "\ny = 1 / 0\n", r"ZeroDivisionError: division by zero \(helper.py, line 2\)"),
        ("import helper\n", "x = (\n", r"SyntaxError: .* \(helper.py, line 1\)"),
        ("import json\njson.loads('{')\n", "", r"JSONDecodeError: .* \(mine.py, line 2\)"),
        ("import absent_module\n", "", r"ModuleNotFoundError: No module named 'absent_module' \(mine.py, line 1\)"),
        ("raise SystemExit(3)\n", "", r"SystemExit: 3 \(mine.py, line 1\)"),
    ],
)
def test_messages_name_the_users_own_line(tmp_path: Path, main: str, helper: str, said: str) -> None:
    write(tmp_path, mine=main, helper=helper)
    with pytest.raises(InputError, match=said):
        load(tmp_path / "mine.py")


def test_an_error_in_a_library_is_told_at_the_users_call(tmp_path: Path) -> None:
    write(tmp_path, mine="import json\n\n\nclass Mine:\n    def run(self):\n        return json.loads('{')\n")
    with pytest.raises(ValueError, match="Expecting") as caught:
        load(tmp_path / "mine.py")().run()
    assert describe(caught.value).endswith("(mine.py, line 6)")


def test_code_can_be_refused(tmp_path: Path) -> None:
    write(tmp_path, mine=f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n\n\nclass Mine:\n    pass\n")
    with without_user_code("not here"), pytest.raises(InputError, match="mine.py: not here"):
        load(tmp_path / "mine.py")
    assert not (tmp_path / "ran").exists()
    load(tmp_path / "mine.py")
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["my.space.py", "my-space.py", "2nd try.py", "class.py", "random.py"])
def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("class Mine:\n    value = 5\n")
    assert load(tmp_path / name).value == 5  # type: ignore[attr-defined]


def test_a_file_beside_a_package_of_its_name(tmp_path: Path) -> None:
    write(tmp_path, genes="class Mine:\n    value = 6\n", genes____init__="")
    (tmp_path / "genes").mkdir(exist_ok=True)
    (tmp_path / "genes" / "__init__.py").touch()
    assert load(tmp_path / "genes.py").value == 6  # type: ignore[attr-defined]


def test_a_file_in_a_package_imports_by_the_packages_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        pkg__sub__mine="from pkg.util import V\nfrom ..util import V as W\n\n\nclass Mine:\n    value = V, W\n",
        pkg__util="V = 7\n",
    )
    for folder in ("pkg", "pkg/sub"):
        (tmp_path / folder / "__init__.py").touch()
    code = UserCode.read(f"{tmp_path / 'pkg' / 'sub' / 'mine.py'}:Mine", "space")
    assert code is not None and code.load().value == (7, 7)
    assert sorted(code.files) == ["pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/mine.py", "pkg/util.py"]


def test_messages_are_short_and_printable_whatever_the_exception() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe(Odd()) == "Odd: (its message cannot be shown)"
    said = describe(ValueError("x" * 100_000 + "\x1b[31m\x00\ud800"))
    assert len(said) < 700 and said.isprintable()
