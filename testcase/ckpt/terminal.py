# SPDX-License-Identifier: BSD-2-Clause
#
# terminal.py PROGRAM [ARG...]: runs PROGRAM as a shell does, in the foreground of a terminal of its own.
# As soon as there is a file "alive": Ctrl-C; when there is "interrupted": Ctrl-Z, until it has stopped;
# then it goes on, with a file "finish". Prints how it stopped and how it ended.
import os
import pty
import signal
import sys
import time


def wait_for(name):
    while not os.path.lexists(name):
        time.sleep(0.01)


def shell(command, to_user):
    """In the terminal: its leader, whose child is in the foreground."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(command[0], command)
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        os.write(to_user, b"stopped\n")
        os.tcsetpgrp(0, os.getpgrp())
        wait_for("finish")
        os.tcsetpgrp(0, pid)
        os.kill(pid, signal.SIGCONT)
        _, status = os.waitpid(pid, 0)
    os.write(to_user, b"ended with %d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


from_shell, to_user = os.pipe()
leader, terminal = pty.fork()
if leader == 0:
    shell(sys.argv[1:], to_user)
os.close(to_user)
wait_for("alive")
os.write(terminal, b"\x03")
wait_for("interrupted")
os.write(terminal, b"\x1a")
said = os.read(from_shell, 100)
open("finish", "w").close()
while part := os.read(from_shell, 100):
    said += part
os.waitpid(leader, 0)
sys.stdout.write(said.decode())
