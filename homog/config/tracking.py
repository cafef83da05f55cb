"""Where a run is recorded."""

from dataclasses import dataclass

from homog.config.checks import MISSING


@dataclass(kw_only=True)
class TrackingSettings:
    """Base of the tracking choices."""


@dataclass(kw_only=True)
class LocalTracking(TrackingSettings):
    """An SQLite store of MLflow in HOMOG_HOME."""

    experiment: str = "homog"


@dataclass(kw_only=True)
class ServerTracking(TrackingSettings):
    """An MLflow server."""

    uri: str = MISSING
    experiment: str = "homog"


@dataclass(kw_only=True)
class NoTracking(TrackingSettings):
    """metrics.jsonl in the run's folder, and nothing else."""
