"""What stands in for `python` where Snakemake runs jobs: it has the server run the step.

calls.py puts it into a folder of programs, with a first line that names our Python. It imports next
to nothing, so that it starts in a hundredth of a second.

The first call of every step gets an interpreter of its own after all, where FIRST names a folder:
that a step imports all that it needs is seen there.
"""

import json
import os
import socket
import sys

with open(os.path.join(os.path.dirname(sys.argv[0]), "names.json")) as file:
    BIN, SOCKET, FIRST = json.load(file)
argv = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
by_step = argv[0] == "snakemake" or (len(argv) > 2 and argv[2].startswith("workflow_scripts."))
own = not by_step
if by_step and FIRST and argv[0] == "python":
    try:
        os.close(os.open(os.path.join(FIRST, argv[2]), os.O_CREAT | os.O_EXCL))
        own = True
    except FileExistsError:
        pass
if own:
    program = os.path.join(BIN, argv[0])
    os.execv(program, [program, *argv[1:]])  # by its path, from which it knows its environment
connection = socket.socket(socket.AF_UNIX)
connection.connect(SOCKET)
request = {"argv": argv, "folder": os.getcwd(), "environment": dict(os.environ)}
text = json.dumps(request).encode()
socket.send_fds(connection, [len(text).to_bytes(4, "big")], [0, 1, 2])
connection.sendall(text)
code = int(connection.makefile().readline())
os._exit(code if code >= 0 else 128 - code)  # as a shell has it
