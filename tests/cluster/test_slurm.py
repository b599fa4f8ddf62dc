"""The workflow on a real SLURM: what jobs ask for, and what is left when they or their submitter are killed."""

import os
import re
import signal
import time

import pytest

from checkout import Checkout, copy_of_tree
from headatlas.base import tables

CONFIG = "tests/study.yaml"
PROFILE = ["--workflow-profile", "profiles/slurm"]
SITE = ["--default-resources", "slurm_partition=debug", "runtime=30", "mem_mb=2000"]  # what a user adds to the profile
QUICK = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "20", "--jobs", "4"]
SMALL = ["--group-components", "figures=2"]  # a group needs a core for each of its jobs, and CI's node has two
SUBMITTED = [*PROFILE, *SITE, *QUICK, *SMALL]
TRAINED = "results/study/models/tiny/model.safetensors"
STUDY = [  # of phrenology, what does not need its clusters: SLURM takes a dozen seconds for each step
    f"results/study/figures/phrenology/corrected/{figure}.pdf"
    for figure in ("fig08_projections", "fig09_components", "fig10_third_component", "fig11_first_token")
]
PATIENCE = 240  # seconds; a busy machine takes a while to start a job


@pytest.fixture(scope="module")
def finished(slurm, tmp_path_factory):
    """A checkout in which a study has run on the cluster, and the jobs that this took."""
    folder = tmp_path_factory.mktemp("cluster") / "finished"
    copy_of_tree(folder)
    checkout = Checkout(folder)
    before = len(slurm.jobs())
    checkout.first = checkout.snakemake(*STUDY, *SUBMITTED, config=CONFIG)
    checkout.submitted = slurm.jobs()[before:]
    return checkout


@pytest.fixture
def untrained(finished, tmp_path):
    """The finished checkout without what training made, neither among the results nor in the store."""
    checkout = finished.copy(tmp_path / "copy")
    for path in (checkout.folder / "results" / "study").glob("models/tiny/*"):
        if path.name != "baselines.parquet":  # which counts tokens
            path.unlink()
    for entry in (checkout.folder / ".cache").rglob("*"):
        if entry.is_file():
            entry.unlink()
    return checkout


def rule(job):
    return re.match(r"rule_([a-z_]+?)(?:_wildcards|$)", job["Comment"])[1]


def asked(jobs):
    """By rule, what its jobs asked of SLURM."""
    return {rule(job): job for job in jobs if job["Comment"].startswith("rule_")}


def running(slurm, name, seen):
    """Wait for a job of a rule, beyond those seen before, to be well under way."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for job in slurm.jobs()[seen:]:
            if job["JobState"] == "RUNNING" and job["Comment"].startswith(f"rule_{name}"):
                return job
        time.sleep(0.3)
    raise AssertionError(f"no job of {name} ran within {PATIENCE} s")


def training_began(checkout):
    """Wait until the training itself is computing."""
    log = checkout.folder / "results/study/logs/train_model/tiny.log"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if log.is_file() and "device:" in log.read_text():
            return
        time.sleep(0.2)
    raise AssertionError(f"{log} says nothing of a training after {PATIENCE} s")


def drained(slurm):
    """Wait until no job is left on the cluster."""
    deadline = time.monotonic() + PATIENCE
    while slurm.ask("squeue", "-h"):
        assert time.monotonic() < deadline, slurm.ask("squeue")
        time.sleep(0.3)


def contents(checkout):
    """What the study's tables hold, wherever they lie."""
    folder = checkout.folder / "results" / "study"
    return {str(path.relative_to(folder)): tables.content_digest(path) for path in folder.rglob("*.parquet")}


def test_a_study_runs(finished):
    assert {job["JobState"] for job in finished.submitted} == {"COMPLETED"}
    assert (finished.folder / TRAINED).is_file()
    drawn = list((finished.folder / "results/study/figures/phrenology/corrected").glob("*.pdf"))
    assert len(drawn) == len(STUDY)


def test_gpu_rules_and_no_others_ask_for_a_gpu(finished):
    found = asked(finished.submitted)
    with_gpu = {name for name, job in found.items() if "gpu" in job.get("TresPerJob", "") + job.get("TresPerNode", "")}
    assert {"train_model", "extract_patterns", "extract_queries_keys"} <= with_gpu
    assert not with_gpu & {"build_tokenizer", "sample_windows", "project_heads"}


def test_memory_and_time_are_those_of_each_rule(finished):
    found = asked(finished.submitted)
    said = {rule: of_job for (rule, _), of_job in finished.first.asked.items()}  # by Snakemake, of the rules' estimates
    assert "fetch_corpus" not in found, "what needs the network runs where it was started"
    for name in ("sample_windows", "train_model", "extract_patterns", "project_heads"):
        hours, minutes = divmod(int(said[name]["runtime"]), 60)
        assert found[name]["MinMemoryNode"] == f"{said[name]['mem_mb']}M"
        assert found[name]["TimeLimit"] == f"{hours:02}:{minutes:02}:00"
    assert found["project_heads"]["MinMemoryNode"] != found["sample_windows"]["MinMemoryNode"]


def test_small_jobs_share_an_allocation(finished):
    shared = [job["Comment"] for job in finished.submitted if "draw_" in job["Comment"]]
    assert len(shared) == len(STUDY) // 2
    assert all(comment.startswith("rule_figures_") and comment.count("draw_") == 2 for comment in shared)


def test_a_cancelled_job_is_tried_again_with_more(slurm, untrained):
    seen = len(slurm.jobs())
    process = untrained.start(TRAINED, *SUBMITTED, config=CONFIG)
    cancelled = running(slurm, "train_model", seen)
    training_began(untrained)
    assert "GRES=gpu:fake:1(" in slurm.ask("scontrol", "--details", "show", "job", cancelled["JobId"])
    slurm.ask("scancel", cancelled["JobId"])
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    first, second = (job for job in slurm.jobs()[seen:] if job["Comment"].startswith("rule_train_model"))
    assert first["JobState"] == "CANCELLED"
    assert second["JobState"] == "COMPLETED"
    memory = [int(job["MinMemoryNode"].removesuffix("M")) for job in (first, second)]
    assert memory[1] == 2 * memory[0]
    assert (untrained.folder / TRAINED).is_file()


def test_a_failure_is_tried_again_once_and_with_more(slurm, tmp_path):
    """What runs within a submitted job tries nothing again by itself, so one failure is not several runs."""
    copy_of_tree(tmp_path / "failing")
    checkout, seen = Checkout(tmp_path / "failing"), len(slurm.jobs())
    failing = "open('runs', 'a').write(f'{snakemake.resources.mem_mb}\\n')\nraise SystemExit(1)\n"
    (checkout.folder / "scripts" / "build_tokenizer.py").write_text(failing)
    target = "results/study/tokenizers/planted-words/tokenizer.json"
    assert checkout.snakemake(target, *SUBMITTED, config=CONFIG, check=False).code != 0
    first, second = (int(job["MinMemoryNode"].removesuffix("M")) for job in slurm.jobs()[seen:])
    assert (checkout.folder / "runs").read_text().split() == [str(first), str(second)]
    assert second == 2 * first


def test_a_killed_submitter_leaves_nothing_broken(slurm, finished, untrained):
    process = untrained.start(TRAINED, *SUBMITTED, config=CONFIG)
    running(slurm, "train_model", len(slurm.jobs()) - 1)
    training_began(untrained)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    untrained.snakemake("--unlock", config=CONFIG)
    untrained.snakemake(*STUDY, *SUBMITTED, config=CONFIG)  # while the first training may still be going on
    drained(slurm)
    assert contents(untrained) == contents(finished)
    assert (untrained.folder / TRAINED).read_bytes() == (finished.folder / TRAINED).read_bytes()
    left = [path for path in (untrained.folder / "results").rglob(".*") if path.is_file()]
    assert left == []


def test_a_refused_request_is_told_in_slurms_words_and_leaves_nothing(slurm, untrained):
    seen = len(slurm.jobs())
    more_than_there_is = ["--set-resources", "train_model:mem_mb=10000000"]
    run = untrained.snakemake(TRAINED, *SUBMITTED, *more_than_there_is, config=CONFIG, check=False)
    assert run.code != 0
    assert "Memory specification can not be satisfied" in run.said
    assert "Traceback" not in run.said
    assert slurm.ask("squeue", "-h") == ""
    assert {(job["JobState"], job["Restarts"]) for job in slurm.jobs()[seen:]} <= {("FAILED", "0")}
    assert not (untrained.folder / TRAINED).exists()


def test_a_requeued_training_ends_with_the_bytes_of_an_undisturbed_one(slurm, finished, untrained):
    process = untrained.start(TRAINED, *SUBMITTED, config=CONFIG)
    requeued = running(slurm, "train_model", len(slurm.jobs()) - 1)
    training_began(untrained)
    slurm.ask("scontrol", "requeue", requeued["JobId"])
    said, _ = process.communicate(timeout=2 * PATIENCE)  # SLURM lets a requeued job wait for two minutes
    assert process.returncode == 0, said
    (job,) = (job for job in slurm.jobs() if job["JobId"] == requeued["JobId"])
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    drained(slurm)
    assert (untrained.folder / TRAINED).read_bytes() == (finished.folder / TRAINED).read_bytes()
