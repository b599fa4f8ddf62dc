"""A checkout with a finished tiny run."""

import pytest

from checkout import Checkout, copy_of_tree


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A checkout in which the tiny run has ended; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("checkout") / "finished"
    copy_of_tree(folder)
    checkout = Checkout(folder)
    checkout.first = checkout.snakemake()
    return checkout


@pytest.fixture
def checkout(finished, tmp_path):
    """A copy of the finished checkout, to be spoilt."""
    return finished.copy(tmp_path / "copy")
