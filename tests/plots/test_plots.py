"""The figure of a run shows the arrays it was given, each where it belongs."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from homog.plots import SolutionData, draw_solution, solution_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 21
CURVE = [(0, 1.0), (100, 0.1), (200, 0.01)]


def axis(points: int = POINTS, upper: float = 1.0) -> np.ndarray:
    return np.linspace(0.0, upper, points)


def data_in(dimensions: int) -> SolutionData:
    """Four solutions that no transposition or exchange leaves as they are."""
    axes = tuple(axis(POINTS) for _ in range(dimensions))
    mesh = np.meshgrid(*axes, indexing="ij")
    network = np.asarray(sum((k + 1) * x ** (k + 1) for k, x in enumerate(mesh)))
    patch = tuple(axis(11, 0.1) for _ in range(dimensions))
    coefficient = 1 + 10 * np.meshgrid(*patch, indexing="ij")[0]
    others = (network + 0.5, network + 0.25, network - 1.0)
    return SolutionData("a run", axes, network, patch, coefficient, *others, CURVE)


def panels_of(data: SolutionData) -> "dict[str, Axes]":
    return {str(panel.get_label()): panel for panel in draw_solution(data).axes}


def drawn(panel: "Axes") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Positions and values of every line, by the first word of its label."""
    lines = {str(line.get_label()).split()[0]: line for line in panel.lines}
    return {name: (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for name, line in lines.items()}


def value_at(panel: "Axes", x1: float, x2: float) -> float:
    """Value of the pixel that a map shows at a point, found through the panel's own coordinates."""
    (image,) = panel.images
    pixels = image.get_array()
    assert pixels is not None
    left, right, bottom, top = image.get_extent()
    assert image.origin == "lower"
    row = int((x2 - bottom) / (top - bottom) * pixels.shape[0])
    column = int((x1 - left) / (right - left) * pixels.shape[1])
    return float(pixels[row, column])


MIDDLE = POINTS // 2
LINES_IN_2D = [
    ("section 1", "$x_2 = 0.5$", (slice(None), MIDDLE)),
    ("section 2", "$x_1 = 0.5$", (MIDDLE, slice(None))),
    ("section 3", "$x_1 = x_2$", (np.arange(POINTS), np.arange(POINTS))),
]
LINES_IN_3D = [
    ("section 1", "$x_2 = 0.5$, $x_3 = 0.5$", (slice(None), MIDDLE, MIDDLE)),
    ("section 2", "$x_1 = 0.5$, $x_3 = 0.5$", (MIDDLE, slice(None), MIDDLE)),
    ("section 3", "$x_1 = 0.5$, $x_2 = 0.5$", (MIDDLE, MIDDLE, slice(None))),
]


@pytest.mark.parametrize(
    ("dimensions", "lines"),
    [(1, [("section 1", "solution", (slice(None),))]), (2, LINES_IN_2D), (3, LINES_IN_3D)],
)
def test_cross_sections_are_the_arrays_along_the_lines_they_name(dimensions: int, lines: list) -> None:
    data = data_in(dimensions)
    assert data.fine is not None
    assert data.homogenized is not None
    assert data.mean_coefficient is not None
    panels = panels_of(data)
    for name, title, index in lines:
        assert panels[name].get_title() == title
        shown = drawn(panels[name])
        expected = {
            "network": data.network,
            "FEM": data.fine,
            "homogenised": data.homogenized,
            r"$u_{\mathrm{mean}}$": data.mean_coefficient,
        }
        assert set(shown) == set(expected)
        for label, values in expected.items():
            np.testing.assert_array_equal(shown[label][0], axis())
            np.testing.assert_array_equal(shown[label][1], values[index])


def test_the_fine_scale_is_a_line_of_its_own_and_a_level_beside_the_training() -> None:
    data = data_in(2)
    fine_scale = data.network + 0.1
    panels = panels_of(replace(data, fine_scale=fine_scale))
    lines = {str(line.get_label()): np.asarray(line.get_ydata()) for line in panels["section 1"].lines}
    np.testing.assert_array_equal(lines["network and walkers"], fine_scale[:, MIDDLE])
    np.testing.assert_array_equal(lines["network"], data.network[:, MIDDLE])
    assert "walkers" in {text.get_text() for text in panels["training"].texts}


@pytest.mark.parametrize("dimensions", [2, 3])
def test_maps_have_x1_to_the_right_and_x2_upward(dimensions: int) -> None:
    data = data_in(dimensions)
    place = (16, 4, *[MIDDLE] * (dimensions - 2))  # x = (0.8, 0.2)
    bump = np.zeros_like(data.network)
    bump[place] = 1.0
    panels = panels_of(replace(data, network=bump, fine=2 * bump))
    for name, height in (("network", 1.0), ("reference", 2.0), ("error", 1.0)):
        panel = panels[name]
        assert value_at(panel, 0.8, 0.2) == height
        assert value_at(panel, 0.2, 0.8) == 0.0
        assert panel.get_xlim() == panel.get_ylim() == (0.0, 1.0)
        assert not panel.xaxis_inverted()
        assert not panel.yaxis_inverted()


def test_a_box_that_is_no_square_keeps_its_axes_and_its_diagonal() -> None:
    axes = (axis(31, 3.0), axis(11, 1.0))
    mesh = np.meshgrid(*axes, indexing="ij")
    network = mesh[0] - 3 * mesh[1]  # zero on the diagonal from corner to corner
    panels = panels_of(SolutionData("a box", axes, network, axes, network, curve=CURVE))
    assert panels["network"].get_xlim() == (0.0, 3.0)
    assert panels["network"].get_ylim() == (0.0, 1.0)
    assert value_at(panels["network"], 3.0, 0.0) == 3.0
    positions, values = drawn(panels["section 3"])["network"]
    assert (positions[0], positions[-1]) == (0.0, 3.0)
    np.testing.assert_allclose(values, 0.0, atol=1e-12)


def test_reference_and_network_share_one_colour_scale() -> None:
    data = data_in(2)
    panels = panels_of(data)
    limits = {panels[name].images[0].get_clim() for name in ("reference", "network")}
    assert limits == {(data.network.min(), data.network.max() + 0.5)}
    assert panels["error"].images[0].get_clim() == pytest.approx((0.0, 0.5))


def test_the_coefficient_is_drawn_on_its_own_patch() -> None:
    panel = panels_of(data_in(2))["coefficient"]
    assert panel.get_xlim() == (0.0, 0.1)
    assert "detail" in panel.get_title()
    assert value_at(panel, 0.1, 0.0) == pytest.approx(2.0)  # it grows with x1
    assert value_at(panel, 0.0, 0.1) == pytest.approx(1.0)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_training_curve_is_logarithmic_and_names_what_to_beat(dimensions: int) -> None:
    data = data_in(dimensions)
    panel = panels_of(data)["training"]
    assert panel.get_yscale() == "log"
    lines = drawn(panel)
    np.testing.assert_array_equal(lines["network"], np.transpose(CURVE))
    distance = 0.25 * np.sqrt(data.network.size) / np.linalg.norm(data.network + 0.5)
    assert lines["homogenised"][1][0] == pytest.approx(distance)  # ||u_0 - u_eps|| / ||u_eps||


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_without_a_fine_reference_the_homogenised_solution_takes_its_place(dimensions: int) -> None:
    data = replace(data_in(dimensions), fine=None)
    panels = panels_of(data)
    error = panels["error"]
    values = error.images[0].get_array() if error.images else error.lines[0].get_ydata()
    np.testing.assert_allclose(np.asarray(values), 0.25)
    assert "FEM" not in drawn(panels["section 1"])


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_without_any_reference_the_network_is_drawn_alone(dimensions: int) -> None:
    data = replace(data_in(dimensions), fine=None, homogenized=None, mean_coefficient=None, curve=())
    panels = panels_of(data)
    assert set(drawn(panels["section 1"])) == {"network"}
    assert "reference" not in panels


@pytest.mark.parametrize("dimensions", [1, 2])
def test_a_run_that_diverged_still_gets_its_figure(dimensions: int, tmp_path: Path) -> None:
    data = data_in(dimensions)
    broken = data.network.copy()
    broken.flat[:7] = np.nan
    broken.flat[8] = np.inf
    curve = [(0, 1.0), (1, float("nan")), (2, float("inf")), (3, 0.0)]
    solution_figure(replace(data, network=broken, curve=curve), tmp_path / "figure.png")
    solution_figure(replace(data, network=np.full_like(broken, np.nan), curve=curve[1:]), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").exists()


def test_the_file_is_a_picture_large_enough_to_read(tmp_path: Path) -> None:
    from matplotlib.image import imread

    pyplot_before = "matplotlib.pyplot" in sys.modules
    path = tmp_path / "new folder" / "figure.png"
    solution_figure(data_in(2), path)
    pixels = imread(path)
    assert pixels.shape[0] > 1000
    assert pixels.shape[1] > 1200
    assert pixels.shape[1] < 2500
    assert ("matplotlib.pyplot" in sys.modules) == pyplot_before  # no window, no global state


def test_an_array_off_its_grid_is_refused() -> None:
    data = data_in(2)
    with pytest.raises(ValueError, match=r"network has shape \(20, 21\)"):
        replace(data, network=data.network[1:])
