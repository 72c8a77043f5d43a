# SPDX-License-Identifier: GPL-3.0-or-later
"""Driving the kernel tree's own makefiles: configuration, compilation, packages."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from . import deb_write, kernel_config
from .errors import BpfviewError
from .process import output, plain_environment, stream
from .progress import Reporter, is_compile_step

MAINTAINER = ("bpfview-fleet maintainers", "maintainers@bpfview.invalid")
_ERROR = re.compile(
    r"(?:\b(?:fatal )?error: |\bundefined reference\b|^FAILED: |: \*\*\* |\berror trying\b"
    r"|^dpkg-\w+: error|No space left on device)",
)
_REVISION = "1"
_NEEDED = {
    "bc": "bc", "bison": "bison", "ccache": "ccache", "cpio": "cpio", "fakeroot": "fakeroot",
    "flex": "flex", "gcc": "build-essential", "make": "build-essential", "kmod": "kmod",
    "dpkg-buildpackage": "dpkg-dev", "pahole": "pahole", "patch": "build-essential",
    "rsync": "rsync", "xz": "xz-utils",
}  # fmt: skip
_HEADERS = {"libelf.h": "libelf-dev", "openssl/opensslv.h": "libssl-dev"}


@dataclass(frozen=True)
class Make:
    """How make is called in one tree."""

    tree: Path
    log: Path
    ccache_dir: Path
    release: str
    epoch: int  # seconds since 1970 that stand in for "now" in what is built
    jobs: int

    def environment(self) -> dict[str, str]:
        """The whole environment of a build: nothing of the caller's, no clock, no host name."""
        name, address = MAINTAINER
        return plain_environment(
            {
                "CCACHE_DIR": str(self.ccache_dir),
                "SOURCE_DATE_EPOCH": str(self.epoch),
                "KBUILD_BUILD_TIMESTAMP": time.strftime(
                    "%a %b %e %H:%M:%S UTC %Y", time.gmtime(self.epoch)
                ),
                "KBUILD_BUILD_USER": "bpfview",
                "KBUILD_BUILD_HOST": "bpfview",
                "KBUILD_BUILD_VERSION": _REVISION,
                "KDEB_PKGVERSION": f"{self.release.partition('-')[0]}-{_REVISION}",
                "KDEB_CHANGELOG_DIST": "unstable",
                # what the tree packs is packed again
                "KDEB_COMPRESS": "none",
                "DEB_BUILD_PROFILES": "pkg.linux-upstream.nokerneldbg",
                "DEBFULLNAME": name,
                "DEBEMAIL": address,
            }
        )

    def variables(self) -> list[str]:
        """What every call of make is given."""
        # the tree's folder shows in debugging data and so in the build id; give it one name
        mapping = f"-fdebug-prefix-map={self.tree}=/usr/src/linux"
        return [
            "CC=ccache gcc",
            "HOSTCC=ccache gcc",
            f"KCFLAGS={mapping}",
            f"KAFLAGS={mapping}",
            "LOCALVERSION=",
        ]

    def _pahole(self) -> list[str]:
        # pahole's parallel encoding numbers the types by chance; the tree would ask for it
        script = self.tree / "scripts/pahole-flags.sh"
        if not script.is_file():
            return []
        flags = output(["sh", str(script)], env=plain_environment({"PAHOLE": "pahole"})).split()
        return [f"PAHOLE_FLAGS={' '.join(flag for flag in flags if flag != '-j')}"]

    def quiet(self, *targets: str) -> str:
        """Run short targets and return what they print; raises BpfviewError if one fails."""
        command = ["make", "-s", *self.variables(), *targets]
        return output(command, cwd=self.tree, env=self.environment(), timeout=600)

    def logged(self, targets: Sequence[str], reporter: Reporter) -> None:
        """Run long targets into the log, reporting each compiled file.

        Raises BpfviewError with the first error and where the log is.
        """
        command = ["make", f"-j{self.jobs}", *self.variables(), *self._pahole(), *targets]
        run_logged(command, self.tree, self.environment(), self.log, reporter)


def run_logged(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    path: Path,
    reporter: Reporter,
) -> None:
    """Run a make into a log, reporting each compiled file.

    Raises BpfviewError with the first error and where the log is.
    """
    # by lines, so that somebody who looks while it runs sees where it is
    with path.open("a", encoding="utf-8", buffering=1) as log:

        def line(text: str) -> None:
            log.write(f"{text}\n")
            if is_compile_step(text):
                reporter.step()

        line(f"+ {shlex.join(command)}")
        status = stream(command, line, cwd=folder, env=environment)
    if status:
        words = first_error(path.read_text("utf-8", "replace"))
        raise BpfviewError(
            f"the build in {folder} failed (make {command[-1]}, status {status}): {words}",
            f"Correct the cause and run again; the whole log is {path}",
        )


def first_error(log: str) -> str:
    """Return the first line of a build log that names an error, with the two that follow it."""
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if _ERROR.search(line) and not line.startswith("+ "):
            return " | ".join(part.strip() for part in lines[number : number + 3])
    return " | ".join(part.strip() for part in lines[-3:]) or "the log is empty"


def require_tools() -> None:
    """Raise BpfviewError naming every Debian package that a build needs and that is missing."""
    path = plain_environment()["PATH"]
    missing = {package for tool, package in _NEEDED.items() if not shutil.which(tool, path=path)}
    roots = [Path("/usr/include"), *Path("/usr/include").glob("*-linux-gnu")]
    missing |= {
        package
        for header, package in _HEADERS.items()
        if not any((root / header).is_file() for root in roots)
    }
    if missing:
        raise BpfviewError(
            f"the builder lacks Debian packages that a kernel build needs: "
            f"{', '.join(sorted(missing))}",
            f"Install them: apt-get install {' '.join(sorted(missing))}",
        )


def compile_tree(make: Make, reporter: Reporter) -> None:
    """Compile the kernel image and its modules; raises BpfviewError with the first error."""
    make.logged(["bzImage", "modules"], reporter)


def configure(make: Make, options: Mapping[str, str], local_version: str, minimal: bool) -> None:
    """Write the tree's .config and local version from what is asked for.

    ``minimal`` starts with every other option off, else the others take their defaults.
    """
    # The configuration is included by every source file. A file of its own keeps the key out of
    # it, so that ccache finds the objects of builds with another key.
    (make.tree / "localversion-bpfview").write_text(f"{local_version}\n", "utf-8")
    own = {"CONFIG_LOCALVERSION": '""', "CONFIG_LOCALVERSION_AUTO": "n"}
    text = kernel_config.render({**options, **own})
    if minimal:
        request = make.tree / ".bpfview-request"
        request.write_text(text, "utf-8")
        make.quiet(f"KCONFIG_ALLCONFIG={request}", "allnoconfig")
        request.unlink()
    else:
        (make.tree / ".config").write_text(text, "utf-8")
        make.quiet("olddefconfig")


def package(make: Make, reporter: Reporter) -> list[Path]:
    """Make the Debian packages through the tree's own target and return image and headers.

    The tree also makes a package of debugging data and one of C library headers; the first is of
    no use on a host, the second has a name that is not ours to take.
    """
    name, address = MAINTAINER
    trailer = f" -- {name} <{address}>  {formatdate(make.epoch)}"
    # the tree dates its changelog by the clock; the hook sets the date that the build has
    hook = f"sed -i {shlex.quote(f's|^ -- .*|{trailer}|')} debian/changelog"
    flags = shlex.join([f"--hook-build={hook.replace('%', '%%')}"])
    make.logged([f"DPKG_FLAGS={flags}", "bindeb-pkg"], reporter)
    found = [
        path
        for stem in ("linux-image", "linux-headers")
        for path in sorted(make.tree.parent.glob(f"{stem}-{make.release}_*.deb"))
    ]
    if not any(path.name.startswith("linux-image-") for path in found):
        raise BpfviewError(
            "the tree made no linux-image package", f"Look for the cause in {make.log}"
        )
    for path in found:
        without_origin(path, make.epoch)
    return found


def without_origin(package: Path, epoch: int) -> None:
    """Take out of a package what tells the folder and the disk that it was built on.

    That is the debugging data of the build tools in it, what make noted of its commands, and the
    order of the checksums.
    """
    folder = package.with_suffix("")
    deb_write.unpack(package, folder)
    for note in folder.glob("usr/src/*/**/.*.cmd"):
        note.unlink()
    for path in folder.glob("usr/src/*/tools/**/*"):
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            output(["strip", "--strip-debug", "--remove-section=.note.gnu.build-id", str(path)])
    deb_write.pack(folder, package, epoch)
    shutil.rmtree(folder)
