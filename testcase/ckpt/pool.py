# SPDX-License-Identifier: BSD-2-Clause
#
# As compute.py, on a pool of threads.
import concurrent.futures
import hashlib
import os
import time


def work(number):
    time.sleep(0.001)
    return hashlib.sha256(b"%d" % number).hexdigest()


rounds = 0
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print("ready", flush=True)
    while rounds < 23 or not os.path.exists("finish"):
        found = list(pool.map(work, range(23)))
        assert found == [hashlib.sha256(b"%d" % i).hexdigest() for i in range(23)]
        rounds += 1
        if not os.path.lexists("alive"):
            os.symlink("finish", "alive")
print("ok", flush=True)
