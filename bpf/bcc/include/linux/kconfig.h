/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BCC includes this file first, and takes the folder for one without kernel headers unless it says
 * that there is BPF. Each file of this folder has what BCC's own text needs of the kernel header of
 * that name, and no more: page.bcc.c needs nothing of the kernel.
 */
#ifndef BCC_LINUX_KCONFIG_H
#define BCC_LINUX_KCONFIG_H

#define CONFIG_BPF_SYSCALL 1

#endif
