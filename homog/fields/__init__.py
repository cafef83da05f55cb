"""Random fields and fields of the user's own, on a grid."""

from functools import singledispatch

from homog.config import CompositeField, FieldSettings, FileField, GSToolsField, ImageField, SpectralField
from homog.domains.box import Box
from homog.fields.composite import composite_field
from homog.fields.correlation import correlation_length
from homog.fields.drawn import drawn_field
from homog.fields.file import file_field
from homog.fields.image import image_field
from homog.fields.spectral import spectral_field
from homog.fields.tabulated import TabulatedField

__all__ = ["TabulatedField", "build", "correlation_length"]


@singledispatch
def build(settings: FieldSettings, domain: Box, period: float | None = None) -> TabulatedField:
    """The field that the settings describe, on the domain; of those that have a period, in a cell that is repeated.

    Raises:
        UserError: If it cannot be had, in one line.
    """
    raise NotImplementedError(f"no field for {type(settings).__name__}")


@build.register
def _(settings: SpectralField, domain: Box, period: float | None = None) -> TabulatedField:
    return spectral_field(settings, domain)


@build.register
def _(settings: FileField, domain: Box, period: float | None = None) -> TabulatedField:
    return file_field(settings, domain, period)


@build.register
def _(settings: GSToolsField, domain: Box, period: float | None = None) -> TabulatedField:
    return drawn_field(settings, domain)


@build.register
def _(settings: ImageField, domain: Box, period: float | None = None) -> TabulatedField:
    return image_field(settings, domain, period)


@build.register
def _(settings: CompositeField, domain: Box, period: float | None = None) -> TabulatedField:
    return composite_field(settings, domain, period)
