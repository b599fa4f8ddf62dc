"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

from browser import Browser, installed


@pytest.fixture(scope="session")
def mirror():
    """The folder of real corpora, tokenizers and pretrained models; tests that need it are skipped without it."""
    folder = os.environ.get("HEADATLAS_MIRROR")
    if not folder:
        pytest.skip("needs real data: set HEADATLAS_MIRROR to a folder laid out as the README says")
    assert Path(folder).is_dir(), f"HEADATLAS_MIRROR names {folder}, which is no folder"
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A real browser with no network; tests that need it are skipped where there is none."""
    if installed() is None:
        pytest.skip("needs a browser: chromium or google-chrome")
    opened = Browser(installed(), tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
