"""What a configuration may not do to the process that reads it: run code that it names, or fill the memory.

Hydra calls what `_target_` names in its own node and what a logging configuration names as a class, whoever wrote the
YAML; PyYAML and OmegaConf follow aliases however many nodes they stand for.
"""

import functools
import warnings
from collections.abc import Iterator, Sequence
from math import ceil, isfinite, prod
from typing import Any

import omegaconf._utils
import yaml
from hydra._internal import hydra as hydra_entry
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from homog.errors import UserError

_OMEGACONF_LOADER = omegaconf._utils.get_yaml_loader()
_MOST_NODES = 100_000  # of a YAML file, every alias counted as often as it stands for
_MOST_JOBS = 10_000  # of a sweep: composing so many takes an hour
_PLUGINS = ("hydra.launcher._target_", "hydra.sweeper._target_")  # Hydra accepts none but its plugins there
_LOGGING_CALLABLES = ("logging.StreamHandler", "logging.FileHandler", "logging.NullHandler", "logging.Formatter")
_COLORED = "colorlog.ColoredFormatter"  # of Hydra's own colorlog configurations


def install() -> None:
    """Make Hydra compose by `Loader`, and OmegaConf read files by a YAML loader that counts."""
    hydra_entry.ConfigLoaderImpl = Loader  # pyright: ignore[reportPrivateImportUsage]
    loader = _counting(_OMEGACONF_LOADER)
    omegaconf._utils.get_yaml_loader = lambda: loader
    warnings.filterwarnings("ignore", module=r"(hydra|omegaconf)\.")  # they speak to programmers


class Loader(ConfigLoaderImpl):
    """Hydra's, which refuses a configuration that names code before anything of it is used."""

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """As Hydra describes it.

        Raises:
            UserError: If the configuration names code, or asks for an endless sweep.
        """
        composed = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        for path, value in _leaves(OmegaConf.to_container(composed.hydra), "hydra"):
            _refuse_code(path, value)
        if run_mode == RunMode.MULTIRUN:
            params = OmegaConf.select(composed, "hydra.sweeper.params")
            swept = [f"{key}={value}" for key, value in params.items()] if OmegaConf.is_dict(params) else []
            _refuse_endless_sweep([*swept, *composed.hydra.overrides.task])
        return composed


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(value, f"{path}.{key}")
    else:
        yield path, node


def _refuse_code(path: str, value: Any) -> None:
    key = path.rpartition(".")[2]
    if path.startswith("hydra.job.env_set."):
        raise UserError(f"{path}={value}: homog-run takes its environment from the shell; leave it out")
    named = key in ("_target_", "()", "class")
    known = path in _PLUGINS or value in _LOGGING_CALLABLES or value == _COLORED
    reached = (
        isinstance(value, str) and value.startswith("ext://") and value not in ("ext://sys.stdout", "ext://sys.stderr")
    )
    if (named and not known) or reached:
        raise UserError(f"{path}={value}: homog-run calls nothing that a configuration names; leave it out")


def _refuse_endless_sweep(overrides: Sequence[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    counts = {override.key_or_group: _values(override) for override in parsed if override.is_sweep_override()}
    jobs = prod(counts.values())
    if jobs > _MOST_JOBS:
        raise UserError(f"the sweep has {jobs:.3g} jobs: write one of at most {_MOST_JOBS}")


def _values(override: Override) -> float:
    """How many values a sweep has, without making them."""
    swept = override.value()
    if isinstance(swept, ChoiceSweep):
        return len(swept.list)
    if not isinstance(swept, RangeSweep):
        return 1  # a pattern of file names; an interval, which the sweeper refuses
    start, stop, step = (float(number) for number in (swept.start or 0, swept.stop or 0, swept.step))
    if not (isfinite(start) and isfinite(stop) and isfinite(step) and step):
        raise UserError(f"{override.input_line}: a range has finite ends and a step other than 0")
    return max(0, ceil((stop - start) / step))


@functools.cache
def _counting(loader: type) -> type:
    """OmegaConf's YAML loader, which refuses a file that stands for more nodes than a configuration has."""

    class Counting(loader):
        def __init__(self, stream: Any) -> None:
            super().__init__(stream)
            self._sizes: dict[yaml.Node, int] = {}

        def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
            alias, mark = self.check_event(yaml.AliasEvent), self.peek_event().start_mark
            node = super().compose_node(parent, index)
            if not alias:
                parts = node.value if isinstance(node, yaml.CollectionNode) else ()
                nodes = (part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,)))
                self._sizes[node] = 1 + sum(self._sizes[part] for part in nodes)
            if self._sizes.get(node, _MOST_NODES) >= _MOST_NODES:  # unknown as yet: an alias of what it lies in
                raise yaml.MarkedYAMLError(None, None, f"stands for {_MOST_NODES} nodes or more", mark)
            return node

    return Counting
