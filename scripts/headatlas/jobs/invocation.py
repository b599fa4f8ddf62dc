"""What the run of Snakemake that starts a job says to it, beyond what its rule declares.

It goes through the environment, which reaches jobs on this machine and on a cluster alike: Snakemake hands params to
a script, but a change of params reruns a job, and what stands here must not.
"""

import json
import os
import sys

_VARIABLE = "HEADATLAS_RUN"


def forced(given, rules):
    """What the user asked to compute whatever is stored: by --forceall, --forcerun and --force.

    Parameters
    ----------
    given : snakemake.settings.types.DAGSettings
    rules : set of str
        Names of the workflow's rules.

    Returns
    -------
    dict
        As `announce` takes it.
    """
    named = {*given.forcerun, *(given.targets or [] if given.forcetargets else [])}
    return {"everything": given.forceall, "rules": sorted(rules & named), "files": sorted(named - rules)}


def announce(statements, forced, obstacle=None):
    """Tell all jobs that this process will start.

    Parameters
    ----------
    statements : Mapping from str to str
        Digests of the files of scripts and library as the jobs were planned.
    forced : dict
        `everything` (bool), `rules` and `files` (lists of str) that the user asked to compute whatever is stored.
    obstacle : str, optional
        Why results cannot be stored, where the user has been told already.
    """
    version = list(sys.version_info[:2])
    told = {"statements": dict(statements), "python": version, "forced": forced, "obstacle": obstacle}
    os.environ[_VARIABLE] = json.dumps(told)


def _announced():
    try:
        return dict(json.loads(os.environ.get(_VARIABLE, "{}")))
    except ValueError:
        return {}


def planned_statements():
    """Digests of files of code as the jobs were planned, by name; none where that is not known."""
    return _announced().get("statements", {})


def same_python():
    """Whether digests of code that Snakemake made mean anything here: each Python writes statements its own way."""
    return _announced().get("python", list(sys.version_info[:2])) == list(sys.version_info[:2])


def told(obstacle):
    """Whether the user has been told already that results cannot be stored."""
    return bool(obstacle) and bool(_announced().get("obstacle"))


def is_forced(rule, outputs):
    """Whether the user asked to compute this very job, whatever is stored."""
    forced = _announced().get("forced") or {}
    if forced.get("everything") or rule in forced.get("rules", ()):
        return True
    return not {os.path.normpath(path) for path in outputs}.isdisjoint(map(os.path.normpath, forced.get("files", ())))
