"""A Python that has imported Caffe and this package, and runs programs in forks of itself. See `tests.forks.process`.

Each order comes on a connection of its own, with the standard streams of the program. The answers there are its process ID,
and, when it has ended, its status.
"""

import array
import atexit
import contextlib
import marshal
import os
import runpy
import signal
import socket
import sys
import threading

#: Everything that a program needs before Caffe does what it asks for; not h5py, which `caffe` may not share.
IMPORTED = (
    "caffe",
    "caffe.proto.caffe_pb2",
    "caffe_pylayers.commands.check.checking",
    "caffe_pylayers.commands.program",
    "caffe_pylayers.layers.data_layers",
    "caffe_pylayers.training.parameter",
    "click",
    "rich.progress",
)
INT = array.array("i").itemsize


def serve(listener):
    """Fork for each order; returns, in the fork alone, the command."""
    connections = {}

    def tell_ends(*_):
        while connections:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            ended = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            with connections.pop(child) as connection:
                answer(connection, ended)

    signal.signal(signal.SIGCHLD, tell_ends)
    while True:
        connection, _ = listener.accept()
        order, streams = receive(connection)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        child = os.fork()
        if child == 0:
            return become(order, streams)
        connections[child] = connection
        for stream in streams:
            os.close(stream)
        answer(connection, child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def answer(connection, number):
    with contextlib.suppress(ConnectionError):  # nobody wants to know
        connection.sendall(number.to_bytes(INT, "little", signed=True))


def receive(connection):
    """An order, and the descriptors of stdin, stdout and stderr."""
    data, [(_, _, numbers)], _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(3 * INT))
    while True:
        more = connection.recv(1 << 16)
        if not more:
            break
        data += more
    return marshal.loads(data), array.array("i", numbers)


def become(order, streams):
    """Take over what a program gets from whoever starts it; returns its command."""
    command, folder, environment = order
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1024)
    sys.stdin = sys.__stdin__ = open(0)
    sys.stdout = sys.__stdout__ = open(1, "w")
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, errors="backslashreplace")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return command


def run(command):
    """As Python runs `-c TEXT`, `-m MODULE`, a script, or the program `caffe-pylayers`."""
    first, *arguments = command[1:] if os.path.basename(command[0]).startswith("python") else command
    folder = "" if first in ("-c", "-m") else os.path.dirname(os.path.abspath(first))
    sys.path[0:1] = [folder, *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
    if first == "-c":
        sys.argv = ["-c", *arguments[1:]]
        main = type(sys)("__main__")
        sys.modules["__main__"] = main
        exec(compile(arguments[0], "<string>", "exec"), vars(main))
    elif first == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *arguments]
        runpy.run_path(first, run_name="__main__")


def end(status):
    """End as Python does, but without taking apart what the server has imported, which takes a fifth of a second."""
    threading._shutdown()
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(status)


def run_to_the_end(command):
    try:
        run(command)
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            end(left.code or 0)
        print(left.code, file=sys.stderr)
        end(1)
    except KeyboardInterrupt:
        raise  # by which Python ends itself by SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
        end(1)
    end(0)


if __name__ == "__main__":
    for name in IMPORTED:
        __import__(name)
    assert len(os.listdir("/proc/self/task")) == 1, "a fork has none of the other threads, but their locks"
    door = socket.socket(socket.AF_UNIX)
    door.bind("\0" + sys.argv[1])
    door.listen()
    if os.fork() == 0:  # whoever waits for us to be there goes on
        os.setsid()
        run_to_the_end(serve(door))
