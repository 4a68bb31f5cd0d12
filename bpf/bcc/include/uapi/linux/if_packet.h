/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Included by BCC, which needs nothing of it for tracepoints.
 */
