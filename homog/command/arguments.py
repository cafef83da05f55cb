"""The command line before Hydra reads it: nothing it would stumble over, in an order that it understands."""

from collections.abc import Sequence
from typing import NoReturn

from homog.errors import UserError

_LONGEST = 20_000  # of an argument: a formula has at most a thousand characters, a list of values may have more


def checked(arguments: Sequence[str]) -> list[str]:
    """The same arguments, flags first: argparse alone takes overrides on one side of the flags only.

    Args:
        arguments: As the shell hands them over, without the command's name.

    Raises:
        UserError: If one is no text, or no flag of Hydra's that homog-run has.
    """
    for argument in arguments:
        _require_text(argument)
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = _refuse  # argparse's own answer has many lines
    given = parser.parse_intermixed_args(list(arguments))
    if given.experimental_rerun is not None:  # it loads a pickle
        raise UserError("--experimental-rerun is not for homog-run: write the settings of the run again")
    if flags := [override for override in given.overrides if override.startswith("-")]:
        _refuse(f"unrecognized arguments: {flags[0]}")
    flags = []
    for name, value in vars(given).items():  # Hydra names each after its long form
        if name != "overrides" and value not in (None, False):
            option = f"--{name.replace('_', '-')}"
            flags.append(option if value is True else f"{option}={value}")
    return [*flags, *given.overrides]


def _require_text(argument: str) -> None:
    if len(argument) > _LONGEST:
        raise UserError(f"{argument[:30]}... has {len(argument)} characters: write at most {_LONGEST}")
    if not argument.isprintable():  # a line end, a NUL, half a character of another encoding
        raise UserError(f"{argument!a:.60}: write printable characters only")


def _refuse(message: str) -> NoReturn:
    raise UserError(f"{message}: homog-run --help tells what there is")
