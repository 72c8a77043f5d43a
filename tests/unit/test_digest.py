# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from plugins.module_utils.bpfview.digest import canonical_json, sha256_bytes, sha256_file


def test_a_file_and_its_bytes_have_one_digest(tmp_path):
    data = b"x" * (3 * 1024 * 1024 + 1)
    path = tmp_path / "file"
    path.write_bytes(data)
    assert sha256_file(path) == sha256_file(str(path)) == sha256_bytes(data)


def test_order_of_keys_does_not_count():
    assert canonical_json({"b": [1], "a": "ü"}) == canonical_json({"a": "ü", "b": [1]})
    assert canonical_json({"a": 1}) == b'{"a":1}'


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        canonical_json(value)
