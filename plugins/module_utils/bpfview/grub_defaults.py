# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether our panic= will be the one that counts, by Debian's GRUB settings.

Of several panic= on a command line the kernel takes the last. grub-mkconfig sources
/etc/default/grub and then /etc/default/grub.d in the order of names, and puts
GRUB_CMDLINE_LINUX_DEFAULT behind GRUB_CMDLINE_LINUX, to which our drop-in adds its word.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from .host_layout import Host

DROP_IN = "/etc/default/grub.d/bpfview.cfg"

_MAIN = "/etc/default/grub"
_LINE = "GRUB_CMDLINE_LINUX"
_ASSIGNMENT = re.compile(rf"\s*(?:export\s+)?({_LINE}(?:_DEFAULT)?)=(.*)")
_REFERENCE = re.compile(rf"\$\{{?({_LINE}(?:_DEFAULT)?)\}}?")
_KEEP = f'begin its value with "${_LINE}"'
_OURS = re.compile(r"\bpanic=\d+")

Word = tuple[str, str]  # of a command line, with the file it comes from


def obstacles(host: Host, running: Sequence[str], fresh: bool) -> list[str]:
    """Say what would take the effect from our panic=; empty if nothing does.

    ``running`` is the command line of the running kernel's boot entry, ``fresh`` whether the host
    never had our settings, so that each panic= on it is somebody else's.
    """
    words, lost_in = _command_line(host)
    panics = [(word, path) for word, path in words if word.startswith("panic=")]
    if not _ours_in(panics):
        return [
            f"{lost_in} sets {_LINE} without what it held, so our panic= would be lost: {_KEEP}"
        ]
    word, path = panics[-1]
    if path != DROP_IN:
        return [f"{word} in {path} would come after our panic= and override it: take it out"]
    found = [word for word in running if word.startswith("panic=")]
    foreign = _unknown(found, panics) if fresh else _after_ours(found, host.text(DROP_IN))
    return [
        f"{word} on the running kernel's boot entry comes from no line of {_MAIN} and would"
        " override ours: take it out of /etc/grub.d, or run update-grub if it is gone already"
        for word in foreign
    ]


def _command_line(host: Host) -> tuple[list[Word], str]:
    """Return the words to come, our panic= without its value, and who took that out again."""
    lines: dict[str, list[Word]] = {}
    lost_in = ""
    for path in _files(host):
        if path == DROP_IN:
            lines.setdefault(_LINE, []).append(("panic=", DROP_IN))
            continue
        for name, value in _assignments(host.text(path)):
            had_ours = _ours_in(lines.get(_LINE, []))
            lines[name] = list(_expanded(value, path, lines))
            if had_ours and not _ours_in(lines[_LINE]):
                lost_in = path
    return [*lines.get(_LINE, []), *lines.get(f"{_LINE}_DEFAULT", [])], lost_in


def _ours_in(words: Sequence[Word]) -> bool:
    return any(path == DROP_IN for _, path in words)


def _unknown(found: list[str], panics: Sequence[Word]) -> list[str]:
    known = {word for word, _ in panics}
    return [word for word in found if word not in known]


def _after_ours(found: list[str], drop_in: str) -> list[str]:
    ours = _OURS.search(drop_in)
    # Without our word the entry is one from before the drop-in, and will be made anew.
    return found[-1:] if ours and ours[0] in found and found[-1] != ours[0] else []


def _files(host: Host) -> list[str]:
    """Return the settings' files in the order they are read, ours always among them."""
    folder = host.path(f"{_MAIN}.d")
    names = {file.name for file in folder.glob("*.cfg")} | {DROP_IN.rpartition("/")[2]}
    return [_MAIN, *(f"{_MAIN}.d/{name}" for name in sorted(names))]


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", "").splitlines():
        if match := _ASSIGNMENT.match(line):
            yield match[1], _unquoted(match[2])


def _unquoted(value: str) -> str:
    try:
        return " ".join(shlex.split(value, comments=True)[:1])
    except ValueError:
        return value


def _expanded(value: str, path: str, lines: dict[str, list[Word]]) -> Iterator[Word]:
    for word in value.split():
        if match := _REFERENCE.fullmatch(word):
            yield from lines.get(match[1], [])
        else:
            yield word, path
