"""Whether jobs opened what their rules declare, and nothing else of the user's."""

import json
import os
import re
import sys
import sysconfig
from pathlib import Path

import opened_files
from headatlas.jobs import code_digest

ENVIRONMENT = tuple(  # whose versions are in every key, or which is the machine's own
    os.path.realpath(place)
    for place in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "data")),
        sys.prefix,
        sys.base_prefix,
        *("/lib", "/lib64", "/usr", "/etc", "/proc", "/sys", "/dev", "/bin", "/var/lib"),
        os.environ.get("MPLCONFIGDIR") or Path.home() / ".cache" / "matplotlib",
    )
)

ON_DEMAND = {"split_atlas", "export_heads", "describe_tables", "screen_heads"}
IN_OTHER_RUNS = {  # scripts, by the test that looks on while they run
    "test_induction_run.py": {
        *("find_induction", "measure_repeats", "ablate_induction", "measure_in_context", "trace_training"),
        "compare_induction",
    },
    "test_pretrained_run.py": {"fetch_model", "fetch_tokenizer"},
}
WITH_REAL_DATA = {  # scripts that a test looks at only where there are such data, and why
    "measure_parts_of_speech": "needs a corpus with parts of speech, which no test can make: set HEADATLAS_MIRROR",
}
LEFT_OUT = {}  # scripts that no test looks at, and why


class Watched:
    """What the jobs of a run opened, and what each recorded as declared.

    Parameters
    ----------
    checkout : checkout.Checkout
    results : pathlib.Path
        Of the run.
    trace : pathlib.Path
        What `opened_files.watching` was given.

    Attributes
    ----------
    jobs : list of (str, set of str)
        Scripts, and real paths of the files that their jobs opened.
    records : list of dict
    """

    def __init__(self, checkout, results, trace):
        self.folder, self.results = checkout.folder, results
        opened = opened_files.by_job(trace)
        self.jobs = [(name, {os.path.realpath(self.folder / path) for path in files}) for name, files in opened]
        self.records = [json.loads(path.read_text()) for path in (results / "records").rglob("*.json")]

    def scripts(self):
        """Names of the scripts whose jobs were seen, each with what it must have opened at least."""
        assert all(len(files) > 20 for _, files in self.jobs), "a job of which nothing was seen"
        return {name for name, _ in self.jobs}

    def check_run_of(self, test):
        """`check`, and that the scripts were seen that `IN_OTHER_RUNS` says a test looks at."""
        assert self.scripts() >= IN_OTHER_RUNS[test]
        self.check()

    def check(self, jobs=None):
        """Fail at the first job that opens what its rule does not declare, or runs code that is in no digest."""
        for name, files in self.jobs if jobs is None else jobs:
            self._check(name, files)

    def _check(self, name, files):
        scripts, results = os.path.realpath(self.folder / "scripts"), os.path.realpath(self.results)
        own = [os.path.realpath(self.folder / place) for place in (".cache", ".snakemake/scripts")]
        said = (f"{results}/logs/", f"{results}/benchmarks/")
        left = {path for path in files if not path.startswith((*ENVIRONMENT, *own, *said)) and os.path.isfile(path)}
        read = {path for path in left if path.startswith(f"{results}/")}
        of_this = [record for record in self.records if record["script"] == name and read <= self._declared(record)]
        assert of_this, f"{name} opens what no job of its rule declares: {sorted(read)}"
        code = {path for path in left if path.startswith(f"{scripts}/") and path.endswith(".py")}
        code |= {re.sub(r"__pycache__/(\w+)\..*", r"\1.py", path) for path in left if path.endswith(".pyc")}
        reach = {
            str(path)
            for record in of_this
            for path in code_digest.local_sources(f"{scripts}/{name}.py", scripts, *record["modules"])
        }
        assert code <= reach, f"{name} runs code that is in no digest: {sorted(code - reach)}"
        others = left - read - {path for path in left if path.endswith((".py", ".pyc"))}
        given = {os.path.realpath(self.folder / path) for record in of_this for path in _all(record["paths"])}
        places = [self._place(path) for record in of_this for path in record["reads"].get("files", {})]
        others = {path for path in others - given if not any(path == of or path.startswith(f"{of}/") for of in places)}
        assert not others, f"{name} opens {sorted(others)}"

    def _place(self, path):
        return os.path.realpath(self.folder / Path(path).expanduser())

    def _declared(self, record):
        """Real paths of all that a job may open under the results: inputs, outputs, and records of both."""
        found = set()
        for path in (*_all(record["paths"]), *record["outputs_at"].values()):
            found.add(os.path.realpath(self.folder / path))
            own = os.path.relpath(path, record["results"])
            found.add(os.path.realpath(self.results / "records" / f"{own}.json"))
        return found


def _all(paths):
    return [path for of_one in paths.values() for path in ([of_one] if isinstance(of_one, str) else of_one)]
