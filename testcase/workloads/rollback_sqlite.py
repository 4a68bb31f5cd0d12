# SPDX-License-Identifier: BSD-2-Clause
#
# The same for an in-memory database of SQLite: rows, an index, tables that come and go.
import os, sqlite3
base = sqlite3.connect(':memory:')
run = base.execute
run('CREATE TABLE t(id INTEGER PRIMARY KEY, word TEXT, number INTEGER)')
run('CREATE INDEX i ON t(word)')
base.executemany('INSERT INTO t VALUES(?,?,?)',
                 ((i, 'w%d' % (i * 7919 % 2003), i * i) for i in range(2003)))
base.commit()
def look():
    return run('SELECT count(*), sum(number), min(word), max(word) FROM t').fetchone()
before = look()
os.access('/@checkpoint', 0)
os.write(1, b'pass\n')
assert look() == before and run('PRAGMA integrity_check').fetchone() == ('ok',)
run('DELETE FROM t WHERE id % 3 = 0')
run("INSERT INTO t SELECT id + 10000, word || 'x', 1 FROM t")
run('CREATE TABLE u AS SELECT * FROM t, (SELECT 1 UNION SELECT 2)')
run('DROP TABLE t')
os.access('/@rollback', 0)
os.write(1, b'end\n')
assert run('PRAGMA integrity_check').fetchone() == ('ok',)
assert run('SELECT count(*) FROM u').fetchone() == (4 * (2003 - 668),)
print('sqlite: ok')
