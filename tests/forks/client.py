"""How to order a program from `tests.forks.server`; imports little, for the programs of `tests.forks.programs`."""

import array
import marshal
import os
import socket


def order(address, command, folder, environment, streams):
    """Start it with these standard streams; returns the connection on which its end is told, and its process ID."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("\0" + address)
    data = marshal.dumps((command, folder, environment))
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
    connection.sendall(data[connection.sendmsg([data], rights) :])
    connection.shutdown(socket.SHUT_WR)
    return connection, receive(connection)


def receive(connection):
    """The process ID, or the status; below 0 the signal that ended it."""
    data = connection.recv(array.array("i").itemsize)
    if not data:
        raise ConnectionError("the server of forks is gone")
    return int.from_bytes(data, "little", signed=True)


def run(address, command):
    """Run it on our own streams, and end as it does."""
    connection, _ = order(address, command, os.getcwd(), dict(os.environ), (0, 1, 2))
    status = receive(connection)
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)
