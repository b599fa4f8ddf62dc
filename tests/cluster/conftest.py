"""A real SLURM of one node on loopback, with two GPUs that are none, for as long as the tests take."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

NEEDED = ("slurmctld", "slurmd", "munged", "munge", "sbatch", "srun", "runuser")
SETTINGS = Path("/etc/slurm")  # a job step drops SLURM_CONF from its environment, so nowhere else is found
OURS = "# Written by the tests of Head Atlas; removed when they end."

SLURM_CONF = """{ours}
ClusterName=headatlas
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
MinJobAge=3600
KillWait=5
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:fake:2 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def _why_not():
    """What a SLURM of our own lacks on this machine, or None."""
    missing = [name for name in NEEDED if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurm-wlm, munge)"
    if os.geteuid() != 0:
        return "only root can start its daemons"
    if (SETTINGS / "slurm.conf").exists() and OURS not in (SETTINGS / "slurm.conf").read_text():
        return f"{SETTINGS}/slurm.conf is this machine's own"
    return None


def _end_left_over():
    """End the daemons of an earlier test run that was killed before it could."""
    written = (SETTINGS / "slurm.conf").read_text() if (SETTINGS / "slurm.conf").exists() else ""
    for path in map(Path, re.findall(r"PidFile=(\S+)", written)):
        if path.is_file() and Path(f"/proc/{path.read_text().strip()}/comm").exists():
            os.kill(int(path.read_text()), signal.SIGTERM)
            time.sleep(1)


def _memory():
    """MB of this machine that jobs may ask for; a node that has less than it says is drained."""
    (line,) = (line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return int(line.split()[1]) // 1024 - 500


def _munge_answers():
    """Whether an authentication daemon runs here; its socket alone says little, for it outlives a killed one."""
    try:
        return subprocess.run(["munge", "--no-input"], capture_output=True, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class Slurm:
    """One controller, one node, one authentication daemon: started here and ended by their own pids."""

    def __init__(self, folder):
        self.folder, self.host = folder, socket.gethostname().split(".")[0]
        self._pids = [folder / "slurmd.pid", folder / "slurmctld.pid"]

    def start(self):
        _end_left_over()
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        SETTINGS.mkdir(exist_ok=True)
        facts = {"ours": OURS, "host": self.host, "folder": self.folder, "cpus": os.cpu_count(), "memory": _memory()}
        (SETTINGS / "slurm.conf").write_text(SLURM_CONF.format(**facts))
        devices = (f"NodeName={self.host} Name=gpu Type=fake File={file}\n" for file in ("/dev/null", "/dev/zero"))
        (SETTINGS / "gres.conf").write_text("".join(devices))
        if not _munge_answers():
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
            self._pids.append(Path("/run/munge/munged.pid"))
        environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        subprocess.run(["slurmctld"], check=True, env=environment)
        subprocess.run(["slurmd", "-N", self.host], check=True, env=environment)
        deadline = time.monotonic() + 120
        while "idle" not in self.ask("sinfo", "-h", "-o", "%t", check=False):
            assert time.monotonic() < deadline, (self.folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self):
        self.ask("scancel", "--partition=debug", check=False)
        for path in self._pids:
            if path.is_file():
                os.kill(int(path.read_text()), signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            (SETTINGS / name).unlink(missing_ok=True)

    @staticmethod
    def ask(*command, check=True):
        return subprocess.run(command, capture_output=True, text=True, check=check).stdout

    def jobs(self):
        """All jobs there have been, oldest first: mappings of what `scontrol show job` says of each."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        found = [dict(part.split("=", 1) for part in line.split() if "=" in part) for line in lines]
        return sorted((job for job in found if "JobId" in job), key=lambda job: int(job["JobId"]))


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A running SLURM; where it cannot be had, the test says why it was skipped."""
    if why := _why_not():
        pytest.skip(f"no SLURM to test with: {why}")
    found = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        found.start()
        yield found
    finally:
        found.stop()
