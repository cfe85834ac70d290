"""The settings about personal data; part of `trafficapp.settings`."""

from __future__ import annotations

import stat
from pathlib import Path

from pydantic import Field, SecretStr, field_validator, model_validator

from trafficapp.settings.sections import Section

#: 128 bits in hexadecimal digits: plates are few, so whoever guesses the key knows them all.
LEAST_KEY_CHARACTERS = 32


class PrivacySettings(Section):
    """What is kept of those who are seen."""

    hash_vehicle_ids: bool = Field(
        False,
        description="Whether ids of cars, trackers and detected vehicles, which may be number plates, are replaced by "
        "keyed hashes before anything is kept of them; the same vehicle has the same one throughout a day of the "
        "city. Off, since systems beside this one may look vehicles up by their ids.",
    )
    hash_key: SecretStr | None = Field(
        None, description=f"Secret key of these hashes, {LEAST_KEY_CHARACTERS} characters or more."
    )
    hash_key_file: Path | None = Field(
        None, description="File that has it instead, which nobody but its owner may read (mode 0600)."
    )

    @field_validator("hash_key")
    @classmethod
    def _is_long(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None or not key.get_secret_value():
            return None
        return SecretStr(_long_enough(key.get_secret_value()))

    @field_validator("hash_key_file")
    @classmethod
    def _is_private(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                mode = path.stat().st_mode
                _long_enough(path.read_text().strip())
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{path} cannot be read: {error}") from None
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ValueError(f"others than its owner may read or write {path}; chmod 600 it")
        return path

    @model_validator(mode="after")
    def _has_one_key(self) -> PrivacySettings:
        if self.hash_key is not None and self.hash_key_file is not None:
            raise ValueError("hash_key and hash_key_file are two keys; set one of them")
        if self.hash_vehicle_ids and self.hash_key is None and self.hash_key_file is None:
            raise ValueError(
                "with hash_vehicle_ids, hash_key or hash_key_file is needed; `openssl rand -hex 32` makes a key"
            )
        return self

    def key(self) -> bytes | None:
        """The key, wherever it stands; None where there is none."""
        if self.hash_key is not None:
            return self.hash_key.get_secret_value().encode()
        return None if self.hash_key_file is None else self.hash_key_file.read_text().strip().encode()


def _long_enough(key: str) -> str:
    if len(key) < LEAST_KEY_CHARACTERS:
        raise ValueError(
            f"it has {len(key)} characters, and {LEAST_KEY_CHARACTERS} are the least: plates are few, so whoever "
            "guesses it knows them all; `openssl rand -hex 32` makes one"
        )
    return key
