"""Pictures are drawn from records alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from test_results import a_record

from earlyrobust.reports.plots import DISTANCES_PICTURE, LAYERS_PICTURE, draw_pictures, mask_distances
from earlyrobust.results import RunRecord


def test_both_pictures_show_something(tmp_path: Path) -> None:
    a_record().save(tmp_path)
    files = draw_pictures(RunRecord.load(tmp_path), tmp_path)
    assert files == [tmp_path / LAYERS_PICTURE, tmp_path / DISTANCES_PICTURE]
    for file in files:
        pixels = matplotlib.image.imread(file)
        assert min(pixels.shape[:2]) >= 400
        assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10


@pytest.mark.parametrize("search", ["none", "no miniepochs", "one miniepoch"])
def test_no_picture_of_distances_that_are_not_there(tmp_path: Path, search: str) -> None:
    record = a_record()
    assert record.search is not None
    count = int(search == "one miniepoch")
    empty = dataclasses.replace(
        record.search,
        miniepochs=record.search.miniepochs[:count],
        head_distances=[[0.0]][:count],
        neuron_distances=[[0.0]][:count],
    )
    record = dataclasses.replace(record, search=None if search == "none" else empty)
    assert draw_pictures(record, tmp_path) == [tmp_path / LAYERS_PICTURE]
    assert [path.name for path in tmp_path.iterdir()] == [LAYERS_PICTURE]


def test_masks_that_never_differ_are_drawn_too(tmp_path: Path) -> None:
    record = a_record()
    assert record.search is not None
    still = dataclasses.replace(record.search, head_distances=[[0.0]], neuron_distances=[[0.0]])
    figure = mask_distances(still)
    assert [axes.images[0].get_array().max() for axes in figure.axes[:2]] == [0, 0]


def test_the_distances_are_those_of_the_record() -> None:
    search = a_record().search
    assert search is not None
    heads, neurons = (axes.images[0].get_array() for axes in mask_distances(search).axes[:2])
    assert np.allclose(heads, search.head_distances)
    assert np.allclose(neurons, search.neuron_distances)
