/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The limit of all waits in the tests. It ends a hang and nothing else: a slow and busy machine
 * needs less than a tenth of it. testcase/e2e/common.bash and testcase/ckpt have the same.
 */
#ifndef TESTCASE_LIMIT_H
#define TESTCASE_LIMIT_H

enum { LIMIT_SECONDS = 1000 };

#endif
