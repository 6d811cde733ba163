"""Predict jobs record how long their models take."""

import time
from pathlib import Path

import pytest
from examples import silent

from ensir import registry
from ensir.datasets.photos import PhotosDataset
from ensir.stages.ingest import ingest
from ensir.stages.predict import predict, timed
from ensir.storage import origin
from ensir.storage.layout import Layout


def test_the_first_image_for_which_libraries_load_counts_as_the_others():
    def images():
        for seconds in (0.2, 0.01, 0.01):
            time.sleep(seconds)
            yield seconds

    seconds = {}
    assert list(timed(images(), seconds, "one by one", True)) == [0.2, 0.01, 0.01]
    assert list(timed(images(), seconds, "at once", False)) == [0.2, 0.01, 0.01]
    assert 0.03 <= seconds["one by one"] < 0.2 < seconds["at once"]


def test_seconds_are_in_the_record_beside_the_digest(tmp_path: Path):
    layout = Layout(str(tmp_path / "results"))
    noisy = {"kind": "noise", "sigma": 25}
    dataset = PhotosDataset.model_validate(
        {"kind": "photos", "images": ["coffee"], "size": 32, "degradation": noisy}
    )
    part, made = f"{layout.dataset('set')}/p", f"{layout.predictions('set', 'm')}/p"
    ingest(layout.place(part), "set", ["coffee"], dataset.traced, [], [], None, silent)
    settings = {"kind": "classical", "algorithm": "gaussian", "options": {}}
    predict(layout.place(made), part, layout.digest(part), "m", settings, [], None, silent)
    assert origin.read(layout.digest(made))["seconds"]["m"] > 0


@pytest.mark.parametrize(
    "section",
    [
        {"kind": "folder", "path": "*.png"},
        {"kind": "classical", "algorithm": "gaussian"},
        {"kind": "dmsp"},
        {"kind": "ptgrm", "base": "m", "prior": {"kind": "none"}, "weights": "w.safetensors"},
    ],
    ids=lambda section: section["kind"],
)
def test_seconds_that_are_given_make_no_other_predictions(section):
    kind = registry.section("restorers", section["kind"])
    given = kind.model_validate({**section, "seconds": 3.0})
    assert given.seconds == 3.0
    assert given.traced == kind.model_validate(section).traced
