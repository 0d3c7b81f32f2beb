"""Control groups of either version for tests that need a real limit."""

import os
import re
import time

V2 = not os.path.isdir("/sys/fs/cgroup/memory")
ROOT = "/sys/fs/cgroup" if V2 else "/sys/fs/cgroup/memory"


class Group:
    """A control group with a limit that can be moved; gone at the end of the scope."""

    def __init__(self, limit):
        self.path = f"{ROOT}/dermlens-server-{os.getpid()}"
        os.mkdir(self.path)
        try:
            self.set_limit(limit)
        except OSError:
            os.rmdir(self.path)
            raise

    def _write(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def _number(self, name, key=None):
        with open(f"{self.path}/{name}", encoding="ascii") as file:
            text = file.read()
        if key is None:
            return int(text)
        found = re.search(rf"^{key} (\d+)$", text, re.MULTILINE)
        return int(found.group(1)) if found else 0

    def set_limit(self, limit):
        """Version 1 refuses a limit below what cannot be reclaimed."""
        self._write("memory.max" if V2 else "memory.limit_in_bytes", limit)

    def join(self):
        """For preexec_fn: the child is in the group before it touches anything."""
        self._write("cgroup.procs", os.getpid())

    def kills(self):
        return self._number("memory.events" if V2 else "memory.oom_control", "oom_kill")

    def usage(self):
        return self._number("memory.current" if V2 else "memory.usage_in_bytes")

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
