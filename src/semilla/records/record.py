"""Base of everything written as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from semilla.errors import IntegrityError
from semilla.records.files import read_record, write_record


class Record(BaseModel):
    """Validated data with a JSON form. NaN and infinities are refused."""

    model_config = ConfigDict(allow_inf_nan=False)

    def write(self, path: Path) -> None:
        """Write the record, with a SHA-256 of its own bytes, to ``path``."""
        write_record(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what ``write`` wrote; raises IntegrityError when it is damaged."""
        content = read_record(path)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise IntegrityError(f"{path} has {error.error_count()} missing or wrong fields") from error
