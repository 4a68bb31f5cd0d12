/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See preload/ldso.h. The symbol table of glibc's loader names its data, and says how long it is.
 */
#include "preload/ldso.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

void ldso__find_locks(struct ldso_locks *ret_locks)
{
	void *start = dlvsym(RTLD_DEFAULT, "_rtld_global", "GLIBC_PRIVATE");
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	*ret_locks = (struct ldso_locks){0};
	if (!start || !dladdr1(start, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
		return;
	ret_locks->start = start;
	ret_locks->bytes = symbol->st_size;
}
