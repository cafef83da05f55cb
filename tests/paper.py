"""The paper's own settings, where tests need them."""

from typing import Any

from homog.config import DFLM


def paper_dflm(**changes: Any) -> DFLM:
    """Driftless walkers with weights and a penalty (sections 2 and 4), with some settings changed."""
    paper: dict[str, Any] = {
        "points": 400,
        "walkers": 300,
        "martingale": "girsanov",
        "step": "euler",
        "estimator": "plain",
        "boundary": "penalty",
        "sampling": "uniform",
        "table": 257,
    }
    return DFLM(**{**paper, **changes})
