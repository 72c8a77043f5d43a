# SPDX-License-Identifier: GPL-3.0-or-later
"""What a generated grub.cfg would boot: its menu, its default, whether one-shot entries work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

_SET_DEFAULT = re.compile(r'^set\s+default="?([^"]*)"?$')
_SET_TIMEOUT = re.compile(r"^set\s+timeout=(-?\d+)$")
_SAVED = "${saved_entry}"
_ONE_SHOT = "${next_entry}"
_KERNEL = re.compile(r"(?:^|/)vmlinu[xz]-(.+)$")
_SUBMENU_DEPTH = 8  # a default path longer than this is a loop of submenus


@dataclass
class MenuNode:
    """A menu entry, or a submenu with ``children``."""

    title: str
    id: str
    path: str  # ids from the top, joined by '>' as GRUB wants them
    submenu: bool
    unrestricted: bool
    kernel: str = ""  # path as GRUB sees it
    arguments: tuple[str, ...] = ()
    initrd: tuple[str, ...] = ()
    children: list[MenuNode] = field(default_factory=list)

    @property
    def release(self) -> str:
        """The kernel release by the name of the file it loads; empty for what is no Linux."""
        match = _KERNEL.search(self.kernel)
        return match.group(1) if match else ""

    @property
    def recovery(self) -> bool:
        """Whether the entry starts the single-user system."""
        return "single" in self.arguments or "recovery" in self.arguments


@dataclass
class GrubConfig:
    """The parts of a grub.cfg that decide what is booted."""

    menu: list[MenuNode]
    default: str  # the expression after `set default=`
    timeout: int | None  # seconds; -1 waits for a key for ever
    loads_environment: bool
    clears_one_shot: bool
    has_password: bool

    @property
    def uses_saved_entry(self) -> bool:
        """Whether the default is what the environment block's saved_entry says."""
        return self.default == _SAVED

    def entries(self) -> Iterator[MenuNode]:
        """Every bootable entry, from the top down."""
        pending = list(self.menu)
        while pending:
            node = pending.pop(0)
            if node.submenu:
                pending = node.children + pending
            else:
                yield node

    def entry_for(self, release: str) -> MenuNode | None:
        """The entry with an id of its own that boots ``release`` normally.

        The short-cut at the top has an id that moves on to the newest kernel, so it never counts.
        """
        for entry in self.entries():
            if entry.release == release and release in entry.id and not entry.recovery:
                return entry
        return None

    def resolve(self, choice: str) -> MenuNode | None:
        """Return the entry GRUB boots for a default of ``choice``, as GRUB itself decides it.

        What is not found means the first entry; None only if the menu is empty.
        """
        parts = [part.replace("\0", ">") for part in choice.replace(">>", "\0").split(">")]
        nodes = self.menu
        for depth in range(_SUBMENU_DEPTH):
            if not nodes:
                return None
            node = _pick(nodes, parts[depth] if depth < len(parts) else "")
            if not node.submenu:
                return node
            nodes = node.children
        return None

    def default_entry(self, saved_entry: str) -> MenuNode | None:
        """The entry a plain reboot starts, given the environment block's saved_entry."""
        return self.resolve(saved_entry if self.uses_saved_entry else self.default)


def _pick(nodes: list[MenuNode], part: str) -> MenuNode:
    if part.strip().isdigit():
        index = int(part)
        return nodes[index] if index < len(nodes) else nodes[0]
    for node in nodes:
        if part and part in (node.title, node.id):
            return node
    return nodes[0]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=False)
    except ValueError:
        return []


def _option(words: list[str], *names: str) -> str:
    for index, word in enumerate(words[:-1]):
        if word in names:
            return words[index + 1]
    return ""


def _node(words: list[str], parent: MenuNode | None) -> MenuNode:
    identity = _option(words, "$menuentry_id_option", "--id")
    title = words[1] if len(words) > 1 else ""
    # Without an id GRUB takes the title; a '>' in it would read as a way into a submenu.
    own = identity or title.replace(">", ">>")
    return MenuNode(
        title=title,
        id=identity or title,
        path=f"{parent.path}>{own}" if parent else own,
        submenu=words[0] == "submenu",
        unrestricted="--unrestricted" in words,
    )


def parse(text: str) -> GrubConfig:
    """Read the text of a grub.cfg as grub-mkconfig writes it."""
    config = GrubConfig([], "0", None, False, False, False)
    blocks: list[MenuNode | None] = []  # None: a function or another block that is no menu
    for raw in text.splitlines():
        line = raw.strip()
        if line == "}":
            if blocks:
                blocks.pop()
            continue
        node = next((block for block in reversed(blocks) if block), None)
        if line.endswith("{"):
            words = _words(line)
            if words and words[0] in ("menuentry", "submenu"):
                child = _node(words, node)
                (node.children if node else config.menu).append(child)
                blocks.append(child)
            else:
                blocks.append(None)
        elif node:
            _read_entry_line(node, line)
        elif not blocks:
            _read_setting(config, line)
    return config


def _read_entry_line(node: MenuNode, line: str) -> None:
    words = _words(line)
    if len(words) < 2:
        return
    if words[0] in ("linux", "linuxefi", "linux16"):
        node.kernel, node.arguments = words[1], tuple(words[2:])
    elif words[0] in ("initrd", "initrdefi", "initrd16"):
        node.initrd = tuple(words[1:])


def _read_setting(config: GrubConfig, line: str) -> None:
    if match := _SET_DEFAULT.match(line):
        if match.group(1) != _ONE_SHOT:
            config.default = match.group(1)
    elif match := _SET_TIMEOUT.match(line):
        config.timeout = int(match.group(1))
    elif line == "load_env":
        config.loads_environment = True
    elif line == "save_env next_entry":
        config.clears_one_shot = True
    elif line.startswith("set superusers="):
        config.has_password = True
