"""What a worker process gives up before it reads a stranger's file (T25): memory, time, files, network, programs.

Every measure is best effort and none is fatal: an old kernel or macOS lacks some. `enter` says what is in force.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

MAX_OPEN_FILES = 128
NICENESS = 10

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38

Report = dict[str, str]
"""What is in force, by name of the measure: `memory`, `files`, `system_calls`, ...; "no: REASON" where it is not."""


def enter(memory_bytes: int) -> Report:
    """Give up everything that decoding does not need. For good: nothing here can be undone by this process."""
    report: Report = {}
    _apply(report, "memory", lambda: _limit_memory(memory_bytes))
    _apply(report, "limits", _limit_rest)
    _apply(report, "priority", _lower_priority)
    if sys.platform == "linux":
        _apply(report, "parent", _die_with_parent)
        _apply(report, "privileges", _no_new_privileges)
        _apply(report, "files", _restrict_files)
        _apply(report, "system_calls", _filter_system_calls)
    return report


def limit_cpu(seconds: float) -> None:
    """End this process when it has used `seconds` more of processor time, in case nobody else does."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime + seconds) + 2, hard=False)


def _apply(report: Report, name: str, measure: Callable[[], str]) -> None:
    try:
        report[name] = measure()
    except (OSError, ValueError, AttributeError) as error:
        report[name] = f"no: {error}"


def _limit_memory(memory_bytes: int) -> str:
    if sys.platform != "linux":
        return "no: this system does not enforce it"
    # Data, not address space: mapped libraries and thread stacks that are never touched cost nothing.
    _lower(resource.RLIMIT_DATA, memory_bytes)
    return f"{memory_bytes >> 20} MiB"


def _limit_rest() -> str:
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    # A write beyond the size limit then is an error and not a signal.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return f"no core dumps, no file writes, {MAX_OPEN_FILES} open files"


def _lower(kind: int, value: int, *, hard: bool = True) -> None:
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    resource.setrlimit(kind, (value, value if hard else most))


def _lower_priority() -> str:
    return f"nice {os.nice(NICENESS)}"


def _prctl(option: int, value: int, pointer: object = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _die_with_parent() -> str:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return "ends with the daemon"


def _no_new_privileges() -> str:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return "none can be gained"


# Landlock (kernel documentation, userspace-api/landlock): system call numbers are the same on all architectures.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS_BY_VERSION = (0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1)


def _restrict_files() -> str:
    """Only the interpreter's and the libraries' own folders can be opened, for reading."""
    version = _syscall(_LANDLOCK_CREATE, None, 0, 1)
    handled = _FILE_RIGHTS_BY_VERSION[min(version, len(_FILE_RIGHTS_BY_VERSION) - 1)]
    ruleset = _syscall(_LANDLOCK_CREATE, struct.pack("=Q", handled), 8, 0)
    try:
        for folder in _library_folders():
            _allow_reading(ruleset, folder, _READ_FILE | _READ_DIR)
        if getattr(sys, "frozen", False):  # the modules are in the program's own file, and some are imported late
            _allow_reading(ruleset, sys.executable, _READ_FILE)
        _syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return f"only the program's own can be opened, for reading (Landlock {version})"


def _library_folders() -> Iterable[str]:
    own = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sysconfig.get_path("purelib")}
    own |= {sysconfig.get_path("platlib"), getattr(sys, "_MEIPASS", ""), *sys.path}
    own |= {str(Path(sys.base_prefix) / "lib"), "/lib", "/lib64", "/usr/lib", "/usr/local/lib", "/usr/share/zoneinfo"}
    return sorted(folder for folder in own if folder and folder != "/" and Path(folder).is_dir())


def _allow_reading(ruleset: int, path: str, rights: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", rights, handle), 0)
    finally:
        os.close(handle)


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    converted = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = libc.syscall(ctypes.c_long(number), *converted)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


# Seccomp (seccomp(2)): a classic BPF program over struct seccomp_data {int nr; u32 arch; u64 ip; u64 args[6]}.
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_REFUSED = {
    # name: numbers on x86_64 and aarch64, None where there is none
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "execve": (59, 221), "execveat": (322, 281), "fork": (57, None),
    "vfork": (58, None), "kill": (62, 129), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51), "pivot_root": (155, 41),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "memfd_create": (319, 279),
    "open_by_handle_at": (304, 265), "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None),
    "mknodat": (259, 33), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None),
    "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54), "truncate": (76, 45), "ftruncate": (77, 46),
    "fchmodat2": (452, 452), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "fallocate": (285, 47),
    "creat": (85, None), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442),
}  # fmt: skip
_OPEN, _OPENAT, _OPENAT2, _CLONE, _CLONE3 = (2, None), (257, 56), (437, 437), (56, 220), (435, 435)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CLONE_THREAD = 0x10000
_LOAD, _EQUAL, _ANY_BIT, _ALWAYS, _RETURN = 0x20, 0x15, 0x45, 0x05, 0x06
_ALLOW, _DENY, _ABSENT = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # allow, EPERM, ENOSYS


def _filter_system_calls() -> str:
    """No sockets, no programs, no new processes, no change to any file."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise OSError(f"no filter is known for {machine}")
    program = _program(*_ARCHITECTURES[machine])
    code = ctypes.create_string_buffer(program, len(program))
    description = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(description))
    return "no sockets, no programs, no processes, no file changes (seccomp)"


def _program(architecture: int, column: int) -> bytes:
    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    def checked(number: int | None, argument: int, bits: int, *, wanted: bool) -> list[bytes]:
        """Deny call `number` if `bits` of its argument are set (or, `wanted`, are not)."""
        if number is None:
            return []
        deny, allow = step(_RETURN, _DENY), step(_RETURN, _ALLOW)
        return [
            step(_EQUAL, number, 0, 4),
            step(_LOAD, 16 + 8 * argument),
            step(_ANY_BIT, bits, 0, 1),
            allow if wanted else deny,
            deny if wanted else allow,
        ]

    steps = [step(_LOAD, 4), step(_EQUAL, architecture, 1, 0), step(_RETURN, _DENY), step(_LOAD, 0)]
    if column == 0:  # the x32 calls of x86_64 have numbers of their own
        steps += [step(0x35, 0x40000000, 0, 1), step(_RETURN, _DENY)]
    steps += checked(_OPEN[column], 1, _WRITING, wanted=False)
    steps += checked(_OPENAT[column], 2, _WRITING, wanted=False)
    steps += checked(_CLONE[column], 0, _CLONE_THREAD, wanted=True)
    for absent in (_OPENAT2[column], _CLONE3[column]):  # libc falls back to the calls that can be checked
        steps += [step(_EQUAL, absent, 0, 1), step(_RETURN, _ABSENT)]
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            steps += [step(_EQUAL, number, 0, 1), step(_RETURN, _DENY)]
    return b"".join([*steps, step(_RETURN, _ALLOW)])
