"""Programs that use Caffe, as forks of a Python that has imported it: real processes, without the second that the import takes.

What a program inherits from whoever starts it is its own: working directory, environment, standard streams, session. But
variables that a library reads when it is loaded (GLOG_*, OPENBLAS_*) and the start of Python itself are those of the server:
tests of these start programs of their own.
"""

import functools
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import time

from tests.forks import client, server


@functools.lru_cache(None)
def address():
    """The server of this process of pytest. The reaper ends it, as all that tests start; it is no child of ours."""
    name = f"caffe_pylayers tests {os.getpid()} {time.time_ns()}"
    quiet = subprocess.DEVNULL
    subprocess.run([sys.executable, server.__file__, name], stdin=quiet, stdout=quiet, check=True)
    return name


class Process:
    """A program that has begun, with what tests need of subprocess.Popen; stderr is in stdout, stdin is empty."""

    def __init__(self, command, cwd, env):
        self.args = command
        self.returncode = None
        output, theirs = os.pipe()
        with open(os.devnull) as nothing:
            streams = (nothing.fileno(), theirs, theirs)
            self._connection, self.pid = client.order(address(), list(command), str(cwd), dict(env), streams)
        os.close(theirs)
        self.stdout = open(output, errors="replace")

    def poll(self):
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = client.receive(self._connection)
            except socket.timeout:
                raise subprocess.TimeoutExpired(self.args, timeout) from None
            self._connection.close()
        return self.returncode

    def communicate(self, timeout=None):
        deadline = time.monotonic() + (timeout or 1e6)
        data = b""
        with self.stdout:
            while select.select([self.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                more = os.read(self.stdout.fileno(), 1 << 16)
                if not more:
                    self.wait(max(0.01, deadline - time.monotonic()))
                    return data.decode(errors="replace"), None
                data += more
        raise subprocess.TimeoutExpired(self.args, timeout, data)

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


_PROGRAM = """\
#!{python} -SE
import os, sys
name, folder = os.path.basename(sys.argv[0]), os.path.dirname(sys.argv[0])
command = [{programs!r} + "/" + name, *sys.argv[1:]]
try:
    os.mkdir(folder + "/" + name + " " + "".join(sys.argv[1:2] if name == "caffe-pylayers" else []))
except FileExistsError:
    sys.path.insert(0, {here!r})
    import client
    client.run({address!r}, command)
os.execv(command[0], command)
"""


def write_programs(folder):
    """Write `caffe-pylayers` and `python` into a folder for PATH. The first start of Python, and of each command, is none of a fork."""
    text = _PROGRAM.format(
        python=sys.executable,
        programs=os.path.dirname(sys.executable),
        here=os.path.dirname(client.__file__),
        address=address(),
    )
    for name in ("caffe-pylayers", "python"):
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    return folder
