"""Every language-model type of the installed transformers, held against its own model: minutes, by `make test-long`."""

import pytest

import models_page
import tiny_models


@pytest.mark.parametrize(("kind", "task"), tiny_models.types())
def test_a_type_is_as_the_page_of_models_says(kind, task):
    line = models_page.row(kind, task, models_page.find(kind, task))
    assert "NO" not in line.split("|")[3]
    assert line in models_page.PAGE.read_text(encoding="utf-8").splitlines()
