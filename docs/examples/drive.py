#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# drive.py SOCKET: drives a tracer (tracer -p PID) over its control socket: takes a checkpoint, goes
# back to it ten times, tells how long the process stood still, and deletes it.

import json
import socket
import sys


class Tracer:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.answers = self.socket.makefile(encoding='utf-8')

    def ask(self, *words):
        self.socket.sendall((' '.join(words) + '\n').encode())
        answer = json.loads(self.answers.readline())
        if not answer['ok']:
            raise RuntimeError(answer['error'])
        return answer


tracer = Tracer(sys.argv[1])
saved = tracer.ask('checkpoint', 'python')
print(f"saved {saved['bytes']} bytes of {saved['threads']} threads")
for i in range(10):
    back = tracer.ask('rollback', 'python')
    print(f"rollback {i + 1}: {back['pages']} pages, {back['stop_ns'] / 1000:.0f} us")
tracer.ask('delete', 'python')
