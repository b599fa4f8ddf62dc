"""The workflow as Snakemake reads it, and a checkout with a finished tiny run."""

import sys

import pytest
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, ResourceSettings

import opened_files
from checkout import ROOT, Checkout, copy_of_tree


@pytest.fixture(scope="session")
def workflow():
    """The workflow as Snakemake reads it, on the embedded default."""
    path = list(sys.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # `configfile:` is looked for from the working folder
        patch.delenv("HEADATLAS_MIRROR", raising=False)
        with SnakemakeApi(OutputSettings()) as api:
            loaded = api.workflow(
                resource_settings=ResourceSettings(cores=1, resources={"gpu": 0}), snakefile=ROOT / "Snakefile"
            )._workflow
    sys.path[:] = path
    return loaded


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A checkout in which the tiny run has ended; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("checkout") / "finished"
    copy_of_tree(folder)
    checkout = Checkout(folder)
    checkout.through = opened_files.watching(folder.parent / "opened")
    checkout.first = checkout.snakemake()
    checkout.through = []
    return checkout


@pytest.fixture
def checkout(finished, tmp_path):
    """A copy of the finished checkout, to be spoilt."""
    return finished.copy(tmp_path / "copy")


@pytest.fixture
def untouched(tmp_path):
    """A checkout in which nothing has run."""
    copy_of_tree(tmp_path / "untouched")
    return Checkout(tmp_path / "untouched")


@pytest.fixture(scope="module")
def untouched_folder(tmp_path_factory):
    """The same for all tests of a module."""
    folder = tmp_path_factory.mktemp("untouched") / "checkout"
    copy_of_tree(folder)
    return Checkout(folder)
