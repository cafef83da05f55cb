"""Images of phases: what is read where, which way is up, and what is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from homog import equation, fields
from homog.config import BoundsTimeStep, CompositeField, DomainSettings, FieldProblem, FileField, ImageField
from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.phases import Phases
from homog.measures.spreading import effective_tensor_by_walkers
from homog.references.cell import effective_tensor
from homog.timesteps.timestep import time_steps
from homog.walkers import Scheme, Walkers, oracle, stream_key

SQUARE = Box((0.0, 0.0), (1.0, 1.0))
CUBE = Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
PICTURE = np.array([[9, 9, 0], [0, 0, 0], [0, 0, 5]], dtype=np.uint8)  # nine in the upper left, five in the lower right


def problem_with(field, coefficient: str = "field", eps: float = 0.1, dimension: int = 2) -> equation.Problem:
    box = DomainSettings(lower=[0.0] * dimension, upper=[1.0] * dimension)
    return equation.build(
        FieldProblem(name="a test", coefficient=coefficient, forcing="10", domain=box, field=field), eps
    )


def phases_of(path: Path, box: Box = SQUARE, **settings) -> Phases:
    found = fields.build(ImageField(path=str(path), **settings), box).spline
    assert isinstance(found, Phases)
    return found


@pytest.mark.parametrize("name", ["picture.png", "picture.tif"])
def test_of_a_picture_x1_is_to_the_right_and_x2_upwards(tmp_path: Path, name: str):
    Image.fromarray(PICTURE).save(tmp_path / name)
    phases = phases_of(tmp_path / name)
    places = np.array([[0.1, 0.9], [0.5, 0.9], [0.9, 0.9], [0.9, 0.1], [0.1, 0.1]])
    np.testing.assert_array_equal(phases(places), [9, 9, 0, 5, 0])


def test_of_an_array_x1_is_the_first_index_and_labels_stand_for_values(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([[0, 1], [2, 2]], dtype=np.uint8))
    phases = phases_of(tmp_path / "a.npy", values={0: 1.0, 1: 7.5, 2: 100.0})
    np.testing.assert_array_equal(phases(np.array([[0.2, 0.2], [0.2, 0.8], [0.8, 0.2]])), [1.0, 7.5, 100.0])
    np.testing.assert_array_equal(phases.shares(), [0.25, 0.25, 0.5])


def test_a_stack_of_pages_is_a_cube(tmp_path: Path):
    pages = [Image.fromarray(np.full((4, 4), 10 * n, dtype=np.uint8)) for n in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    phases = phases_of(tmp_path / "stack.tif", CUBE)
    assert phases.labels.shape == (4, 4, 3)
    np.testing.assert_array_equal(phases(np.array([[0.5, 0.5, z] for z in (0.1, 0.5, 0.9)])), [0, 10, 20])


def test_floats_and_booleans_are_phases_too(tmp_path: Path):
    np.save(tmp_path / "f.npy", np.array([[0.5, 2.5], [0.5, 0.5]]))
    assert phases_of(tmp_path / "f.npy")(np.array([[0.2, 0.8]]))[0] == 2.5
    np.save(tmp_path / "b.npy", np.array([[True, False], [False, False]]))
    assert phases_of(tmp_path / "b.npy", values={0: 1.0, 1: 4.0})(np.array([[0.2, 0.2]]))[0] == 4.0


def test_bytes_in_a_file_are_read_where_they_lie(tmp_path: Path):
    """No copy of 1024^3 voxels: the labels of walkers are those of the file."""
    np.save(tmp_path / "a.npy", np.zeros((64, 64), dtype=np.uint8) + (np.arange(64) > 31).astype(np.uint8)[:, None])
    phases = phases_of(tmp_path / "a.npy", values={0: 1.0, 1: 2.0})
    assert isinstance(phases.labels, np.memmap)


@pytest.mark.parametrize("period", [None, "eps"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_walkers_read_the_voxels_that_numpy_reads(tmp_path: Path, kernels: Path, dimension: int, period: str | None):
    labels = np.random.default_rng(0).integers(0, 3, (8,) * dimension).astype(np.uint8)
    np.save(tmp_path / "a.npy", labels)
    eps = 0.1 if period is None else 0.05
    problem = problem_with(
        ImageField(path=str(tmp_path / "a.npy"), values={0: 1.0, 1: 3.0, 2: 20.0}, period=period),
        "field",
        eps,
        dimension,
    )
    assert problem.operator.jumps
    assert (problem.cell is None) == (period is None)
    steps = time_steps(BoundsTimeStep(eps=0.05, macro_factor=1.0), dimension)
    points, key = problem.domain.sample(60, np.random.default_rng(1)), stream_key(5, 2)
    scheme = Scheme(step="metropolis")
    found = Walkers(problem, scheme, kernels).walk(points, 8, steps, key)
    exact = oracle.walk(problem, scheme, points, 8, steps, key)
    alike = np.abs(found.displacement - exact.displacement).max(0) < 1e-5
    assert alike.mean() > 0.995  # the others met a face of a voxel within rounding
    np.testing.assert_allclose(found.reward[alike], exact.reward[alike], rtol=1e-3, atol=1e-6)


def test_at_any_scale_the_cell_is_the_same(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([[0, 1], [1, 1]], dtype=np.uint8))
    for eps in (0.5, 1e-4):
        problem = problem_with(ImageField(path=str(tmp_path / "a.npy"), values={0: 1.0, 1: 4.0}, period="eps"), eps=eps)
        places = eps * np.array([[0.25, 0.25], [3.25, 0.25], [0.75, 1.25]])
        np.testing.assert_array_equal(problem.operator.coefficient_at(places), [1.0, 1.0, 4.0])


def test_an_image_that_is_not_square_has_a_cell_in_its_proportions(tmp_path: Path, kernels: Path):
    """And walkers read it there; a width of voxels that is not one stretches it."""
    np.save(tmp_path / "a.npy", np.random.default_rng(1).integers(0, 2, (8, 4)).astype(np.uint8))
    values = {0: 1.0, 1: 9.0}
    for spacing, sides in (([], [0.2, 0.1]), ([1.0, 3.0], [0.2, 0.3])):
        field = ImageField(path=str(tmp_path / "a.npy"), values=values, period="eps", spacing=spacing)
        problem = problem_with(field, eps=0.2)
        assert problem.cell is not None
        np.testing.assert_allclose(problem.cell.sides, sides)
        points = problem.domain.sample(60, np.random.default_rng(1))
        shifted = problem.operator.coefficient_at(points + problem.cell.sides * [2, -1])
        np.testing.assert_array_equal(problem.operator.coefficient_at(points), shifted)
        steps, scheme, key = time_steps(BoundsTimeStep(eps=0.1), 2), Scheme(step="metropolis"), stream_key(5, 2)
        found = Walkers(problem, scheme, kernels).walk(points, 8, steps, key)
        exact = oracle.walk(problem, scheme, points, 8, steps, key)
        assert (np.abs(found.displacement - exact.displacement).max(0) < 1e-5).mean() > 0.995


def test_layers_in_an_image_that_is_not_square(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.repeat(np.array([[0, 1, 1, 1]], dtype=np.uint8).T, 2, axis=1))
    field = ImageField(path=str(tmp_path / "a.npy"), values={0: 1.0, 1: 9.0}, period="eps")
    tensor, error = effective_tensor(problem_with(field))
    np.testing.assert_allclose(np.diag(tensor), [1 / (0.25 + 0.75 / 9), 0.25 + 0.75 * 9], rtol=max(error, 1e-6))


@pytest.mark.parametrize(
    ("make", "settings", "way_out"),
    [
        (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\nbroken"), {}, "cannot be read as an image|no .npy file"),
        (lambda p: p.write_text("hello"), {}, "no .npy file, and no PNG or TIFF image"),
        (lambda p: Image.new("RGB", (8, 8)).save(p), {}, "3 channels"),
        (lambda p: Image.fromarray(PICTURE).save(p), {"values": {0: 1.0}}, r"holds 5, 9, .*values=\{5: 1, 9: 1\}"),
        (lambda p: Image.fromarray(PICTURE).save(p), {"period": "eps", "spacing": [1.0]}, "for each of the 2 axes"),
        (lambda p: Image.fromarray(PICTURE).save(p), {"interpolation": "linear", "values": {0: 1.0}}, "constant too"),
        (lambda p: Image.fromarray(PICTURE).save(p), {}, "it must be positive, or zero|is zero in all phases|^$"),
    ],
)
def test_a_hostile_image_is_refused_in_one_line(tmp_path: Path, make, settings, way_out: str):
    path = tmp_path / "image.png"
    make(path)
    if way_out.endswith("^$"):
        settings = {"values": {0: -1.0, 5: 1.0, 9: 1.0}}
    with pytest.raises(UserError, match=way_out) as refused:
        problem_with(ImageField(path=str(path), **settings))
    assert "\n" not in str(refused.value)


def test_an_image_that_is_not_there_and_one_of_too_many_numbers(tmp_path: Path):
    with pytest.raises(UserError, match="does not exist"):
        problem_with(ImageField(path=str(tmp_path / "nothing.png")))
    np.save(tmp_path / "grey.npy", np.random.default_rng(0).random((32, 32)))
    with pytest.raises(UserError, match="interpolation=linear"):
        problem_with(ImageField(path=str(tmp_path / "grey.npy")))
    assert not problem_with(
        ImageField(path=str(tmp_path / "grey.npy"), interpolation="linear"), "1 + field"
    ).operator.jumps


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({"radius": 0.35}, np.pi * 0.35**2),
        ({"fraction": 0.3, "count": 12}, 0.3),
        ({"shape": "cube", "radius": 0.25}, 0.25),
        ({"shape": "ellipsoid", "radius": 0.4, "aspect": [1.0, 0.5]}, np.pi * 0.4 * 0.2),
        ({"shape": "ellipsoid", "fraction": 0.25, "count": 15, "turned": True, "aspect": [3.0, 1.0]}, 0.25),
        ({"shape": "laminate", "fraction": 0.2, "normal": [1, 1]}, 0.2),
        ({"shape": "checkerboard"}, 0.5),
    ],
)
def test_a_composite_has_the_share_that_was_asked_for(settings, share: float):
    problem = problem_with(CompositeField(**settings))
    assert problem.cell is not None
    np.testing.assert_allclose(problem.cell.sides, 0.1)
    assert problem.metrics["share_of_inclusions"] == pytest.approx(share, abs=3e-3)


def test_inclusions_at_random_do_not_overlap_and_are_drawn_by_the_seed():
    shares = [problem_with(CompositeField(radius=0.08, count=20, seed=seed)).metrics for seed in (0, 0, 1)]
    assert shares[0] == shares[1]
    assert shares[0]["share_of_inclusions"] == pytest.approx(20 * np.pi * 0.08**2, rel=2e-3)
    one, other = (problem_with(CompositeField(radius=0.08, count=20, seed=seed)).operator.field for seed in (0, 1))
    assert (one.labels != other.labels).any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="smaller radius or fraction"):
        problem_with(CompositeField(radius=0.6))
    with pytest.raises(UserError, match="find a place at random"):
        problem_with(CompositeField(fraction=0.8, count=30))
    with pytest.raises(UserError, match="find a place at random"):
        problem_with(CompositeField(shape="ellipsoid", fraction=0.9, count=30, turned=True))
    with pytest.raises(UserError, match="is zero in 2 dimensions"):
        problem_with(CompositeField(shape="laminate", normal=[0, 0, 1]))
    with pytest.raises(UserError, match="a share between 0 and 1"):
        CompositeField(fraction=1.5)


def test_what_varies_within_voxels_is_looked_at_there(tmp_path: Path):
    """Layers of a formula in an image of one phase: the means of 2 + sin, and not of a look at each voxel."""
    np.save(tmp_path / "a.npy", np.ones((2, 2), dtype=np.uint8))
    field = ImageField(path=str(tmp_path / "a.npy"), period="eps")
    tensor, error = effective_tensor(problem_with(field, "where(x1 > -1, field, 5)*(2 + sin(2*pi*x1/eps))"))
    np.testing.assert_allclose(np.diag(tensor), [np.sqrt(3), 2.0], rtol=max(error, 1e-3))
    assert error < 1e-2


def test_thin_ellipses_far_apart_conduct_as_maxwell_says():
    """a* = 1 + f (k - 1) / (1 + L (k - 1)), L = b / (a + b) along the longer axis and a / (a + b) across it."""
    contrast, share = 10.0, 0.01
    field = CompositeField(shape="ellipsoid", aspect=[3.0, 1.0], fraction=share, inclusion=contrast)
    problem = problem_with(field)
    tensor, error = effective_tensor(problem)
    drawn = problem.metrics["share_of_inclusions"]
    factors = np.array([0.25, 0.75])
    polarised = drawn * (contrast - 1) / (1 + factors * (contrast - 1))
    np.testing.assert_allclose(np.diag(tensor), 1 + polarised / (1 - factors * polarised), atol=0.02 * polarised[0])
    assert abs(tensor[0, 1]) < 1e-6
    assert error < 1e-2


def test_islands_in_holes_are_left_out(tmp_path: Path):
    """A square in the hole of a plate, and one that reaches its copies over the faces of the cell, which is none."""
    plate = np.ones((32, 32), dtype=np.uint8)
    plate[8:24, 8:24] = 0
    with_island = plate.copy()
    with_island[12:20, 12:20] = 1
    across = np.zeros((32, 32), dtype=np.uint8)
    across[:, [0, 1, 30, 31]] = 1  # a strip along x1, cut in two by the faces across x2
    across[10:20, 10:20] = 1
    found = {}
    for name, image in (("plate", plate), ("island", with_island), ("across", across)):
        np.save(tmp_path / f"{name}.npy", image)
        found[name] = problem_with(ImageField(path=str(tmp_path / f"{name}.npy"), period="eps")).operator.field
    assert (found["island"].labels == plate).all()
    assert found["across"].labels.sum() == 4 * 32
    once = problem_with(ImageField(path=str(tmp_path / "across.npy"))).operator.field
    assert once.labels.sum() == 4 * 32
    alone = np.zeros((32, 32), dtype=np.uint8)
    alone[10:20, 10:20] = 1
    alone[15, :20] = 1  # reaches one face, and nothing beyond it
    np.save(tmp_path / "alone.npy", alone)
    with pytest.raises(UserError, match="nothing leads from one cell to the next"):
        problem_with(ImageField(path=str(tmp_path / "alone.npy"), period="eps"))


def test_what_winds_through_cells_is_no_island(tmp_path: Path):
    """A diagonal staircase meets itself in another cell only after both axes."""
    stairs = np.zeros((16, 16), dtype=np.uint8)
    for i in range(16):
        stairs[i, i] = stairs[i, (i + 1) % 16] = 1
    np.save(tmp_path / "a.npy", stairs)
    problem = problem_with(ImageField(path=str(tmp_path / "a.npy"), period="eps"))
    assert (problem.operator.field.labels == stairs).all()


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_grey_levels_are_repeated_as_walkers_read_them(
    tmp_path: Path, kernels: Path, dimension: int, interpolation: str
):
    """Waves on the nodes of an image that is not square: from cell to cell the same spline, for all who read it."""
    shape = (16, 8, 8)[:dimension]
    grid = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in shape), indexing="ij")
    np.save(tmp_path / "a.npy", 2 + np.sin(grid[0]) + 0.5 * np.cos(grid[1]))
    field = ImageField(path=str(tmp_path / "a.npy"), interpolation=interpolation, period="eps")
    problem = problem_with(field, "field", 0.1, dimension)
    assert problem.cell is not None
    np.testing.assert_allclose(problem.cell.sides, [0.1, 0.05, 0.05][:dimension])
    points = problem.domain.sample(80, np.random.default_rng(1))
    moved = points + problem.cell.sides * [3, -2, 1][:dimension]
    np.testing.assert_allclose(problem.operator.coefficient_at(moved), problem.operator.coefficient_at(points))
    np.testing.assert_allclose(problem.operator.slopes_at(moved), problem.operator.slopes_at(points), atol=1e-8)
    waves = 2 + np.sin(20 * np.pi * points[:, 0]) + 0.5 * np.cos(40 * np.pi * points[:, 1])
    off = 0.2 if interpolation == "linear" else 0.01
    np.testing.assert_allclose(problem.operator.coefficient_at(points), waves, atol=off)
    steps, key, scheme = time_steps(BoundsTimeStep(eps=0.05), dimension), stream_key(5, 2), Scheme()
    found = Walkers(problem, scheme, kernels).walk(points, 8, steps, key)
    exact = oracle.walk(problem, scheme, points, 8, steps, key)
    alike = np.abs(found.displacement - exact.displacement).max(0) < 1e-4
    assert alike.mean() > 0.99  # the others met the boundary within rounding
    np.testing.assert_allclose(found.reward[alike], exact.reward[alike], rtol=1e-3, atol=1e-6)


def test_a_repeated_field_has_the_tensor_of_its_formula(tmp_path: Path, kernels: Path):
    """1 + 0.9 sin cos in a file, at eps = 1e-3: a* = 0.8835143 of the paper's problem, by the cell and by walkers."""
    x = 2 * np.pi * np.arange(64) / 64
    np.save(tmp_path / "a.npy", 1 + 0.9 * np.sin(x)[:, None] * np.cos(x))
    problem = problem_with(FileField(path=str(tmp_path / "a.npy"), periodic=True, period="eps"), eps=1e-3)
    tensor, error = effective_tensor(problem)
    np.testing.assert_allclose(tensor, 0.8835143 * np.eye(2), atol=2e-5 + error)
    found = effective_tensor_by_walkers(problem, 8, cache=kernels)
    assert (np.abs(found.value - tensor) < 5 * found.standard_error + 2 * found.bias + 1e-3).all()
    assert found.standard_error.max() < 1e-2


def test_what_cannot_be_repeated_is_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", 2 + np.random.default_rng(0).random((8, 8)))
    with pytest.raises(UserError, match=r"problem\.field\.periodic=true"):
        FileField(path=str(tmp_path / "a.npy"), period="eps")
    smooth = ImageField(path=str(tmp_path / "a.npy"), interpolation="cubic", period="eps")
    with pytest.raises(UserError, match="is not repeated with"):
        problem_with(smooth, "field + x1")
