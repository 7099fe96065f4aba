"""The layout of an image folder: which entries are splits, which are classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.core.errors import InputError, nearest_name, printable
from nas.evaluate.data.scan import LeftOut, Listing, is_archive, may_be_a_folder

LAYOUTS = "DIR/{train,test}/CLASS, DIR/{train,val}/CLASS, DIR/{train,val,test}/CLASS or DIR/CLASS"

_SPLITS = {
    **dict.fromkeys(("train", "training", "trainset", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "testset", "holdout"), "test"),
    **dict.fromkeys(("eval", "evaluation"), "eval"),  # the test split, or the validation split beside one
}
_GENERIC = frozenset({"image", "images", "img", "imgs", "data", "dataset", "set", "split", "folder", "jpg", "png"})
_UNLABELLED = frozenset({"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "submission"})
_FOLD = re.compile(r"(?:fold|split|batch)[-_ ]?[0-9]+")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Layout:
    """The classes and splits of an image folder.

    Attributes:
        classes: class names, sorted, in Unicode's composed form (NFC).
        parts: for ``train``, ``val``, ``test`` (or ``all`` for one folder of classes), pairs of file and class name.
        left_out: entries that are left out because of the layout.
    """

    classes: tuple[str, ...]
    parts: dict[str, list[tuple[str, str]]]
    left_out: list[LeftOut]


_File = tuple[tuple[str, ...], str]  # the path's parts below the layout's root, and the whole path


def find_layout(listing: Listing, source: str) -> Layout:
    """Find the splits and classes of a listing; enclosing folders are skipped.

    Raises:
        InputError: if it has no images, fewer than two classes, a class without images, or an unknown layout.
    """
    files = [(_parts(name), name) for name in listing.files]
    empty = [_parts(folder) for folder in listing.empty]
    lost = [
        (_parts(one.name), one)
        for one in listing.left_out
        if one.kind in ("lost", "twice") and may_be_a_folder(one.name)
    ]
    if not files:
        reasons = [f"'{one.name}': {one.reason}" for one in listing.left_out if one.kind != "system"]
        told = f" ({'; '.join(reasons[:3])})" if reasons else ""
        raise InputError(f"data: '{source}' holds no images{told}; expected {LAYOUTS}")
    while _is_wrapped([parts for parts, _ in files]):
        top = files[0][0][0]
        _check_none_lost(lost, source)
        _check_not_alone(top, listing, source)
        files = [(parts[1:], name) for parts, name in files]
        empty = [parts[1:] for parts in empty if parts[0] == top]
        lost = [(parts[1:], one) for parts, one in lost if parts[0] == top]
    splits, unlabelled = _split_names(files, source)
    left_out = [LeftOut(name, f"in '{parts[0]}', without a class folder", "unlabelled") for parts, name in unlabelled]
    if unlabelled:
        aside = {name for _, name in unlabelled}
        files = [(parts, name) for parts, name in files if name not in aside]
        if not splits:  # what is left is one folder of classes, such as train beside an unlabelled test
            while _is_wrapped([parts for parts, _ in files]):
                files = [(parts[1:], name) for parts, name in files]
    if not splits:
        _check_no_splits_inside(files, source)
        parts = {"all": _with_class(files, source)}
        folders = [(folder[0], "") for folder in empty if len(folder) == 1]
        folders += [(path[0], one.reason) for path, one in lost if len(path) == 1]
    else:
        _check_none_lost(lost, source)
        parts, folders = {}, []
        for top, part in splits.items():
            own, below = _unwrapped([(path[1:], name) for path, name in files if path[0] == top])
            parts.setdefault(part, []).extend(_with_class(own, source))
            depth = 2 + below
            folders += [(path[-1], "") for path in empty if path[0] == top and len(path) == depth]
            lost_here = [(path[-1], one.reason) for path, one in lost if path[0] == top and len(path) == depth]
            _check_classes_of_split({kind for _, kind in parts[part]}, lost_here, top, source)
            folders += lost_here
    return Layout(_class_names(parts, folders, source), parts, left_out)


def _check_none_lost(lost: Iterable[tuple[tuple[str, ...], LeftOut]], source: str) -> None:
    """Check that no folder beside the splits is unreadable, because it may be one of the splits."""
    for path, one in lost:
        if len(path) == 1 and one.kind == "lost":
            raise InputError(f"data: '{one.name}' in '{source}' cannot be used: {one.reason}; repair or remove it")


def _check_classes_of_split(found: set[str], lost: Sequence[tuple[str, str]], split: str, source: str) -> None:
    """Check that no class of a split is lost, even if the other splits have it."""
    for kind, reason in lost:
        if kind not in found:
            raise InputError(
                f"data: class folder '{kind}' in '{split}' of '{source}' cannot be used: {reason}; fill it or remove it"
            )


def _check_not_alone(top: str, listing: Listing, source: str) -> None:
    """Check that a folder that holds everything is not a test or validation split whose training split is missing."""
    split, rest = _split_of(top)
    if split in (None, "train") or not all(word in _GENERIC for word in rest):
        return
    archives = [one.name for one in listing.left_out if "/" not in one.name and is_archive(one.name)]
    hint = f"; unpack '{archives[0]}'" if archives else ""
    raise InputError(
        f"data: '{source}' has only '{top}' and no train{hint}. To take it as the whole data set, give its own path"
    )


def _check_no_splits_inside(files: Sequence[_File], source: str) -> None:
    """Check that the splits or folds are not taken for classes, or are inside the classes."""
    tops = sorted({path[0] for path, _ in files if len(path) > 1})
    if len(tops) > 1 and all(_FOLD.fullmatch(top.lower()) for top in tops):
        raise InputError(
            f"data: '{source}' has {', '.join(tops[:4])}, which look like folds, not classes; expected {LAYOUTS}"
        )
    inner: dict[str, set[str | None]] = {}
    for path, _ in files:
        inner.setdefault(path[0], set()).add(_split_of(path[1])[0] if len(path) > 2 else None)
    if inner and all(None not in splits and "train" in splits for splits in inner.values()):
        raise InputError(f"data: '{source}' has its splits inside the class folders; expected {LAYOUTS}")


def _parts(name: str) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part) for part in name.split("/"))


def _is_wrapped(paths: Sequence[tuple[str, ...]]) -> bool:
    """Return whether all images are in subfolders of one folder."""
    return len({parts[0] for parts in paths}) == 1 and all(len(parts) >= 3 for parts in paths)


def _unwrapped(files: list[_File]) -> tuple[list[_File], int]:
    """Skip a folder inside a split that repeats the split's name or says nothing: ``train/train``, ``test/images``.

    Returns the files and how many folders were skipped.
    """
    if not files or len({path[0] for path, _ in files}) > 1 or any(len(path) < 2 for path, _ in files):
        return files, 0
    split, rest = _split_of(files[0][0][0])
    if split is None and not all(word in _GENERIC for word in rest) and not _UNLABELLED & set(rest):
        return files, 0
    return [(path[1:], name) for path, name in files], 1


def _split_of(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the split that a folder's name tells, and the other words of the name.

    Examples:
        >>> _split_of("Training"), _split_of("seg_train"), _split_of("test-set"), _split_of("val2017")
        (('train', ()), ('train', ('seg',)), ('test', ('set',)), ('val', ()))
    """
    words = _WORD.findall(name.lower())
    telling = [word for word in words if word in _SPLITS]
    if len(telling) != 1:
        return None, tuple(words)
    return _SPLITS[telling[0]], tuple(word for word in words if word not in _SPLITS)


def _split_names(files: Sequence[_File], source: str) -> tuple[dict[str, str], list[_File]]:
    """Return the split of each top folder, empty if the top folders are classes; and the images without a class.

    Raises:
        InputError: if there are splits but no training split, or another folder of classes beside the splits.
    """
    tops = sorted({path[0] for path, _ in files if len(path) > 1})
    told = {top: _split_of(top) for top in tops}
    plain = {top: split for top, (split, rest) in told.items() if split and all(word in _GENERIC for word in rest)}
    named = {top: split for top, (split, _) in told.items() if split}
    rests = {frozenset(told[top][1]) - _GENERIC for top in named}
    splits = named if len(rests) == 1 and len(named) > 1 else plain
    if not splits:
        return {}, []
    inside = {top: _unwrapped([(path[1:], name) for path, name in files if path[0] == top])[0] for top in tops}
    flat = {top for top in tops if all(len(path) == 1 for path, _ in inside[top])}
    deep = {top for top in splits if top not in flat}
    if not deep or "train" not in {splits[top] for top in deep}:
        if len(tops) > 1 and set(splits) == set(tops) and deep:
            have = " and ".join(sorted(top.lower() for top in splits))
            raise InputError(f"data: '{source}' has {have} but no train; expected {LAYOUTS}")
        if len(tops) > 1 and set(splits) == set(tops):
            raise InputError(
                f"data: '{source}' has {' and '.join(sorted(splits))} without class folders in them; expected {LAYOUTS}"
            )
        return {}, []  # a class may be called 'train'
    aside = []
    for top in tops:
        if top in deep:
            continue
        if top not in splits and not (top in flat and _UNLABELLED & set(told[top][1])):
            raise InputError(f"data: '{source}' holds '{top}' beside train; move it away. Expected {LAYOUTS}")
        aside += [(path, name) for path, name in files if path[0] == top]
    chosen = {top: splits[top] for top in sorted(deep)}
    if set(chosen.values()) == {"train"}:
        return {}, aside
    other = "val" if "test" in chosen.values() else "test"
    return {top: other if split == "eval" else split for top, split in chosen.items()}, aside


def _with_class(files: Sequence[_File], source: str) -> list[tuple[str, str]]:
    """Return pairs of file and class, the first folder of each path."""
    stray = [name for path, name in files if len(path) < 2]
    if stray:
        raise InputError(
            f"data: '{source}' holds {len(stray)} images outside a class folder, for instance '{stray[0]}'; "
            f"expected {LAYOUTS}"
        )
    return [(name, path[0]) for path, name in files]


def _class_names(
    parts: dict[str, list[tuple[str, str]]], folders: Iterable[tuple[str, str]], source: str
) -> tuple[str, ...]:
    """Return the classes, and check that no folder of a class is without images.

    Args:
        parts: pairs of file and class by split.
        folders: class folders without an image, with the reason if it is known.
        source: the source, for error messages.
    """
    first = parts.get("train") or parts["all"]
    classes = sorted({kind for _, kind in first})
    if odd := [kind for kind in classes if printable(kind) != kind]:
        raise InputError(
            f"data: the name of class folder '{printable(odd[0])}' in '{source}' is not valid UTF-8; rename the folder"
        )
    for kind, reason in folders:
        if kind not in classes:
            why = f"cannot be used: {reason}" if reason else "holds no images"
            raise InputError(f"data: class folder '{kind}' in '{source}' {why}; fill it or remove it")
    if len(classes) < 2:
        raise InputError(
            f"data: expected at least 2 classes in '{source}', found {len(classes)} ('{classes[0]}'); "
            f"the images have to be laid out as {LAYOUTS}"
        )
    for part, rows in parts.items():
        unknown = sorted({kind for _, kind in rows} - set(classes))
        if unknown:
            near = nearest_name(unknown[0], classes)
            raise InputError(f"data: '{source}' has class '{unknown[0]}' in {part} but not in train{near}")
    return tuple(classes)
