"""The type checker that jaxtyping's import hook applies to homog: beartype, where an int passes for a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
