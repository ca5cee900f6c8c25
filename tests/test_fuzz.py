"""Changed files are read or refused with a sentence; `make fuzz` tries a thousand of each kind."""

import fuzz
import pytest

COUNT = 12  # changed files for each reader


@pytest.mark.parametrize("name", fuzz.READERS)
def test_changed_files_are_read_or_refused(name):
    ends, faults = fuzz.fuzz(name, COUNT, seed=1)
    assert not faults, "\n".join(faults)
    assert ends["read"] + ends["refused"] == COUNT


@pytest.mark.parametrize("fault", ["raise KeyError(1)", "import os; os.abort()"])
def test_tracebacks_and_ended_processes_are_counted(monkeypatch, fault):
    def read(folder):
        exec(fault)

    monkeypatch.setitem(fuzz.READERS, "PNG", fuzz.Reader(fuzz.png, fuzz.change_bytes, read))
    ends, faults = fuzz.fuzz("PNG", 3)
    assert sum(ends.values()) == 3 and len(faults) == 3 and not ends["read"]
