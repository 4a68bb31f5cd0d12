# SPDX-License-Identifier: BSD-2-Clause
#
# An interpreter with tables, random numbers and recursion, rolled back by rollback.c: each pass
# begins with exactly the state of the checkpoint, and what follows the last one is right.
import os, random, sys
random.seed(23)
table = {i: [random.randrange(1 << 40) for _ in range(i % 23)] for i in range(2003)}
total = sum(map(sum, table.values()))
state = random.getstate()
numbers = [random.random() for _ in range(5)]
random.setstate(state)
os.access('/@checkpoint', 0)
os.write(1, b'pass\n')
assert sum(map(sum, table.values())) == total and len(table) == 2003
assert [random.random() for _ in range(5)] == numbers
for i in range(0, 2003, 3):
    table[i] = [str(i) * (i % 97)] * 7
for i in range(1, 2003, 3):
    del table[i]
junk = [bytearray(random.randrange(1, 40000)) for _ in range(1009)]


def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


assert deep(200) == 200
os.access('/@rollback', 0)
os.write(1, b'end\n')
assert len(table) == 2003 - 668 and table[3] == ['3' * 3] * 7
print('python: ok')
