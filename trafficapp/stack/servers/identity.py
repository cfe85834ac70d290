"""Under which user a server runs: root lends each one of its own."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import stat
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from trafficapp.stack.errors import StackError

PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522

SERVERS = ("postgres", "redis", "kafka")
#: Users of people mostly begin at 1,000 and are few; from 61,184 on systemd takes numbers, up to 65,535 containers map.
FIRST_NUMBER, NUMBERS = 45_000, 12_000

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
            # access(2), by which Java asks whether it may read, does not count capabilities of other users otherwise
            _check(_libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "keep capabilities for access(2)")
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)
        if self.capability is not None:
            bit = 1 << self.capability
            header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
            sets = (_CapabilitySets * 2)(_CapabilitySets(bit, bit, bit), _CapabilitySets(0, 0, 0))
            _check(_libc.capset(ctypes.byref(header), ctypes.byref(sets)), "set capabilities")
            _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, self.capability, 0, 0), "keep a capability")


def for_server(data_dir: Path, name: str, read: Iterable[Path]) -> Identity | None:
    """Return the user of its own under which a server runs, or None when we are not root: then all run as we do.

    Nobody is made in `/etc/passwd`. The numbers follow from the data folder's path and lie where systems put nobody;
    that of the group is the data folder's, through which servers reach their own folders, and which has no others.

    Args:
        data_dir: the data folder; see `data_dir.prepare`.
        name: one of `SERVERS`.
        read: files that it must be able to read, beside what is its own.

    Raises:
        StackError: We are root and cannot lend the server another user here.
    """
    if os.geteuid() != 0:
        return None
    gid = _first_number(data_dir)
    uid = gid + 1 + SERVERS.index(name)
    if _open_to_others(data_dir) and all(_open_to_others(path) and _readable_by_others(path) for path in read):
        return Identity(uid, gid)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if _permitted_capabilities() & 1 << capability:
            return Identity(uid, gid, capability)
    raise StackError(
        f"Servers do not run as root, and another user cannot reach {data_dir}; "
        "start as an ordinary user, or choose a --data-dir below folders that others may enter."
    )


def with_a_name(identity: Identity) -> Identity:
    """The same for a program that wants its user to have a name, as initdb does: nobody's, in the server's group."""
    try:
        uid = pwd.getpwnam("nobody").pw_uid
    except KeyError:
        uid = 65534
    return replace(identity, uid=uid)


def hand_over(path: Path, identity: Identity | None) -> None:
    """Give a file, or a folder with all that is in it, to its server, and close it to everybody else.

    A folder that is so already is not looked into. One that was broken off goes on at the next call, since the folder
    itself is done last.
    """
    if not path.exists():
        return
    owner = (os.geteuid(), os.getegid()) if identity is None else (identity.uid, identity.gid)
    if _is_closed(path, owner[0]):
        return
    for folder, folders, files in os.walk(path, topdown=False):
        for name in (*files, *folders):
            _close(Path(folder, name), owner)
    _close(path, owner)


def _is_closed(path: Path, uid: int) -> bool:
    status = path.lstat()
    return status.st_uid == uid and not status.st_mode & 0o077


def _close(path: Path, owner: tuple[int, int]) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return
    os.chown(path, *owner, follow_symlinks=False)
    path.chmod(stat.S_IMODE(mode) & 0o700)


def servers_group(data_dir: Path) -> int | None:
    """The group that servers reach the data folder by; None when we are not root."""
    return _first_number(data_dir) if os.geteuid() == 0 else None


def _first_number(data_dir: Path) -> int:
    """The first of as many numbers as are needed that are no user's and no group's."""
    wanted, start = len(SERVERS) + 1, zlib.crc32(str(data_dir).encode())
    for attempt in range(NUMBERS // wanted):
        first = FIRST_NUMBER + (start + attempt) % (NUMBERS // wanted) * wanted
        if not any(_is_somebody(number) for number in range(first, first + wanted)):
            return first
    raise StackError(f"All numbers of users from {FIRST_NUMBER} are taken; start as an ordinary user.")


def _is_somebody(number: int) -> bool:
    for known in (pwd.getpwuid, grp.getgrgid):
        try:
            known(number)
        except KeyError:
            continue
        return True
    return False


def _readable_by_others(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IROTH)


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
