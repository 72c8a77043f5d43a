# SPDX-License-Identifier: GPL-3.0-or-later
"""The content-addressed cache: whole entries or none, for any number of users at once."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .errors import BpfviewError

_STAGING = ".staging-"


def cache_root(override: str | Path | None = None) -> Path:
    """Return the cache folder: ``override``, else ``$XDG_CACHE_HOME/bpfview-fleet``, else ~/.cache.

    The folder is not created, so that check mode can ask.
    """
    if override:
        return Path(override).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG rule: a relative value counts as not set
    parent = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return parent / "bpfview-fleet"


def make_folder(path: Path) -> Path:
    """Create ``path`` with its parents; raises BpfviewError that names it if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BpfviewError(
            f"the folder {path} cannot be created: {error.strerror}",
            "Make its parent writable, free space there, or name another cache folder",
        ) from error
    return path


@contextlib.contextmanager
def locked(root: Path, kind: str, key: str) -> Iterator[None]:
    """Hold the lock of one entry; waits for another holder without limit of time.

    The lock ends with the process, so a killed holder blocks nobody.
    """
    path = make_folder(root / "locks") / f"{kind}-{key}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def entry_path(root: Path, kind: str, key: str) -> Path:
    """Return where an entry is or would be."""
    return root / kind / key


def find(root: Path, kind: str, key: str) -> Path | None:
    """Return the folder of a published entry, or None."""
    path = entry_path(root, kind, key)
    return path if path.is_dir() else None


@contextlib.contextmanager
def publishing(root: Path, kind: str, key: str) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes the entry at once and whole when the block ends.

    If the block raises, nothing is published. The caller holds ``locked`` for the same key, so
    folders that a killed process left for this key are removed first.
    """
    parent = make_folder(root / kind)
    for stale in parent.glob(f"{_STAGING}{key}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{key}-", dir=parent))
    try:
        yield staging
        _sync_tree(staging)
        staging.chmod(0o755)
        _rename(staging, entry_path(root, kind, key))
        _sync(parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _rename(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        # the same key means the same content: what is there already is as good
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            _sync(path)
    _sync(folder)


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old content or the new; raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def link_atomic(path: Path, target: Path) -> bool:
    """Make ``path`` a symbolic link to ``target``; returns whether anything changed."""
    if path.is_symlink() and path.readlink() == target:
        return False
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(path)
    return True


def publish_links(entries: Sequence[Path], output_dir: Path, check: bool = False) -> bool:
    """Make ``output_dir`` hold one link to each file of the entries and no other link.

    Returns whether anything differs; in ``check`` mode nothing is written.
    """
    wanted = {path.name: path for entry in entries for path in entry.iterdir()}
    found = {path.name: path for path in output_dir.iterdir()} if output_dir.is_dir() else {}
    stale = [path for name, path in found.items() if path.is_symlink() and name not in wanted]
    missing = [
        name
        for name, target in wanted.items()
        if not (name in found and found[name].is_symlink() and found[name].readlink() == target)
    ]
    if not check and (stale or missing):
        make_folder(output_dir)
        for name in missing:
            link_atomic(output_dir / name, wanted[name])
        for path in stale:
            path.unlink()
    return bool(stale or missing)
