"""Parts that killed processes left beside a file."""

import os
import subprocess
import sys

from headatlas.jobs import leftovers, measurement, records

MEASURED = {"s": 1.0, "max_rss": 10.0, "cpu_time": 1.0}


def ended():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_parts_of_ended_processes_go_and_others_stay(tmp_path):
    place, gone = tmp_path / "a.json", ended()
    stay = [f".{os.getpid()}.a.json", f".{gone}.b.a.json", ".a.json", "a.json"]
    for name in (*stay, f".{gone}.a.json"):
        (tmp_path / name).write_text("{")
    leftovers.clear(place)
    assert sorted(os.listdir(tmp_path)) == sorted(stay)
    leftovers.clear(tmp_path / "nowhere" / "a.json")


def test_a_record_and_a_benchmark_clear_what_a_killed_writer_left(tmp_path):
    (tmp_path / "records").mkdir()
    left = [tmp_path / "records" / f".{ended()}.a.parquet.json", tmp_path / f".{ended()}.a.tsv"]
    for part in left:
        part.write_text("{")
    of_results = records.Records(tmp_path)
    of_results.write({"table": tmp_path / "a.parquet"}, {"rule": "x"}, {"table": {"content": "1"}})
    measurement.write(tmp_path / "a.tsv", MEASURED)
    assert of_results.read(tmp_path / "a.parquet")["rule"] == "x"
    assert not [part for part in left if part.exists()]
