# SPDX-License-Identifier: GPL-3.0-or-later
"""Run an Ansible module's own main() in this process; a fixture for the tests that import it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

Answer = dict[str, Any]
Run = Callable[..., Answer]


@pytest.fixture(name="run")
def run_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs a module with arguments and returns what it answered."""
    warnings: list[str] = []
    # Ansible keeps them for a process, which is one module there and many here
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))

    def run(module: Any, check: bool = False, **arguments: Any) -> Answer:
        warnings.clear()
        given = arguments | {"_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(given), pytest.raises(SystemExit) as ended:
            module.main()
        answer: Answer = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (ended.value.code != 0) == answer.get("failed", False)
        return answer | {"warnings": list(warnings)}

    return run
