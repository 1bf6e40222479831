"""The journal tells who answered, where somebody said so, and never else."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

import alod
from alod import AlodError, cli
from alod.labeling.journal import Journal

OLD = b"time,file,answer\n2026-01-01T00:00:00+00:00,0,a\n"


@pytest.fixture
def run(tmp_path, mini, monkeypatch):
    monkeypatch.setenv("USER", "secret")
    monkeypatch.setenv("LOGNAME", "secret")
    given = {"model": "lenet5", "steps": 2, "device": "cpu"}
    return alod.open_run(tmp_path / "run", mini.images[:20], ["a", "b"], **given)


def told(run):
    table = pd.read_csv(run.folder / "labels.csv", keep_default_na=False, dtype=str)
    assert list(table) == ["time", "file", "answer", "annotator"]
    return list(zip(table["file"], table["answer"], table["annotator"], strict=True))


def test_who_answers_is_beside_each_answer(run, tmp_path):
    first, second, third = run.query(3)
    run.teach(np.array([first]), np.array([1]))
    run.annotator = who = "Ann, of <x>"
    run.teach(np.array([second]), np.array([0]))
    run.undo(np.array([second]))
    run.skip(np.array([third]))
    rows = [(first, "b", ""), (second, "a", who), (second, "undo", who), (third, "skip", who)]
    rows = [(str(file), answer, by) for file, answer, by in rows]
    assert told(run) == rows
    again = alod.open_run(run.folder, device="cpu")
    assert again.annotator == ""
    assert np.array_equal(again.answers, run.answers)


def test_a_table_names_its_annotators_and_the_command_the_others(run, tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("file,label,annotator\n3,a,bob\n4,b,\n")
    command = ["teach", "--run", str(run.folder), str(path), "--device", "cpu"]
    cli.main([*command, "--annotator", "ann"])
    assert told(run) == [("3", "a", "bob"), ("4", "b", "ann")]
    cli.main(command)  # known: nobody answers anew
    assert len(told(run)) == 2


def test_an_annotator_that_would_break_the_line_is_refused(run):
    run.annotator = "Ann\nBob"
    with pytest.raises(AlodError, match=r"annotator 'Ann.nBob': expected a name without line"):
        run.teach(np.array([0]), np.array([1]), unasked=True)
    assert not (run.folder / "labels.csv").exists()
    assert not len(run.labeled)


def test_an_older_journal_is_gone_on_with_and_keeps_what_it_holds(run):
    path = run.folder / "labels.csv"
    path.write_bytes(OLD)
    other = alod.open_run(run.folder, device="cpu")  # has read the first lines already
    run = alod.open_run(run.folder, device="cpu")
    run.teach(np.array([1]), np.array([1]), unasked=True)
    assert pd.read_csv(path)["answer"].tolist() == ["a", "b"]  # as anybody reads it
    run.annotator = "ann"
    run.teach(np.array([2]), np.array([0]), unasked=True)
    other.teach(np.array([3]), np.array([1]), unasked=True)
    content = path.read_bytes()
    assert content.startswith(OLD)
    rows = list(csv.reader(io.StringIO(content.decode())))
    assert [row[1:] for row in rows[2:]] == [["1", "b"], ["2", "a", "ann"], ["3", "b"]]
    for each in (run, alod.open_run(run.folder, device="cpu")):
        each.refresh()
        assert each.answers[:4].tolist() == [0, 1, 0, 1]


def test_a_row_torn_within_the_annotator_is_not_read(tmp_path):
    journal = Journal(tmp_path / "labels.csv")
    journal.append([("1", "a", "ann"), ("2", "b")])
    whole = journal.path.read_bytes()
    for cut in range(1, len(b"2026-01-01T00:00:00+00:00,3,a,ann")):
        journal.path.write_bytes(whole + b"2026-01-01T00:00:00+00:00,3,a,ann"[:cut])
        again = Journal(journal.path)
        assert again.read_new() == [("1", "a"), ("2", "b")]
    again.append([("4", "a", "ann")])
    assert Journal(journal.path).read_new() == [("1", "a"), ("2", "b"), ("4", "a")]
    assert journal.path.read_bytes().startswith(whole)
