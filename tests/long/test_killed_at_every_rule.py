"""A run that is killed again and again, once at every rule, ends with the bytes of an undisturbed one."""

import time

from study_runs import CONFIG, contents, fresh, logs, stopped

PATIENCE = 300  # seconds; a busy machine takes a while to start a job


def test_a_run_on_other_cores_killed_at_every_rule_ends_with_the_same_bytes(tmp_path):
    undisturbed = fresh(tmp_path / "undisturbed")
    first = undisturbed.snakemake("--cores", "1", config=CONFIG)
    checkout = fresh(tmp_path / "killed")
    killed, drawn = set(), {rule for rule, _ in first.jobs if rule.startswith("draw_")}
    rules = {rule for rule, _ in first.jobs} - drawn | {"draw_training"}  # of what draws, one is enough
    while True:
        process = checkout.start("--cores", "3", "--nolock", config=CONFIG)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline, "a run that was killed before hangs"
            computing = {rule for rule in rules - killed if any("computing" in log for log in logs(checkout, rule))}
            if computing:
                killed |= computing
                stopped(process)
            time.sleep(0.02)
        if process.returncode == 0:
            break
    assert len(killed) > 15
    assert contents(checkout) == contents(undisturbed)
    assert not [path for path in checkout.folder.glob("results/**/.*") if path.is_file()], "parts of killed jobs"
