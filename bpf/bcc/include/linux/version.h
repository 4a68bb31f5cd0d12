/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The oldest kernel that is supported, not the one that runs: BCC's text has cases for kernels that
 * are older still.
 */
#ifndef BCC_LINUX_VERSION_H
#define BCC_LINUX_VERSION_H

#define KERNEL_VERSION(major, minor, patch) ((major) << 16 | (minor) << 8 | (patch))
#define LINUX_VERSION_CODE                  KERNEL_VERSION(6, 1, 0)

#endif
