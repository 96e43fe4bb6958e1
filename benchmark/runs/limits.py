"""How long a job may take, how much memory, and how often it is tried: the same on every engine, and part of no key."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def seconds(value: Any) -> Any:
    """Seconds from ``600``, ``90s``, ``10min``, ``2h`` or ``1d``.

    Raises:
        ValueError: For any other text.
    """
    return _measured(value, {"": 1, **SECONDS}, "give seconds, or a time as 90s, 10min, 2h or 1d")


def size(value: Any) -> Any:
    """Bytes from ``4GiB``, ``500MB`` and the like; a number without a unit is bytes where it is no text.

    Raises:
        ValueError: For any other text.
    """
    measured = _measured(value, BYTES, "give a size with its unit, as 500MB or 4GiB")
    return int(measured) if isinstance(measured, float) else measured


def _measured(value: Any, units: dict[str, int], mend: str) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)\s*", value)
    unit = next((one for one in units if match and one.lower() == match.group(2).lower()), None)
    if match is None or unit is None:
        raise ValueError(mend)
    return float(match.group(1)) * units[unit]


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=10**9, allow_inf_nan=False)]
Bytes = Annotated[int, BeforeValidator(size), Field(gt=0, le=2**60)]
Retries = Annotated[StrictInt, Field(ge=0, le=1000)]


class Limits(BaseModel):
    """What one attempt at a job may take, and how many further attempts it is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: Seconds | None = Field(default=None, description="seconds an attempt; None: any")
    max_memory: Bytes | None = Field(default=None, description="bytes of resident memory, children included; None: any")
    retry: Retries = Field(default=0, description="further attempts at a job that failed, for whatever reason")

    @property
    def need_a_process(self) -> bool:
        """Whether they can only be kept to by ending the process that makes the job."""
        return self.timeout is not None or self.max_memory is not None
