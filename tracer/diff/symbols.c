/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See symbols.h. The files are those of the process, so nothing in them is trusted: libelf checks
 * tables, and names are cut. Source: elf(5).
 */
#include "diff/symbols.h"

#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attach/layout.h"
#include "base/page.h"

struct symbol {
	uint64_t start, end; /* addresses in the process */
	const char *name;    /* of the ELF object */
};

struct module {                        /* an ELF file that is mapped */
	const struct mapping *mapping; /* one of the file */
	Elf *elf;                      /* NULL: it has not been read, or is none */
	bool was_read;
	uint64_t bias, start, end; /* start, end: with its bss */
	struct symbol *symbols;    /* by address */
	size_t count;
};

struct symbols {
	pid_t pid;
	const struct mappings *mappings;
	struct file_sources *sources;
	struct module *modules;
	size_t count;
};

static bool is_same_file(const struct mapping *a, const struct mapping *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

struct symbols *symbols__create(pid_t pid, const struct mappings *mappings,
				struct file_sources *sources)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return NULL;
	symbols->pid = pid;
	symbols->mappings = mappings;
	symbols->sources = sources;
	symbols->modules = calloc(mappings->count + 1, sizeof(*symbols->modules));
	for (size_t i = 0; symbols->modules && i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->items[i];
		struct module *module = &symbols->modules[symbols->count];

		if (layout__kind(mapping) != LAYOUT_FILE ||
		    (symbols->count && is_same_file(module[-1].mapping, mapping)))
			continue;
		module->mapping = mapping;
		symbols->count++;
	}
	return symbols;
}

/* ---- reading ---- */

/* Where the file lies: one of its mappings shows one of its segments. */
static bool find_place(struct module *module)
{
	const struct mapping *mapping = module->mapping;
	bool found = false;
	size_t count = 0;
	GElf_Phdr header;

	if (elf_getphdrnum(module->elf, &count))
		return false;
	for (size_t i = 0; i < count && !found; i++) {
		found = gelf_getphdr(module->elf, (int)i, &header) && header.p_type == PT_LOAD &&
			page__start(header.p_offset) == mapping->offset;
		if (found)
			module->bias = mapping->start - page__start(header.p_vaddr);
	}
	module->start = mapping->start;
	for (size_t i = 0; i < count && found; i++)
		if (gelf_getphdr(module->elf, (int)i, &header) && header.p_type == PT_LOAD &&
		    module->bias + header.p_vaddr + header.p_memsz > module->end)
			module->end = module->bias + header.p_vaddr + header.p_memsz;
	return found;
}

/* The section with the symbols: the larger table, unless it has been stripped. */
static Elf_Scn *find_table(Elf *elf, GElf_Shdr *ret_header)
{
	Elf_Scn *found = NULL, *section = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &header) || !header.sh_entsize ||
		    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM))
			continue;
		if (!found || header.sh_type == SHT_SYMTAB) {
			found = section;
			*ret_header = header;
		}
	}
	return found;
}

static int compare_symbols(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;

	return (left->start > right->start) - (left->start < right->start);
}

static void read_symbols(struct module *module)
{
	GElf_Shdr header = {0};
	Elf_Scn *section = find_table(module->elf, &header);
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;
	const size_t count = data ? data->d_size / header.sh_entsize : 0;

	module->symbols = calloc(count + 1, sizeof(*module->symbols));
	if (!module->symbols)
		return;
	for (size_t i = 0; i < count; i++) {
		GElf_Sym symbol;
		const char *name;

		if (!gelf_getsym(data, (int)i, &symbol) || !symbol.st_size ||
		    GELF_ST_TYPE(symbol.st_info) != STT_OBJECT || symbol.st_shndx == SHN_UNDEF)
			continue;
		name = elf_strptr(module->elf, header.sh_link, symbol.st_name);
		if (name && *name)
			module->symbols[module->count++] = (struct symbol){
				.start = module->bias + symbol.st_value,
				.end = module->bias + symbol.st_value + symbol.st_size,
				.name = name,
			};
	}
	qsort(module->symbols, module->count, sizeof(*module->symbols), compare_symbols);
}

static void read_module(struct symbols *symbols, struct module *module)
{
	const struct mapping *mapping = module->mapping;
	const struct file_source *source;

	module->was_read = true;
	if (file_sources__open(symbols->sources, symbols->pid, mapping))
		return;
	source = file_sources__find(symbols->sources, mapping->dev_major, mapping->dev_minor,
				    mapping->inode);
	(void)elf_version(EV_CURRENT);
	module->elf = elf_begin(source->fd, ELF_C_READ, NULL);
	if (module->elf && elf_kind(module->elf) == ELF_K_ELF && find_place(module))
		read_symbols(module);
}

/* ---- asking ---- */

/* The file whose mappings, or whose bss behind them, hold address. */
static struct module *find_module(struct symbols *symbols, uint64_t address)
{
	struct module *last = NULL;

	for (size_t i = 0; i < symbols->count; i++)
		if (symbols->modules[i].mapping->start <= address)
			last = &symbols->modules[i];
	if (last && !last->was_read)
		read_module(symbols, last);
	return last && address < last->end ? last : NULL;
}

void symbols__name(struct symbols *symbols, uint64_t start, uint64_t first, uint64_t last,
		   char *text, size_t size)
{
	const struct module *module = find_module(symbols, start);

	*text = '\0';
	for (size_t i = 0; module && i < module->count; i++) {
		const struct symbol *symbol = &module->symbols[i];

		if (symbol->start > last)
			return;
		if (symbol->end <= first)
			continue;
		if (symbol->start >= start)
			(void)snprintf(text, size, "%s", symbol->name);
		else
			(void)snprintf(text, size, "%s+%#lx", symbol->name, start - symbol->start);
		return;
	}
}

void symbols__free(struct symbols *symbols)
{
	if (!symbols)
		return;
	for (size_t i = 0; i < symbols->count; i++) {
		(void)elf_end(symbols->modules[i].elf);
		free(symbols->modules[i].symbols);
	}
	free(symbols->modules);
	free(symbols);
}
