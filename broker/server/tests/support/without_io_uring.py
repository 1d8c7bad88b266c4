"""Becomes the program of its arguments, for which io_uring_setup(2) is forbidden (seccomp(2))."""

import ctypes
import os
import struct
import sys

EPERM = 1
IO_URING_SETUP = 425
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2


def instruction(code, if_true, if_false, value):
    return struct.pack("HBBI", code, if_true, if_false, value)


program = b"".join([
    instruction(0x20, 0, 0, 0),  # the system call's number
    instruction(0x15, 0, 1, IO_URING_SETUP),
    instruction(0x06, 0, 0, 0x00050000 | EPERM),  # fails with this error
    instruction(0x06, 0, 0, 0x7FFF0000),  # is allowed
])
buffer = ctypes.create_string_buffer(program, len(program))
description = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(description), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
