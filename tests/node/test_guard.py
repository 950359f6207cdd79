"""The node refuses to start where strangers bear its folders' names."""

from __future__ import annotations

import pytest

from node.domain.errors import ConfigError
from node.guard import check_environment


def test_foreign_packages_with_our_folder_names_are_refused_by_name() -> None:
    installed = {"scp": ["scp"], "config": ["config"], "numpy": ["numpy"]}
    with pytest.raises(ConfigError) as caught:
        check_environment(installed)
    assert "config, scp" in str(caught.value)
    assert "pip uninstall config scp" in str(caught.value)


def test_both_builds_of_the_engine_are_refused() -> None:
    with pytest.raises(ConfigError, match="break each other"):
        check_environment({"onnxruntime": ["onnxruntime", "onnxruntime-gpu"]})


def test_this_environment_is_sound() -> None:
    assert check_environment() is None
