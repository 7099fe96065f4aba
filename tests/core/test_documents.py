"""One reader of YAML and JSON, with limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.core.documents import parse_json, parse_yaml, read_json, read_mapping, read_yaml, to_yaml
from nas.core.errors import InputError
from nas.core.plain import plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("25e-2", 0.25),
        ("4e8", 4e8),
        ("5_000", 5000),
        ("010", 10),
        ("0x10", 16),
        (".5", 0.5),
        ("-1.5E+2", -150.0),
        ("1:30", "1:30"),
        ("2019-01-01", "2019-01-01"),
        ("1e", "1e"),
        ("e3", "e3"),
        ("~", None),
        ("yes", True),
        ("'yes'", "yes"),
    ],
)
def test_values_of_yaml(text: str, value: object) -> None:
    found = parse_yaml(text, "x")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "line 2: the key 'a' occurs twice"),
        ("yes: 1", "line 1: the key yes is not text; write it in quotes: 'yes'"),
        ("1: x", "write it in quotes: '1'"),
        ("[a]: 1", "a key is a list or mapping"),
        ("? {a: 1}\n: 2", "a key is a list or mapping"),
        ("a: !!timestamp x", "the tag .*timestamp is not known here"),
        ("a: !!python/object:os.system x", "python/object"),
        ("a: &a [*a]", "its aliases stand for"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("- " * 70 + "x", "nested too deeply"),
        ("a: " + "9" * 400, "a whole number of 400 digits"),
        ('a: "\\ud800"', "not valid Unicode"),
        ("a: [1, 2", "is not valid YAML"),
    ],
)
def test_documents_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_yaml(text, "net.yaml")
    assert str(caught.value).startswith("net.yaml: ") and len(str(caught.value)) < 400


def test_aliases_stand_for_values_within_the_limit() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]\nc: {<<: {d: 1}}", "x") == {
        "a": [1, 2],
        "b": [[1, 2], [1, 2]],
        "c": {"d": 1},
    }
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    with pytest.raises(InputError, match="aliases stand for more than 2,000,000 values"):
        parse_yaml(bomb, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ('{"a": ' * 60 + "1" + "}" * 60, "nested too deeply"),
        ("[1e999]", "the number 1e999 is not finite"),
        ("[NaN]", "the number NaN is not finite"),
        ("9" * 400, "a whole number of 400 digits"),
        ('"\\ud800"', "not valid Unicode"),
        ("{", "is not valid JSON"),
    ],
)
def test_json_that_is_refused(text: str, message: str) -> None:
    for given in (text, text.encode()):
        with pytest.raises(InputError, match=message):
            parse_json(given, "t.json")


def test_a_pair_of_surrogates_is_text() -> None:
    assert parse_json('"\\ud83d\\ude00"', "x") == "\N{GRINNING FACE}"


def test_files_saved_by_windows_have_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}')
    assert read_json(tmp_path / "a") == read_yaml(tmp_path / "a") == read_mapping(tmp_path / "a") == {"a": 1}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"a: \xe9")
    (tmp_path / "list").write_text("[1]")
    with pytest.raises(InputError, match="not UTF-8"):
        read_yaml(tmp_path / "latin")
    with pytest.raises(InputError, match="expected a mapping of keys to values, got list"):
        read_yaml(tmp_path / "list")
    with pytest.raises(InputError, match="too long"):
        read_yaml(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="null"):
        read_yaml(Path("a\0b"))
    assert read_mapping(tmp_path / "absent") == read_mapping(tmp_path / "list") == {}


def test_scalars_of_numpy_and_torch_are_plain() -> None:
    import numpy as np
    import torch

    given = {"a": np.int64(3), "b": torch.tensor(0.5), "c": (np.float32(0.25), Path("x")), np.str_("d"): np.bool_(True)}
    found = plain(given)
    assert found == {"a": 3, "b": 0.5, "c": [0.25, "x"], "d": True}
    assert [type(value) for value in (found["a"], found["b"], found["d"])] == [int, float, bool]


@pytest.mark.parametrize(
    "text", ["00007", "08", "1e3", "4e8", "0o7", "0x1", "5_000", "yes", "2019-01-01", "~", "1:30", ""]
)
@pytest.mark.parametrize("flow", [False, True])
def test_what_is_written_is_read_back(text: str, flow: bool) -> None:
    data = {text: [text, {"a": text}], "numbers": [1, 0.5, 1e-8, True, None]}
    assert parse_yaml(to_yaml(data, flow), "x") == data
