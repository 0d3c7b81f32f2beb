"""Control groups of a test's own, v1 or v2, and files that the page cache has forgotten."""

import itertools
import os
import re
import time

V2 = not os.path.isdir("/sys/fs/cgroup/memory")
ROOT = "/sys/fs/cgroup" if V2 else "/sys/fs/cgroup/memory"
WITH_SWAP = "memory.memsw.limit_in_bytes"
_numbers = itertools.count()


class Group:
    """A control group without swap, where the kernel counts that, with a limit that can be moved;
    gone at the end of the scope. OSError where none can be made."""

    def __init__(self, limit):
        self.limit = None
        self.path = f"{ROOT}/dermlens-test-{os.getpid()}-{next(_numbers)}"
        os.mkdir(self.path)
        try:
            if V2:
                self._write_if_there("memory.swap.max", 0)
            self.set_limit(limit)
        except OSError:
            os.rmdir(self.path)
            raise

    def _write(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def _write_if_there(self, name, value):
        if os.path.exists(f"{self.path}/{name}"):
            self._write(name, value)

    def _number(self, name, key):
        try:
            with open(f"{self.path}/{name}", encoding="ascii") as file:
                found = re.search(rf"^{key} (\d+)$", file.read(), re.MULTILINE)
        except OSError:
            return 0
        return int(found.group(1)) if found else 0

    def set_limit(self, limit):
        """Version 1 refuses a limit below what cannot be reclaimed."""
        if V2:
            self._write("memory.max", limit)
        elif self.limit is None or limit < self.limit:
            self._write("memory.limit_in_bytes", limit)
            self._write_if_there(WITH_SWAP, limit)
        else:  # memory with swap is never less than memory alone
            self._write_if_there(WITH_SWAP, limit)
            self._write("memory.limit_in_bytes", limit)
        self.limit = limit

    def usage(self):
        with open(f"{self.path}/memory.{'current' if V2 else 'usage_in_bytes'}",
                  encoding="ascii") as file:
            return int(file.read())

    def join(self):
        """The calling process, and what it starts, belongs to the group from now on."""
        self._write("cgroup.procs", os.getpid())

    def kills(self):
        return self._number("memory.events" if V2 else "memory.oom_control", "oom_kill")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.05)


def why_not():
    """Why no control group can be made here; None where one can."""
    try:
        with Group(1 << 30):
            return None
    except OSError as error:
        return str(error)


def forget(*paths):
    """Takes the files out of the page cache: whoever reads them next is charged for their pages."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)
