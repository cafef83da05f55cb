"""A user's own array as a field: what it becomes, and what is refused."""

import contextlib
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homog import equation, fields
from homog.config import DomainSettings, FieldProblem, FileField
from homog.domains import Box
from homog.errors import UserError

SQUARE = Box((0.0, 0.0), (1.0, 1.0))


def problem_with(field: FileField, coefficient: str = "field", domain: Box = SQUARE) -> equation.Problem:
    box = DomainSettings(lower=list(domain.lower), upper=list(domain.upper))
    return equation.build(FieldProblem(name="p", coefficient=coefficient, forcing="1", domain=box, field=field), 0.1)


def saved(array: np.ndarray, path: Path) -> FileField:
    np.save(path, array)
    return FileField(path=str(path))


def smooth(points: np.ndarray) -> np.ndarray:
    return 2 + np.sin(2 * points[..., 0]) * np.exp(points[..., 1])


def test_a_users_array_is_the_function_it_was_made_from(tmp_path: Path):
    """Fourth order in the spacing, x1 along the first index, on the corners of the domain."""
    box = Box((-1.0, 0.0), (1.0, 0.5))
    points = box.sample(2000, np.random.default_rng(0))
    errors = []
    for nodes in (21, 41):
        problem = problem_with(saved(smooth(box.grid(nodes)), tmp_path / "a.npy"), domain=box)
        errors.append(np.abs(problem.operator.coefficient_at(points) - smooth(points)).max())
    assert errors[1] < 1e-5
    assert np.log2(errors[0] / errors[1]) > 3.5


def test_a_periodic_array_leaves_the_upper_end_out(tmp_path: Path):
    nodes = np.arange(64) / 64
    values = 2 + np.sin(2 * np.pi * 3 * nodes)[:, None] * np.cos(2 * np.pi * nodes)
    settings = replace(saved(values, tmp_path / "a.npy"), periodic=True)
    problem = problem_with(settings)
    points = SQUARE.sample(500, np.random.default_rng(0))
    exact = 2 + np.sin(2 * np.pi * 3 * points[:, 0]) * np.cos(2 * np.pi * points[:, 1])
    # theta^4 / 720 for a cubic spline, theta = 2 pi 3/64, and a factor two for the point where it is worst
    np.testing.assert_allclose(problem.operator.coefficient_at(points), exact, atol=5e-5)
    assert problem.operator.field is not None
    assert problem.operator.field.intervals == (64, 64)


def test_linear_interpolation_stays_between_the_nodes_and_is_another_problem(tmp_path: Path):
    values = np.exp(3 * np.random.default_rng(0).normal(size=(20, 30)))
    linear = problem_with(replace(saved(values, tmp_path / "a.npy"), interpolation="linear"))
    found = linear.operator.coefficient_at(SQUARE.sample(20_000, np.random.default_rng(1)))
    assert values.min() <= found.min() < found.max() <= values.max()
    with pytest.raises(UserError, match=r"the cubic spline of the field is -.*or problem.field.interpolation=linear"):
        problem_with(saved(values, tmp_path / "a.npy"))
    settings = saved(np.log(values), tmp_path / "a.npy")
    kinds = [problem_with(replace(settings, interpolation=kind), "exp(field)").key() for kind in ("cubic", "linear")]
    assert kinds[0] != kinds[1]
    with pytest.raises(UserError, match=r"problem.field.interpolation=nearest is unknown: write one of cubic, linear"):
        FileField(path="a.npy", interpolation="nearest")


def test_very_different_spacings_are_mentioned_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    settings = saved(np.ones((60, 220)), tmp_path / "a.npy")
    with caplog.at_level("INFO", "homog"):
        problem_with(settings, domain=Box((0.0, 0.0), (60.0, 220.0)))
        problem_with(settings)
    (line,) = [r.getMessage() for r in caplog.records if "apart" in r.getMessage()]
    assert "0.0169 along x1, 0.00457 along x2" in line


@pytest.mark.parametrize("kind", ["<f4", ">f8", "<f2", "<i2", ">u1", "longdouble", "bool"])
def test_any_real_numbers_will_do_in_any_order(kind: str, tmp_path: Path):
    values = np.asfortranarray(np.arange(1, 43).reshape(6, 7).astype(kind))
    np.testing.assert_array_equal(fields.build(saved(values, tmp_path / "a.npy"), SQUARE).values, values)


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)  # type: ignore[arg-type]
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones((5, 5)))
    return buffer.getvalue()


GOOD = npy(np.ones((5, 5)))


def reshaped(shape: bytes) -> bytes:
    """GOOD with another shape in its header, which keeps its length."""
    old, new = b"(5, 5), }", shape + b", }"
    old += b" " * (len(new) - len(old))
    assert old in GOOD
    return GOOD.replace(old, new)


WITH_A_HOLE = np.ones((5, 6))
WITH_A_HOLE[2, 3] = np.nan
RECORDS = np.zeros((5, 5), dtype=[("a", "f8"), ("b", "i4")])
FILES = {
    "truncated": (GOOD[:-8], "no readable .npy file"),
    "truncated header": (GOOD[:40], "no readable .npy file"),
    "one byte": (GOOD[:1], "is no .npy file"),
    "no bytes": (b"", "is no .npy file"),
    "a promise of a petabyte": (reshaped(b"(9999999, 9999999)"), "no readable .npy file"),
    "a negative shape": (reshaped(b"(-5, -5)"), "no readable .npy file"),
    "an endless shape": (reshaped(b"(5" + b"0" * 30 + b", 5)"), "no readable .npy file"),
    "a long header": (GOOD[:8] + b"\xff\xff" + b" " * 70_000, "no readable .npy file"),
    "code in the header": (GOOD.replace(b"'<f8'", b"exit("), "no readable .npy file"),
    "another version": (GOOD[:6] + b"\x09\x00" + GOOD[8:], "no readable .npy file"),
    "text": (b"1.0 2.0\n3.0 4.0\n", "is no .npy file"),
    "pickled objects": (npy(np.array([[1, None], [2, 3]], dtype=object)), "no readable .npy file"),
    "an archive": (npz(), r"is an archive \(.npz\)"),
    "records": (npy(RECORDS), "values of type records"),
    "complex": (npy(np.ones((5, 5)) * 1j), "values of type complex128"),
    "words": (npy(np.array([["a", "b"]])), "values of type <U1"),
    "dates": (npy(np.zeros((5, 5), dtype="M8[s]")), "values of type datetime64"),
    "NaN": (npy(WITH_A_HOLE), r"is nan at index \(2, 3\)"),
    "infinity": (npy(np.full((4, 4), np.inf)), r"is inf at index \(0, 0\)"),
    "beyond double precision": (npy(np.full((4, 4), np.finfo(np.longdouble).max)), "is inf at index"),
    "too large to square": (npy(np.full((4, 4), 1e200)), "write smaller numbers"),
    "a number": (npy(np.float64(1)), r"the shape \(\), the domain 2 dim"),
    "a line": (npy(np.ones(10)), r"the shape \(10,\), the domain 2 dim"),
    "a cube": (npy(np.ones((5, 5, 5))), r"the shape \(5, 5, 5\), the domain 2 dim"),
    "empty": (npy(np.ones((0, 5))), "no readable|at least 4 nodes"),
    "three nodes": (npy(np.ones((3, 50))), "at least 4 nodes along each axis"),
    "a long side": (npy(np.ones((4, 5000))), "write at most 4096, or a periodic field"),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("content", "told"), FILES.values(), ids=FILES.keys())
def test_a_file_that_holds_no_field_is_refused_in_one_line(content: bytes, told: str, tmp_path: Path):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(UserError, match=told) as refusal:
        fields.build(FileField(path=str(path)), SQUARE)
    line = str(refusal.value)
    assert line.startswith(f"problem.field.path={path} ")
    assert "\n" not in line
    assert "write " in line
    assert len(line) < len(str(path)) + 300


def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(tmp_path / "pipe")  # to open it would block
    for path, told in [(tmp_path / "none.npy", "does not exist"), (tmp_path, "is no file"), (Path("a\0b"), "write"),
                       (tmp_path / "pipe", "is no file"), (Path("/dev/zero"), "is no file"),
                       (tmp_path / ("x" * 300), "write")]:  # fmt: skip
        with pytest.raises(UserError, match=told):
            fields.build(FileField(path=str(path)), SQUARE)
    settings = saved(np.ones((5, 5)), tmp_path / "a.npy")

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)  # a privileged user may read everything
    with pytest.raises(UserError, match="may not be read"):
        fields.build(settings, SQUARE)


def test_random_damage_is_either_refused_or_leaves_a_field(tmp_path: Path):
    """Every byte of the header, and some beyond, replaced by random ones: nothing but a UserError comes out."""
    random = np.random.default_rng(0)
    path, good = tmp_path / "a.npy", npy(random.random((6, 6)) + 1)
    for place in range(160):
        for byte in random.integers(0, 256, 2):
            path.write_bytes(good[:place] + bytes([byte]) + good[place + 1 :])
            with contextlib.suppress(UserError):
                assert np.isfinite(fields.build(FileField(path=str(path)), SQUARE).values).all()


def test_one_node_that_is_not_positive_is_found_and_named(tmp_path: Path):
    values = np.ones((500, 400))
    values[123, 321] = -0.25
    settings = saved(values, tmp_path / "a.npy")
    with pytest.raises(UserError, match=r"coefficient=field is -0.25 at index \(123, 321\) of the field, \(x1=0.246"):
        problem_with(settings)
    assert problem_with(settings, "exp(field)").operator.coefficient_at(np.array([0.5, 0.5])) == pytest.approx(np.e)
    with pytest.raises(UserError, match=r"it must be positive"):
        problem_with(settings, "0.2 + field")
    problem_with(settings, "0.3 + field")
