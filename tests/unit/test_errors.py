# SPDX-License-Identifier: GPL-3.0-or-later
from plugins.module_utils.bpfview.errors import BpfviewError


def test_an_error_reads_as_two_sentences():
    error = BpfviewError("the file x is missing", "Write it")
    assert str(error) == "the file x is missing. Write it."
    assert (error.message, error.remedy) == ("the file x is missing", "Write it")


def test_a_full_stop_is_not_doubled():
    assert str(BpfviewError("gone.", "Really?")) == "gone. Really?"
