"""The display says what runs, how much is done, how long is left and what failed, and hides Snakemake's machinery."""

import io
import logging

import pytest

from headatlas.base import progress
from headatlas.workflow import run_display
from headatlas.workflow.run_display import PlanDisplay, RunDisplay


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def run():
    """A display of a run of ten jobs, its clock, and a function that sends it an event."""
    clock, stream = Clock(), io.StringIO()
    display = RunDisplay(stream, clock)

    def send(event=None, message="", level=logging.INFO, **fields):
        record = logging.makeLogRecord({"msg": message, "levelno": level, "event": event, **fields})
        display.handle(record)

    send("run_info", stats={"train_model": 2, "draw_losses": 8, "total": 10})
    return display, clock, stream, send


def job(send, number, rule, log=(), **wildcards):
    send("job_info", jobid=number, rule_name=rule, wildcards=wildcards, log=list(log))
    send("job_started", jobs=[number])


def ended(send, number, done):
    send("job_finished", job_id=number)
    send("progress", done=done, total=10)


def test_the_line_says_what_is_done_and_what_is_running(run, tmp_path):
    display, clock, _, send = run
    log = tmp_path / "train.log"
    log.write_text("device: cpu\ntoy: 40 of 80 steps, 12 s loss 4.1\n")
    job(send, 1, "train_model", [log], model="toy")
    job(send, 2, "draw_losses")
    clock.now += 30
    ended(send, 2, 1)
    assert display.line() == "1 of 10 jobs (10%), 30 s so far; running: train_model toy (40 of 80 steps)"


def test_the_time_left_follows_from_what_jobs_of_each_rule_took(run):
    display, clock, _, send = run
    assert display.remaining() is None
    for number, rule, seconds in ((1, "train_model", 60), (2, "draw_losses", 3), (3, "draw_losses", 5)):
        job(send, number, rule)
        clock.now += seconds
        ended(send, number, number)
    # one training of 60 s and six figures of 4 s, one job at a time
    assert display.remaining() == pytest.approx(60 + 6 * 4)
    job(send, 4, "train_model")
    clock.now += 20
    busy = 68 / 88  # less than one job at a time so far counts as one
    assert busy < 1
    assert display.remaining() == pytest.approx(60 + 6 * 4 - 20)


def test_a_failed_job_shows_the_end_of_its_log_once(run, tmp_path):
    display, _, stream, send = run
    log = tmp_path / "score.log"
    log.write_text("\n".join(f"line {number}" for number in range(50)) + "\nerror: corpus mine: 3 passages\n")
    job(send, 1, "train_model", [log], model="mine")
    for _ in range(2):  # Snakemake says it again at its end
        send("job_error", jobid=1, rule_name="train_model", level=logging.ERROR)
    display.end()
    said = stream.getvalue()
    assert said.count("failed: train_model mine\n") == 1
    assert "error: corpus mine: 3 passages" in said
    assert "line 45" in said
    assert "line 20" not in said
    assert said.endswith("failed: train_model mine. What is done is kept: run again to go on.\n")


def test_machinery_is_hidden_and_warnings_are_not(run):
    _, _, stream, send = run
    for message in (
        "Select jobs to execute...",
        "Execute 2 jobs...",
        "Using shell: /bin/bash",
        "Building DAG of jobs...",
    ):
        send(None, message)
    send(None, "Nothing to be done (all requested files are present and up to date).")
    send(None, "a warning", level=logging.WARNING)
    assert (
        stream.getvalue()
        == "10 jobs\nNothing to be done (all requested files are present and up to date).\na warning\n"
    )


def test_without_a_terminal_a_line_comes_now_and_then(run):
    _, clock, stream, send = run
    for number in range(1, 9):
        job(send, number, "draw_losses")
        clock.now += 6
        ended(send, number, number)
    lines = stream.getvalue().splitlines()
    assert [line.split(" of")[0] for line in lines] == ["10 jobs", "1", "5"]


def test_it_takes_the_place_of_snakemakes_handler_alone(monkeypatch):
    monkeypatch.setenv(progress.RUN_DISPLAY, "")
    monkeypatch.setattr(run_display.atexit, "register", lambda function: None)
    logger = logging.Logger("planted")
    assert run_display.attach(logger) is None
    theirs, other = logging.StreamHandler(io.StringIO()), logging.NullHandler()
    theirs.name = "DefaultStreamHandler"
    logger.addHandler(theirs)
    logger.addHandler(other)
    display = run_display.attach(logger)
    assert logger.handlers == [other, display]
    assert display.stream is theirs.stream


@pytest.fixture
def plan():
    """A display of a plan, and a function that sends it an event."""
    stream = io.StringIO()
    display = PlanDisplay(stream)

    def send(event=None, message="", level=logging.INFO, **fields):
        display.handle(logging.makeLogRecord({"msg": message, "levelno": level, "event": event, **fields}))

    return stream, send


def planned(send, rule, reason, **wildcards):
    send("job_info", jobid=1, rule_name=rule, wildcards=wildcards, log=[], reason=reason)


def test_a_plan_counts_jobs_and_says_why_the_first_of_them(plan):
    stream, send = plan
    send("run_info", stats={"train_model": 2, "draw_losses": 8, "total": 10})
    changed = "Params have changed since last execution: before: {'seed': 'Missing output files'} now: 2"
    planned(send, "train_model", changed, model="toy")
    planned(send, "train_model", changed, model="repeats")
    planned(send, "fetch_corpus", "Missing output files: a.parquet; Updated input files: b.txt", corpus="mine")
    planned(send, "draw_losses", "Missing output files: c.png; Input files updated by another job: a.parquet")
    planned(send, "draw_heads", "Input files updated by another job: a.parquet; Params have changed since: x")
    for number in range(20):
        planned(send, f"forced_{number}", "Forced execution")
    send(None, "Reasons:\n    (check individual jobs above for details)")
    send(None, "a warning", level=logging.WARNING)
    assert stream.getvalue() == "a warning\n", "until all is known"
    send(None, "This was a dry-run (flag -n). The order of jobs does not reflect the order of execution.")
    said = stream.getvalue().splitlines()[1:]
    assert said[:2] == ["10 jobs, in the order in which they can run:", "  train_model     2   draw_losses     8"]
    made = "made with other settings, code, packages or files of yours"  # what is not as Snakemake writes it
    assert said[3:7] == [
        "Why:",
        f"  train_model toy and 1 more: {made}",
        "  fetch_corpus mine: not made yet, an input is new",
        f"  draw_heads: {made}",
    ]
    assert said[-5:-2] == ["  forced_8: forced", "  and 11 more rules", "  1 more, as they read what these make"]
    assert said[-1].endswith("the same with -p")


def test_what_there_is_nothing_to_do_for_is_said_and_no_end_is(plan):
    stream, send = plan
    send(None, "Nothing to be done (all requested files are present and up to date).")
    send("error", "WorkflowError:\nmodels.toy: wrong", level=logging.ERROR)
    assert stream.getvalue().splitlines() == [
        "Nothing to be done (all requested files are present and up to date).",
        "models.toy: wrong",
    ]


def spec(**parts):
    whole = {"rule": "a", "modules": (), "code": "c0de", "packages": {"torch": "2", "numpy": "1"}, "reads": {}}
    return whole | {"settings": {"seeds": [1], "count": 2}} | parts


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"settings": {"seeds": [1, 2], "count": 2}}, "settings (seeds)"),
        ({"settings": {"seeds": [1]}}, "settings (count)"),
        ({"code": "0ther", "modules": ("b",)}, "code"),
        ({"packages": {"torch": "3", "numpy": "1"}, "code": "0ther"}, "code, packages (torch)"),
        ({"reads": {"files": {"a.txt": "d1gest"}}}, "files of yours"),
    ],
)
def test_a_plan_says_what_is_other_than_when_a_result_was_made(plan, now, words):
    stream, send = plan
    changed = "Params have changed since last execution: Union of exclusive params before and now across all output: "
    also = "; Input files updated by another job: a.parquet"
    planned(send, "train_model", f"{changed}before: {spec()} now: {spec(**now)} {also}", model="toy")
    send(None, "This was a dry-run")
    assert f"\n  train_model toy: made with other {words}\n" in stream.getvalue()
