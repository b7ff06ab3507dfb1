"""Pictures are drawn from records alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from test_results import a_record

from earlyrobust.reports.plots import DISTANCES_PICTURE, LAYERS_PICTURE, mask_distances, render_pictures
from earlyrobust.results import RunRecord

pytestmark = pytest.mark.pictures


def test_both_pictures_show_something(tmp_path: Path) -> None:
    a_record().save(tmp_path)
    files = render_pictures(RunRecord.load(tmp_path), tmp_path)
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
    assert render_pictures(record, tmp_path) == [tmp_path / LAYERS_PICTURE]
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


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("count", [2, 5, 9, 12, 20])
def test_the_names_of_all_axes_are_within_the_picture(narrow: bool, count: int) -> None:
    search = a_record().search
    assert search is not None
    distances = np.linspace(0, 0.37, count * count).reshape(count, count).tolist()
    figure = mask_distances(
        dataclasses.replace(search, head_distances=distances, neuron_distances=distances), narrow
    )
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes[:2]:
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
            box = text.get_window_extent()
            assert min(box.x0, box.y0) >= 0, text
            assert box.x1 <= figure.bbox.width, text
            assert box.y1 <= figure.bbox.height, text
