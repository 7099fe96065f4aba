"""Every entry of a folder or zip: an image file to read, or an entry that is left out, with the reason."""

from __future__ import annotations

import io
import os
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from nas.core.errors import InputError, printable
from nas.evaluate.data.pixels import is_image

MOST_BYTES = 256 * 2**20
"""Size of the largest image file that is read; a larger entry is left out."""

_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif"})
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".gz", ".7z", ".rar", ".zip")
_TEXT = frozenset({".csv", ".html", ".ini", ".json", ".log", ".md", ".pdf", ".py", ".tsv", ".txt", ".xml", ".yaml"})
_OTHER_FORMATS = frozenset(
    {".heic", ".heif", ".jxl", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".psd", ".svg", ".eps", ".dcm", ".exr"}
)
_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "lost+found", "system volume information"}
    | {"__pycache__"}
)
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
_MOST_DEPTH = 60  # folders inside folders
_HEAD_BYTES = 2**16  # of an entry of a zip, enough to tell an image by its content

Kind = Literal["system", "output", "not_an_image", "lost", "twice", "unlabelled"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry that is not used.

    Attributes:
        name: path below the root, with ``/``; a folder stands for everything in it.
        reason: why, in words.
        kind: ``system`` for hidden, system and thumbnail entries; ``output`` for folders that this program wrote;
            ``not_an_image``; ``lost`` for an image or folder that cannot be read; ``twice`` for a link to a folder that
            is read under another name; ``unlabelled`` for images without a class.
    """

    name: str
    reason: str
    kind: Kind


@dataclass(frozen=True)
class Listing:
    """The entries of a folder or zip.

    Attributes:
        files: paths of the image files below the root, sorted.
        empty: paths of the folders that hold no image and no folder.
        left_out: the other entries.
        read: returns the bytes of a file by its path.
        stamp: returns a file's size and modification time by its path, or its checksum in a zip.
        size: returns a file's bytes by its path.
    """

    files: list[str]
    empty: list[str]
    left_out: list[LeftOut]
    read: Callable[[str], bytes] = field(repr=False)
    stamp: Callable[[str], str] = field(repr=False)
    size: Callable[[str], int] = field(repr=False)


def scan(path: Path, layouts: str) -> Listing:
    """List a folder or zip.

    Args:
        path: the folder or zip.
        layouts: the layouts that are expected, for the error message.

    Raises:
        InputError: if it is absent, unreadable, or neither a folder nor a zip.
    """
    if path.is_dir():
        return _Walk(path).listing()
    try:
        is_zip = zipfile.is_zipfile(path)
    except OSError as error:
        raise InputError(f"data: '{path}' cannot be read ({error.strerror})") from None
    if is_zip:
        return _scan_zip(path)
    what = "is neither a folder nor a zip file" if path.exists() else "does not exist"
    if path.is_file() and path.suffix.lower() == ".zip":
        what = "is a damaged or incomplete zip file; copy it again"
    elif path.is_file() and path.name.lower().endswith(_ARCHIVES):
        what = "is an archive that is not read here; unpack it"
    raise InputError(f"data: '{path}' {what}; expected a folder or zip of images laid out as {layouts}")


class _Walk:
    """Walks a folder. Every folder is read once; a link to a folder that is read elsewhere is left out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: list[str] = []
        self.empty: list[str] = []
        self.left_out: list[LeftOut] = []
        self._links: list[str] = []
        self._seen: dict[tuple[int, int], str] = {}

    def listing(self) -> Listing:
        self._folder("")
        while self._links:  # after all real folders, so that a folder keeps its own name and not a link's
            self._folder(self._links.pop(0))
        root = self.root

        def stamp(name: str) -> str:
            status = (root / name).stat()
            return f"{status.st_size} {status.st_mtime_ns}"

        return Listing(
            sorted(self.files),
            self.empty,
            self.left_out,
            lambda name: (root / name).read_bytes(),
            stamp,
            lambda name: (root / name).stat().st_size,
        )

    def _folder(self, name: str) -> None:
        if name.count("/") >= _MOST_DEPTH:
            self._leave(name, f"nested more than {_MOST_DEPTH} folders deep", "lost")
            return
        path = self.root / name
        try:
            status = path.stat()
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            self._leave(name, f"the folder cannot be read ({error.strerror})", "lost")
            return
        known = self._seen.setdefault((status.st_dev, status.st_ino), name or ".")
        if known != (name or "."):
            above = known == "." or name.startswith(f"{known}/")
            self._leave(name, f"a link to '{known}', which is read already", "system" if above else "twice")
            return
        if name and (made := _made_by_us({entry.name for entry in entries})):
            self._leave(name, made, "output")
            return
        found = len(self.files)
        folders = [entry for entry in entries if self._entry(f"{name}/{entry.name}" if name else entry.name, entry)]
        if name and not folders and found == len(self.files) and not self._only_outputs(name):
            self.empty.append(name)

    def _entry(self, name: str, entry: os.DirEntry[str]) -> bool:
        """Take an entry or leave it out. Returns whether it is a folder that may hold images."""
        if reason := _system(entry.name):
            self._leave(name, reason, "system")
        elif entry.is_symlink() and not Path(entry.path).exists():
            target = Path(entry.path).readlink()
            self._leave(name, f"a link to '{target}', which does not exist", "lost")
        elif entry.is_dir():
            if entry.is_symlink():
                self._links.append(name)
            else:
                self._folder(name)
            return True
        elif not entry.is_file():
            self._leave(name, "neither a file nor a folder", "not_an_image")
        else:
            self._file(name, entry)
        return False

    def _file(self, name: str, entry: os.DirEntry[str]) -> None:
        try:
            size = entry.stat().st_size
            image = has_image_ending(name) or (not _is_text(name) and is_image(Path(entry.path)))
        except OSError as error:
            self._leave(name, f"cannot be read ({error.strerror})", "lost")
            return
        _sort(name, image, size, self.files, self.left_out)

    def _leave(self, name: str, reason: str, kind: Kind) -> None:
        self.left_out.append(LeftOut(name, reason, kind))

    def _only_outputs(self, name: str) -> bool:
        """Return whether a folder holds only folders that this program wrote."""
        inside = [one for one in self.left_out if one.name.startswith(f"{name}/")]
        return any(one.kind == "output" for one in inside)


def is_archive(name: str) -> bool:
    """Return whether a file's name ends like that of an archive."""
    return name.lower().endswith(_ARCHIVES)


def has_image_ending(name: str) -> bool:
    """Return whether a file's name ends like that of an image."""
    return PurePosixPath(name).suffix.lower() in _EXTENSIONS


def may_be_a_folder(name: str) -> bool:
    """Return whether a lost entry may be a folder, because its name does not end like that of an image."""
    return PurePosixPath(name).suffix.lower() not in _EXTENSIONS | _OTHER_FORMATS


def _scan_zip(path: Path) -> Listing:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"data: '{path}' is not a readable zip file ({error})") from None
    entries: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    left_out: list[LeftOut] = []
    for entry in archive.infolist():
        name = entry.filename.replace("\\", "/")  # archives made on Windows
        parts = PurePosixPath(name).parts
        if entry.flag_bits & 1:
            raise InputError(f"data: '{path}' is encrypted (its entry '{printable(name)}' is); unpack it")
        if name.startswith("/") or ".." in parts:
            left_out.append(LeftOut(name, "its path leads out of the archive", "lost"))
            continue
        hidden = next((reason for part in parts if (reason := _system(part))), "")
        if hidden:
            left_out.append(LeftOut(name, hidden, "system"))
        elif name.endswith("/"):
            folders.add(name.rstrip("/"))
        elif name in entries:
            left_out.append(LeftOut(name, "the archive holds another entry of this name", "twice"))
        else:
            entries[name] = entry
    outputs = _output_folders(entries)
    files: list[str] = []
    for name, entry in entries.items():
        if any(name.startswith(f"{folder}/") for folder in outputs):
            continue
        image = has_image_ending(name) or (not _is_text(name) and _is_image_entry(archive, entry))
        _sort(name, image, entry.file_size, files, left_out)
    left_out += [LeftOut(name, reason, "output") for name, reason in outputs.items()]
    used = {str(parent) for name in [*files, *outputs] for parent in PurePosixPath(name).parents} | set(outputs)
    empty = sorted(name for name in folders if name not in used and not any(n.startswith(f"{name}/") for n in folders))

    def read(name: str) -> bytes:
        return archive.read(entries[name])

    return Listing(
        sorted(files),
        empty,
        left_out,
        read,
        lambda name: str(entries[name].CRC),
        lambda name: entries[name].file_size,
    )


def _is_text(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _TEXT


def _output_folders(names: dict[str, zipfile.ZipInfo]) -> dict[str, str]:
    """Return the folders of a zip that this program wrote, with the reason."""
    inside: dict[str, set[str]] = {}
    for name in names:
        if (parent := str(PurePosixPath(name).parent)) != ".":
            inside.setdefault(parent, set()).add(PurePosixPath(name).name)
    return {folder: made for folder, own in inside.items() if (made := _made_by_us(own))}


def _is_image_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(entry) as file:
            return is_image(io.BytesIO(file.read(_HEAD_BYTES)))
    except Exception:  # an encrypted or damaged entry
        return False


def _sort(name: str, image: bool, size: int, files: list[str], left_out: list[LeftOut]) -> None:
    if not image and (suffix := PurePosixPath(name).suffix.lower()) in _OTHER_FORMATS:
        left_out.append(LeftOut(name, f"an image of a format that is not read ({suffix}); convert it", "lost"))
    elif not image:
        left_out.append(LeftOut(name, "not an image", "not_an_image"))
    elif size > MOST_BYTES:
        reason = f"{size / 2**20:,.0f} MiB, larger than the {MOST_BYTES / 2**20:.0f} MiB that are read"
        left_out.append(LeftOut(name, reason, "lost"))
    else:
        files.append(name)


def _system(name: str) -> str:
    """Return why an entry is left out by its name alone; empty if it is not."""
    if name.startswith("."):
        return "hidden"
    if unicodedata.normalize("NFC", name).lower() in _SYSTEM_FOLDERS | _SYSTEM_FILES:
        return "made by the system"
    return ""


def _made_by_us(names: set[str]) -> str:
    """Return what this program wrote into a folder with these files; empty if it is not its own."""
    if "trials.jsonl" in names:
        return "the run directory of a search"
    if "train.yaml" in names or "trust.jsonl" in names:
        return "the folder of trainings"
    if "meta.json" in names and any(name.endswith(".images.npy") for name in names):
        return "prepared images"
    return ""
