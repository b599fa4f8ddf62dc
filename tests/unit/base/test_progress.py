"""Progress: a bar for a person, lines for a log."""

import io

import pytest

from headatlas.base import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def unwatched():
    yield
    progress.watch(None)


def test_log_lines_come_every_interval_and_at_the_end(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.bar(100, "training", "steps") as shown:
        for _ in range(100):
            now[0] += 0.5
            shown.set_postfix_str("loss 2.1")
            shown.update()
    assert capsys.readouterr().err.splitlines() == [
        *(f"training: {2 * seconds} of 100 steps, {seconds} s loss 2.1" for seconds in (10, 20, 30, 40, 50))
    ]


def test_unknown_total(capsys):
    with progress.bar(None, "reading", "bytes") as shown:
        shown.update(512)
    assert capsys.readouterr().err == "reading: 512 bytes, 0 s\n"


def test_a_person_sees_a_bar_and_the_log_nothing(capsys):
    terminal = Terminal()
    progress.watch(terminal)
    with progress.bar(3, "training") as shown:
        shown.update(2)
        shown.refresh()
    assert "training" in terminal.getvalue()
    assert "2/3" in terminal.getvalue()
    assert capsys.readouterr().err == ""


def test_a_watched_file_gets_no_bar(capsys):
    watched = io.StringIO()
    progress.watch(watched)
    with progress.bar(3, "training"):
        pass
    assert watched.getvalue() == ""
    assert "training" in capsys.readouterr().err


def test_track_yields_all_and_counts_what_is_done(capsys):
    assert list(progress.track([3, 1, 2], "scoring", "heads")) == [3, 1, 2]
    assert capsys.readouterr().err.startswith("scoring: 3 of 3 heads")


def test_track_tells_where_it_stopped(capsys):
    def work():
        for item in progress.track(range(5), "scoring", "heads"):
            if item == 2:
                raise KeyError(item)

    with pytest.raises(KeyError):
        work()
    assert capsys.readouterr().err.startswith("scoring: 2 of 5 heads")
