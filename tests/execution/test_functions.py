"""The user's functions: which files their results depend on."""

from pathlib import Path

import pytest

from ensir.execution import functions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    functions.digests_of_own_files.cache_clear()
    files = {
        "own_models.py": "import numpy as np\nfrom own_helpers import gain\nimport own_package.deep.layers\n",
        "own_helpers.py": "def gain(image):\n    from own_late import value\n    return image * value\n",
        "own_late.py": "value = 1\n",
        "own_package/__init__.py": "",
        "own_package/deep/__init__.py": "from . import activations\nfrom ..shared import size\n",
        "own_package/deep/layers.py": "from .weights import all_of_them\n",
        "own_package/deep/activations.py": "",
        "own_package/deep/weights.py": "all_of_them = 1\n",
        "own_package/shared.py": "size = 3\n",
        "own_package/unused.py": "",
        "own_unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_results_depend_on_all_files_that_a_function_is_made_of(folder: Path):
    before = functions.digests_of_own_files("own_models")
    assert set(before) == {
        "own_models", "own_helpers", "own_late", "own_package", "own_package.deep",
        "own_package.deep.layers", "own_package.deep.activations", "own_package.deep.weights",
        "own_package.shared",
    }  # fmt: skip
    (folder / "own_late.py").write_text("value = 2\n")
    (folder / "own_package/unused.py").write_text("x = 1\n")
    functions.digests_of_own_files.cache_clear()
    after = functions.digests_of_own_files("own_models")
    assert {name for name in before if before[name] != after[name]} == {"own_late"}


def test_a_module_with_a_mistake_has_a_digest(folder: Path):
    (folder / "own_models.py").write_text("def (:\n")
    assert set(functions.digests_of_own_files("own_models")) == {"own_models"}


def test_other_installed_packages_are_not_followed(folder: Path):
    assert set(functions.digests_of_own_files("json.decoder")) >= {"json", "json.decoder", "json.scanner"}
    assert not {"re", "numpy"} & set(functions.digests_of_own_files("json.decoder"))
