"""Under which user a server runs: Postgres refuses root, so root lends it another one."""

from __future__ import annotations

import ctypes
import os
import pwd
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trafficapp.stack.errors import StackError

PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


@dataclass(frozen=True)
class Identity:
    """A user to become before a program starts.

    `capability` is the one capability of root that stays: what lets the program read its way through folders that
    are closed to others (root's home), where its files lie. None when the folders are open.
    """

    uid: int
    gid: int
    capability: int | None = None

    def assume(self) -> None:
        """Become this user for good; called in the child between fork and exec."""
        if self.capability is not None:
            _check(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities")
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)
        if self.capability is not None:
            bit = 1 << self.capability
            header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
            sets = (_CapabilitySets * 2)(_CapabilitySets(bit, bit, bit), _CapabilitySets(0, 0, 0))
            _check(_libc.capset(ctypes.byref(header), ctypes.byref(sets)), "set capabilities")
            _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, self.capability, 0, 0), "keep a capability")


def for_unprivileged_server(owned: Path, read: Iterable[Path]) -> Identity | None:
    """Return who should run a server that refuses root, or None when we are not root.

    Args:
        owned: The server's own folder; if it exists its owner goes on owning it.
        read: Files and folders it must reach, beside its own.

    Raises:
        StackError: We are root and cannot lend the server another user here.
    """
    if os.geteuid() != 0:
        return None
    uid, gid = _owner(owned) or _nobody()
    if all(_open_to_others(path) for path in (owned, *read)):
        return Identity(uid, gid)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if _permitted_capabilities() & 1 << capability:
            return Identity(uid, gid, capability)
    raise StackError(
        f"Postgres does not run as root, and another user cannot reach {owned}; "
        "start as an ordinary user, or choose a --data-dir that others may enter."
    )


def _owner(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_uid, status.st_gid) if status.st_uid else None


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def _open_to_others(path: Path) -> bool:
    """Say whether everybody may go through every folder above `path`."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents if parent.exists())


def _permitted_capabilities() -> int:
    if not sys.platform.startswith("linux"):
        return 0
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")
