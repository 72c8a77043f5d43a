# SPDX-License-Identifier: GPL-3.0-or-later
"""A host below a temporary folder, and a kernel that keeps its views there as plain files."""

from __future__ import annotations

import errno
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plugins.module_utils.bpfview import running_kernel, view_kernel, views_desired, views_units
from plugins.module_utils.bpfview.digest import sha256_bytes
from plugins.module_utils.bpfview.host_layout import Host, Output
from plugins.module_utils.bpfview.libbpf import Rejected
from plugins.module_utils.bpfview.views_desired import KeyCheck, View

ELF = b"\x7fELF\x02\x01" + bytes(12) + b"\xf7\x00"
LINKS = "links.json"


def btf(*functions: str, **constants: int) -> bytes:
    """BTF of functions, and of constants in enums of their own, as far as anybody looks."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*functions, *constants))
    types = b"".join(
        struct.pack("=III", names.index(b"\0" + name.encode() + b"\0") + 1, 12 << 24 | 1, 1)
        for name in functions
    )
    types += b"".join(
        struct.pack(
            "=IIIII", 0, 6 << 24 | 1, 4, names.index(b"\0" + name.encode() + b"\0") + 1, value
        )
        for name, value in constants.items()
    )
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names)) + (
        types + names
    )


def btf_with_enum(name: str, **members: int) -> bytes:
    """BTF of one enum with a name."""
    names = b"\0" + b"".join(word.encode() + b"\0" for word in (name, *members))

    def at(word: str) -> int:
        return names.index(b"\0" + word.encode() + b"\0") + 1

    types = struct.pack("=III", at(name), 6 << 24 | len(members), 4)
    types += b"".join(struct.pack("=Ii", at(word), value) for word, value in members.items())
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
    return header + types + names


@dataclass
class Tree:
    """The host; ``commands`` are the programs that were run, ``refused`` units do not start."""

    root: Path
    commands: list[list[str]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.host = Host(self.root, self.run)
        self.cgroups = self.root / "sys/fs/cgroup"
        self.pins = self.root / "sys/fs/bpf/bpfview"
        for folder in ("sys/fs/bpf", "run/systemd/system", "sys/kernel/btf", "proc/self"):
            (self.root / folder).mkdir(parents=True)
        self.mounts("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", "bpf /sys/fs/bpf bpf rw 0 0")
        self.describe(btf("bpf_view_cgroup", BPF_F_VIEW_SUBTREE=1 << 24))
        for cgroup in ("system.slice/ssh.service", "system.slice/cron.service", "user.slice"):
            (self.cgroups / cgroup).mkdir(parents=True)

    def run(self, arguments: Sequence[str]) -> Output:
        """Note a command and, for those of systemctl that matter, do what it does."""
        self.commands.append(list(arguments))
        match list(arguments):
            case ["systemctl", "is-active", *units]:
                return Output(3, "".join(f"{self.states.get(u, 'inactive')}\n" for u in units))
            case ["systemctl", "enable", *_]:
                for link in (self.host.path(path) for path in views_units._WANTS.values()):
                    link.parent.mkdir(parents=True, exist_ok=True)
                    if not link.is_symlink():
                        link.symlink_to(views_units.path_of(link.name))
            case ["systemctl", "start", *units]:
                return self._start(units)
        return Output(0, "")

    def _start(self, units: Sequence[str]) -> Output:
        for unit in units:
            self.states[unit] = "inactive" if unit == views_units.RECONCILE else "active"
        failed = self.refused & set(units)
        self.states.update(dict.fromkeys(failed, "failed"))
        return Output(1, f"Job for {min(failed)} failed.\n") if failed else Output(0, "")

    def changing_commands(self) -> list[list[str]]:
        """The programs that were run to change something."""
        return [command for command in self.commands if command[:2] != ["systemctl", "is-active"]]

    def describe(self, content: bytes) -> None:
        """Set the running kernel's BTF."""
        (self.root / "sys/kernel/btf/vmlinux").write_bytes(content)
        running_kernel.constant_in.cache_clear()

    def mounts(self, *lines: str) -> None:
        """Set what is mounted."""
        (self.root / "proc/self/mounts").write_text("".join(f"{line}\n" for line in lines))

    def ship(
        self,
        text: str,
        selectors: Sequence[str] = ("/", "system.slice/*.service"),
        name: str = "memory",
        keys: dict[str, KeyCheck] | None = None,
        *,
        subtree: bool = False,
    ) -> View:
        """Put an object on the host that makes a view of that text."""
        content = ELF + text.encode()
        view = View(
            name, f"view.{name}", sha256_bytes(content), tuple(selectors), keys or {}, subtree
        )
        path = self.host.path(view.object_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return view

    def want(self, *views: View) -> None:
        """Write the host's own list."""
        path = self.host.path(views_desired.FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(views_desired.dump(views))

    def shown(self, entry: str = "view.memory") -> dict[str, str]:
        """The texts of an entry by cgroup."""
        return {
            str(path.parent.relative_to(self.cgroups)): path.read_text()
            for path in sorted(self.cgroups.rglob(entry))
        }

    def entries(self) -> list[str]:
        """Every entry in any cgroup."""
        return sorted(
            str(path.relative_to(self.cgroups))
            for path in self.cgroups.rglob("view.*")
            if path.is_file()
        )

    def pinned(self) -> list[str]:
        """Every folder of pins."""
        return sorted(
            str(path.relative_to(self.pins)) for path in self.pins.rglob("*") if path.is_dir()
        )


@dataclass(frozen=True)
class Shown:
    """An entry: the pin of the link that it shows, and the subtree's root that it came of or is."""

    link: int
    root: str = ""


class FakeKernel(view_kernel.Kernel):
    """Views as files: an entry goes with the last pin of the link that it shows."""

    def __init__(
        self,
        tree: Tree,
        before: Callable[[str], None] = lambda _what: None,
        *,
        updates: bool = True,
    ) -> None:
        super().__init__(tree.host)
        self.tree = tree
        self.before = before
        self.updates = updates

    def _entries(self) -> dict[str, Shown]:
        path = self.tree.root / LINKS
        known = json.loads(path.read_text()) if path.exists() else {}
        return {entry: Shown(**shown) for entry, shown in known.items()}

    def _note(self, entries: dict[str, Shown]) -> None:
        facts = {entry: vars(shown) for entry, shown in entries.items()}
        (self.tree.root / LINKS).write_text(json.dumps(facts))

    def _pin(self, folder: str, name: str = "view") -> Path:
        return self.tree.host.path(folder) / name

    def load(self, content: bytes, name: str, folder: str) -> None:
        self.before("load")
        path = self.tree.host.path(folder)
        path.mkdir(parents=True)
        text = content.removeprefix(ELF).decode()
        if text.startswith("REJECT"):
            raise Rejected("0: (b7) r0 = 5\nAt program exit the register R0 has value 5")
        (path / "map_waits").write_text("")
        (path / "program").write_text(text)
        self.before("pin")
        (path / "view").write_text(text)

    def publish(self, folder: str, name: str) -> None:
        self.before("publish")
        super().publish(folder, name)

    def discard(self, folder: str) -> None:
        self.before("discard")
        super().discard(folder)
        alive = {path.stat().st_ino for path in self.tree.pins.rglob("view")}
        self._remove([e for e, shown in self._entries().items() if shown.link not in alive])
        self.before("discarded")

    def _remove(self, gone: Sequence[str]) -> None:
        for entry in gone:
            (self.tree.cgroups / entry).unlink(missing_ok=True)
        self._note({e: shown for e, shown in self._entries().items() if e not in gone})

    def _make(self, pin: Path, path: str, root: str) -> None:
        with (self.tree.cgroups / path).open("x") as stream:
            stream.write(pin.read_text())
        self._note(self._entries() | {path: Shown(pin.stat().st_ino, root)})

    def expose(self, folder: str, path: str, *, below: bool = False) -> None:
        self.before("expose")
        pin = self._pin(folder)
        self._make(pin, path, path if below else "")
        top = (self.tree.cgroups / path).parent
        for cgroup in sorted(top.rglob("*/")) if below else ():
            entry = cgroup / Path(path).name
            if not entry.exists():
                self._make(pin, str(entry.relative_to(self.tree.cgroups)), path)
        self.before("exposed")

    def mkdir(self, cgroup: str) -> None:
        """Make a cgroup, as somebody on the host does."""
        folder = self.tree.cgroups / cgroup
        folder.mkdir()
        for entry, shown in self._entries().items():
            top = (self.tree.cgroups / entry).parent
            if shown.root == entry and top in folder.parents:
                name = Path(entry).name
                (folder / name).write_text((self.tree.cgroups / entry).read_text())
                self._note(self._entries() | {f"{cgroup}/{name}": shown})

    def hide(self, path: str) -> None:
        self.before("hide")
        self._remove([e for e, shown in self._entries().items() if path in (e, shown.root)])
        (self.tree.cgroups / path).unlink(missing_ok=True)
        self.before("hidden")

    def update(self, folder: str, generation: str) -> None:
        self.before("update")
        if not self.updates:
            raise OSError(errno.EINVAL, "Invalid argument", folder)
        text = self._pin(generation, "program").read_text()
        link = self._pin(folder)
        link.write_text(text)
        for entry, shown in self._entries().items():
            if shown.link == link.stat().st_ino:
                (self.tree.cgroups / entry).write_text(text)
        self.before("updated")

    def hand_over(self, folder: str, generation: str) -> None:
        super().hand_over(folder, generation)
        self.before("handed over")

    def runs_its_own(self, generation: str) -> bool:
        return self._pin(generation).read_text() == self._pin(generation, "program").read_text()
