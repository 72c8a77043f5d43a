# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the repository as a whole."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCES = {
    ".bpf.c",
    ".c",
    ".cfg",
    ".config",
    ".h",
    ".j2",
    ".mk",
    ".path",
    ".py",
    ".S",
    ".service",
    ".sh",
    ".timer",
    ".toml",
    ".yaml",
    ".yml",
}
# The bench is one program with what it takes from kernel/ and bpf/ (docs/decisions/0012).
GPL_2_ONLY = {"kernel", "bpf", "bench"}
LICENSE_LINE = re.compile(r"SPDX-License-Identifier: +(\S.*?)\s*(?:\*/|-->|#\})?\s*$")
# Home folders are somebody's machine. Hosts have a /root, so it counts only with something in it
# that is no dot file of a host.
MACHINE_PATH = re.compile(r"(?<![\w.~*-])/(?:home/\w+|root/[\w-]+)(?:/|\b)")
MIRROR = re.compile(r"\b(?:deb|ftp|security|snapshot|cdn-fastly)\.[\w.]*debian\.org\b")


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        return []
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


TRACKED = tracked()
ROLES = sorted(path for path in (ROOT / "roles").glob("*") if path.is_dir())
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("[!_]*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.skipif(not TRACKED, reason="no git checkout")
def test_every_source_file_has_the_license_line_of_its_folder():
    wrong = []
    for path in TRACKED:
        relative = path.relative_to(ROOT)
        lines = path.read_text("utf-8", "replace").splitlines()[:2] or [""]
        if not lines[0].startswith("#!"):
            del lines[1:]
        said = next((match[1] for line in lines if (match := LICENSE_LINE.search(line))), None)
        script = lines[0].startswith("#!") or path.name in {"Makefile", "Kbuild"}
        source = path.suffix in SOURCES or script
        expected = "GPL-2.0-only" if relative.parts[0] in GPL_2_ONLY else "GPL-3.0-or-later"
        if (source or said) and said != expected:
            wrong.append(f"{relative}: {said}, expected {expected}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not TRACKED, reason="no git checkout")
def test_no_file_names_a_machine_or_a_mirror():
    # A checkout right below / (like /src) has a name that other paths may have too.
    here = [re.escape(str(ROOT))] if len(ROOT.parts) > 2 else []
    patterns = [MACHINE_PATH, MIRROR, *(re.compile(text) for text in here)]
    wrong = []
    for path in TRACKED:
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            wrong += [
                f"{name(path)}:{number}: {match[0]}"
                for pattern in patterns
                if (match := pattern.search(line))
            ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see @home@someone@x", True),
        ("cp @root@project@x .", True),
        ("@root is the root user's home", False),
        ("RequiresMountsFor=@var @etc @root", False),
        ("@root@.ssh@authorized_keys", False),
        ("~@home@x", False),
        ("$XDG@home@y", False),
        ("https:@@example.net@home@page", False),
    ],
)
def test_the_pattern_of_machine_paths(text, found):
    # Written with another character, or this file would be found itself.
    assert bool(MACHINE_PATH.search(text.replace("@", "/"))) == found


@pytest.mark.skipif(not TRACKED, reason="no git checkout")
def test_no_binary_and_no_private_key_is_tracked():
    wrong = []
    for path in TRACKED:
        data = path.read_bytes()
        if b"\0" in data or re.search(rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----", data, re.MULTILINE):
            wrong.append(name(path))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_roles_defaults_are_those_of_its_argument_specs(role):
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    options: dict[str, dict[str, Any]] = {}
    for entry_point in specs.values():
        options.update(entry_point.get("options") or {})
    path = role / "defaults/main.yml"
    defaults = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
    optional = {key for key, option in options.items() if not option.get("required")}
    assert set(defaults) == optional
    said = {key: options[key].get("default") for key in defaults}
    assert said == defaults
    for key, option in options.items():
        assert key.startswith(f"{role.name}_"), f"{key} does not carry its role's name"
        assert option.get("description"), f"{key} is not described"


class Called(Exception):
    """Raised in place of what AnsibleModule would do."""


def documented(module: ModuleType) -> dict[str, Any]:
    options: dict[str, Any] = yaml.safe_load(module.DOCUMENTATION).get("options") or {}
    return options


def arguments(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Keyword arguments that the module's main() gives AnsibleModule."""
    seen: dict[str, Any] = {}

    def stand_in(*positional: Any, **named: Any) -> None:
        seen.update(named, **({"argument_spec": positional[0]} if positional else {}))
        raise Called

    monkeypatch.setattr(module, "AnsibleModule", stand_in)
    with pytest.raises(Called):
        module.main()
    return seen


def shape(option: dict[str, Any], nested: str) -> dict[str, Any]:
    """The part of an option that documentation and code both state."""
    inner = option.get(nested) or {}
    return {
        "type": option.get("type", "str"),
        "required": bool(option.get("required", False)),
        "default": option.get("default"),
        "choices": list(option.get("choices") or []),
        "elements": option.get("elements"),
        "aliases": list(option.get("aliases") or []),
        "options": {key: shape(value, nested) for key, value in inner.items()},
    }


@pytest.mark.parametrize("stem", MODULES)
def test_a_module_is_documented(stem):
    module = importlib.import_module(f"plugins.modules.{stem}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    assert documentation["module"] == stem
    assert documentation["short_description"]
    assert documentation["description"]
    examples = yaml.safe_load(module.EXAMPLES)
    assert any(
        key.rpartition(".")[2] == stem for task in examples for key in task if isinstance(key, str)
    ), "no example uses the module"
    for key, value in (yaml.safe_load(module.RETURN) or {}).items():
        assert value.get("description"), f"the returned {key} is not described"
        assert value.get("type"), f"the returned {key} has no type"
    assert documentation["attributes"]["check_mode"]["support"]
    if "diff=" in inspect.getsource(module):
        assert documentation["attributes"]["diff_mode"]["support"] == "full"


@pytest.mark.parametrize("stem", MODULES)
def test_a_modules_options_are_the_documented_ones(stem, monkeypatch):
    module = importlib.import_module(f"plugins.modules.{stem}")
    if not hasattr(module, "main"):
        # Its work is an action plugin's, on the control node; the module only documents it.
        assert (ROOT / "plugins/action" / f"{stem}.py").is_file()
        return
    given = arguments(module, monkeypatch)
    spec = {key: shape(value, "options") for key, value in given["argument_spec"].items()}
    options = {key: shape(value, "suboptions") for key, value in documented(module).items()}
    action = ROOT / "plugins/action" / f"{stem}.py"
    if action.is_file():
        # An action plugin may take an option itself, or make one for the module.
        source = action.read_text()
        for key in options.keys() ^ spec.keys():
            assert f'"{key}"' in source, f"{key} is known to one side only"
        shared = options.keys() & spec.keys()
        options = {key: options[key] for key in shared}
        spec = {key: spec[key] for key in shared}
    assert options == spec
    support = yaml.safe_load(module.DOCUMENTATION)["attributes"]["check_mode"]["support"]
    assert given.get("supports_check_mode", False) == (support != "none")
