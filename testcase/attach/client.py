# SPDX-License-Identifier: BSD-2-Clause
#
# What clients of programs.bats begin with. Arguments: the socket of the program and that of the
# tracer.

import json, socket, sys

path = sys.argv[1]


def connect(where):
    s = socket.socket(socket.AF_UNIX)
    s.connect(where)
    return s, s.makefile('rb')


tracer, answers = connect(sys.argv[2])


def control(line):
    tracer.sendall(line.encode() + b'\n')
    answer = json.loads(answers.readline())
    assert answer['ok'], answer


