# SPDX-License-Identifier: BSD-2-Clause
#
# editor.py LIBCKPT RESTART: types half a line in vim, which is killed after its image, and the other
# half, on another terminal, when it was brought back. vim writes it to the file "text".
import os
import pty
import signal
import sys
import threading
import time

SIGNAL = 64  # vim handles 12 itself


def start(command, variables):
    """Returns its pid and its terminal, whose output is read and dropped."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(variables)
        os.execvp(command[0], command)
    threading.Thread(target=drop, args=(terminal,), daemon=True).start()
    return pid, terminal


def drop(terminal):
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        pass  # nobody has it open any more


def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.01)


libckpt, restart = sys.argv[1:]
pid, terminal = start(
    ["vim", "-u", "NONE", "-N", "text"],
    {"LD_PRELOAD": libckpt, "CKPT_SIGNAL": str(SIGNAL), "CKPT_FILE": os.path.abspath("image"), "TERM": "xterm"},
)
os.write(terminal, b":w before\r")  # when it listens
wait_for("before")
os.write(terminal, b"ione two\x1b:w! before\r")
while os.path.getsize("before") < len("one two\n"):
    time.sleep(0.01)
os.kill(pid, SIGNAL)
wait_for("image")
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
pid, terminal = start([restart, "image"], {})
os.write(terminal, b"A three\x1b:wq\r")
os.waitpid(pid, 0)
