"""The administrator's key of a demo: one is made where nobody has set one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from trafficapp.settings import Settings

FILE_NAME = "admin.key"


def environment(settings: Settings, data_dir: Path) -> dict[str, str]:
    """What workers of a demo need of it: nothing where tokens are known already, else the key of the data folder.

    It is made at the first call; only its owner can read the file. What needed no token without it needs none now.
    """
    if settings.admin.api_key is not None or settings.auth.jwt_secret is not None or settings.auth.jwks_url is not None:
        return {}
    path = data_dir / FILE_NAME
    if not path.exists():
        incoming = path.with_suffix(".incoming")
        descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
        incoming.replace(path)
    key = path.read_text(encoding="ascii").strip()
    return {"ADMIN_API_KEY": key, "TRAFFICAPP_AUTH__PUBLIC_PLACES": "true"}
