# SPDX-License-Identifier: BSD-2-Clause
#
# What work.c does, in another language: computes until a file "finish" is there, and checks.
import hashlib
import os
import time


def chain(steps):
    digest = b"23"
    for _ in range(steps):
        digest = hashlib.sha256(digest).digest()
    return digest


digest = b"23"
table = {}
steps = 0
print("ready", flush=True)
while steps < 2300 or not os.path.exists("finish"):
    digest = hashlib.sha256(digest).digest()
    steps += 1
    table[steps % 2300] = digest.hex()
    if steps % 100 == 0:
        if not os.path.lexists("alive"):
            os.symlink("finish", "alive")
        time.sleep(0.001)
assert digest == chain(steps)
assert table[steps % 2300] == digest.hex() and len(table) == 2300
print("ok", flush=True)
