"""A Gaussian random field with a covariance model, drawn with gstools."""

from typing import Any

import numpy as np

from homog.config import GSToolsField
from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.tabulated import TabulatedField, nodes_of, require_affordable, tabulate

_MOST_NODES = 4_000_000  # a thousand random modes at each: minutes
_NODES_A_LENGTH = 3


def drawn_field(settings: GSToolsField, domain: Box) -> TabulatedField:
    """A sample of a stationary Gaussian field, by gstools' randomisation method, and a cubic spline through it.

    A field with a Gaussian or Matern covariance (nu > 1) is differentiable; with an exponential or a spherical
    covariance it is not, and what is solved is the problem with the spline on this grid: it changes with the grid.

    Raises:
        UserError: If gstools is not installed, or the grid is too coarse for the correlation length.
    """
    spacing = float(domain.sides.max()) / (settings.grid - 1)
    if settings.correlation < _NODES_A_LENGTH * spacing:
        needed = int(np.ceil(_NODES_A_LENGTH * float(domain.sides.max()) / settings.correlation)) + 1
        raise UserError(
            f"problem.field.grid={settings.grid} is too coarse for problem.field.correlation={settings.correlation:g}:"
            f" write a grid of at least {needed}"
        )
    shape = tuple(count + 1 for count in nodes_of(settings.grid - 1, domain))
    require_affordable(shape, f"problem.field.grid={settings.grid}", dense=True, most=_MOST_NODES)
    axes = [np.linspace(low, high, n) for low, high, n in zip(domain.lower, domain.upper, shape, strict=True)]
    sample = _gstools().SRF(_covariance(settings, domain.dimension), mean=settings.mean, seed=settings.seed)
    values = np.asarray(sample.structured(axes), dtype=np.float64).reshape(shape)
    return tabulate(values, domain, periodic=False, origin=f"gstools {_gstools().__version__} {settings} {domain}")


def _covariance(settings: GSToolsField, dimension: int) -> Any:
    """The model, its own length scale chosen so that the correlation is 1/e at `correlation`."""
    kind = getattr(_gstools(), settings.covariance)  # the schema knows which words may stand here
    further = {"nu": settings.smoothness} if settings.covariance == "Matern" else {}
    model = kind(dim=dimension, var=settings.variance, len_scale=1.0, **further)
    return kind(
        dim=dimension,
        var=settings.variance,
        len_scale=settings.correlation / model.percentile_scale(1 - np.exp(-1)),
        **further,
    )


def _gstools() -> Any:
    try:
        import gstools
    except ImportError as error:
        raise UserError(
            f"problem/field=gstools needs the package gstools ({error}): install it with pip install 'homog[fields]',"
            " or write problem/field=spectral"
        ) from None
    return gstools
