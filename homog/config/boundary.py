"""What is said of the boundary: one formula for u on all of it, or conditions by faces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homog.errors import UserError

_WORD = "periodic"
_SHAPES = (
    "{value: g} for u = g, {flux: q} for n.a grad u = q, {robin: {factor: k, flux: q}} for n.a grad u + k u = q, or"
    " periodic"
)


@dataclass(frozen=True)
class FaceCondition:
    """What holds on a face: u = `value`; n.a grad u + `factor` u = `flux`; or nothing, where faces are one.

    Attributes:
        value, flux, factor: The texts of formulas; None for what is not said.
        periodic: Whether the face and the one across are one.
    """

    value: str | None = None
    flux: str | None = None
    factor: str | None = None
    periodic: bool = False


def face_names(dimension: int) -> list[str]:
    """x1-, x1+, x2-, ...: of each axis the lower face and the upper one."""
    return [f"x{axis + 1}{side}" for axis in range(dimension) for side in "-+"]


def face_conditions(boundary: Any, dimension: int) -> tuple[FaceCondition, ...]:
    """The condition on each face, in the order of `face_names`, from what a user wrote.

    Args:
        boundary: A formula, or a mapping from faces to conditions. A face is x1- or x1+, an axis stands for both of
            its faces and `all` for those that nothing else is said of.
        dimension: d.

    Raises:
        UserError: If it is neither, in one line that says what to write.
    """
    names = face_names(dimension)
    if isinstance(boundary, str | int | float) and not isinstance(boundary, bool):
        return (FaceCondition(value=str(boundary)),) * len(names)
    if not isinstance(boundary, Mapping):
        raise UserError(f"problem.boundary={boundary}: write one formula, or faces such as {{x1: {{value: 0}}, x2: ...")
    axes = [f"x{axis + 1}" for axis in range(dimension)]
    given: dict[str, FaceCondition] = {}
    for key, condition in boundary.items():
        if str(key) not in (*names, *axes, "all"):
            raise UserError(
                f"problem.boundary.{key} is no face: write x1- for the lower one of x1, x1+ for the upper, x1 for both,"
                f" and so on up to x{dimension}, or all"
            )
        given[str(key)] = _condition(condition, str(key))
    found = []
    for name in names:
        said = next((given[key] for key in (name, name[:-1], "all") if key in given), None)
        if said is None:
            raise UserError(f"problem.boundary says nothing of the face {name}: name it, its axis {name[:-1]}, or all")
        found.append(said)
    for axis, (below, above) in zip(axes, zip(found[::2], found[1::2], strict=True), strict=True):
        if below.periodic != above.periodic:
            raise UserError(f"problem.boundary.{axis}: periodic joins both faces of an axis: write {axis}: periodic")
    return tuple(found)


def _condition(given: Any, face: str) -> FaceCondition:
    where = f"problem.boundary.{face}"
    if given == _WORD:
        return FaceCondition(periodic=True)
    if not isinstance(given, Mapping) or len(given) != 1:
        raise UserError(f"{where}={given}: write {_SHAPES}")
    ((kind, inner),) = given.items()
    match kind:
        case "value":
            return FaceCondition(value=_text(inner, f"{where}.value"))
        case "flux":
            return FaceCondition(flux=_text(inner, f"{where}.flux"))
        case "robin" if isinstance(inner, Mapping):
            unknown = [str(name) for name in inner if name not in ("factor", "flux")]
            if unknown or "factor" not in inner:
                raise UserError(f"{where}.robin={dict(inner)}: write {{factor: k, flux: q}} for n.a grad u + k u = q")
            return FaceCondition(
                flux=_text(inner.get("flux", 0), f"{where}.robin.flux"),
                factor=_text(inner["factor"], f"{where}.robin.factor"),
            )
    raise UserError(f"{where}={dict(given)}: write {_SHAPES}")


def _text(given: Any, where: str) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise UserError(f"{where}={given}: write one formula")
    return str(given)
