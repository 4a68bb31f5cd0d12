/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The records of an image, as they lie in the file; docs/image-format.md draws them. Within a
 * version, a record keeps its layout. What is new gets a note of its own, which older readers pass
 * over.
 */
#ifndef IMAGE_IMAGE_FORMAT_H
#define IMAGE_IMAGE_FORMAT_H

#include <stdint.h>

#define IMAGE_NOTE_NAME "TRACER"

enum {
	IMAGE_VERSION = 2,
	IMAGE_SIGNALS = 64,
	IMAGE_LIMITS = 16, /* resources of prlimit(2) */
	IMAGE_GROUPS_MAX = 1 << 16,
	IMAGE_SEGMENTS_MAX = 60000, /* what fits the 16 bits of e_phnum, with room to spare */
	IMAGE_MAPPINGS_MAX = 1 << 20,
	IMAGE_THREADS_MAX = 1 << 16,
	IMAGE_SETTINGS_MAX = 1 << 20,
	IMAGE_XSTATE_MAX = 1 << 16, /* bytes of one thread; the largest today is about 11000 */
	IMAGE_CHAIN_MAX = 256,      /* images from an increment to the full one, both counted */
};

/* Types of our own notes. The records below are their descriptors. */
enum image_note {
	IMAGE_NOTE_INFO = 0x54520001,      /* one struct image_info; the first of our notes */
	IMAGE_NOTE_PROCESS = 0x54520002,   /* one struct image_process */
	IMAGE_NOTE_SIGNALS = 0x54520003,   /* 64 struct image_signal */
	IMAGE_NOTE_MAPPINGS = 0x54520004,  /* struct image_mapping, each */
	IMAGE_NOTE_THREADS = 0x54520005,   /* struct image_thread, each; as many as NT_PRSTATUS */
	IMAGE_NOTE_FILES = 0x54520006,     /* struct image_file, each */
	IMAGE_NOTE_UNCHANGED = 0x54520007, /* struct image_run, each */
	IMAGE_NOTE_MISSING = 0x54520008,   /* struct image_run, each */
	IMAGE_NOTE_STRINGS = 0x54520009,   /* NUL-terminated strings, one after the other */
	IMAGE_NOTE_CHECKSUMS = 0x5452000a, /* struct image_checksums, then a CRC for each segment */
	/* Older images lack these, and older readers pass over them. */
	IMAGE_NOTE_ATTRIBUTES = 0x5452000b,   /* one struct image_attributes */
	IMAGE_NOTE_GROUPS = 0x5452000c,       /* uint32_t, each: supplementary groups */
	IMAGE_NOTE_PLACE = 0x5452000d,        /* one struct image_place */
	IMAGE_NOTE_SIZES = 0x5452000e,        /* uint64_t for each of FILES: bytes of the file */
	IMAGE_NOTE_ADVICE = 0x5452000f,       /* uint32_t for each of MAPPINGS: IMAGE_ADVICE_... */
	IMAGE_NOTE_SCHEDULING = 0x54520010,   /* struct image_scheduling for each of THREADS */
	IMAGE_NOTE_BIRTHS = 0x54520011,       /* uint64_t for each of FILES: when it was made */
	IMAGE_NOTE_SURROUNDINGS = 0x54520012, /* one struct image_surroundings */
	IMAGE_NOTE_OBJECTS = 0x54520013,      /* struct image_object, each */
	IMAGE_NOTE_WATCHES = 0x54520014,      /* struct image_watch, each */
	IMAGE_NOTE_CONTENTS = 0x54520015,     /* bytes, which OBJECTS refer to */
	IMAGE_NOTE_SETTINGS = 0x54520016,     /* struct image_setting, each */
	IMAGE_NOTE_POLICIES = 0x54520017,     /* struct image_policy, each */
	IMAGE_NOTE_RIGHTS = 0x54520018,       /* one struct image_rights */
	IMAGE_NOTE_LAST = IMAGE_NOTE_RIGHTS,
};

/* struct image_info, flags */
enum {
	IMAGE_INCREMENT = 1 << 0,    /* unchanged pages are in the parent image */
	IMAGE_NO_REGISTERS = 1 << 1, /* memory only: restart refuses it */
};

/* struct image_info, missing: what the process had and the image lacks */
enum {
	IMAGE_MISSING_PAGES = 1 << 0,      /* pages that could not be read: the note MISSING */
	IMAGE_MISSING_FILES = 1 << 1,      /* open files that are not plain files */
	IMAGE_MISSING_DELETED = 1 << 2,    /* open plain files without a name */
	IMAGE_MISSING_CHILDREN = 1 << 3,   /* child processes */
	IMAGE_MISSING_PENDING = 1 << 4,    /* pending signals */
	IMAGE_MISSING_TIMERS = 1 << 5,     /* timers that cannot be made again */
	IMAGE_MISSING_MAPPINGS = 1 << 6,   /* mappings that were not asked for (tracer --save) */
	IMAGE_MISSING_SHARING = 1 << 7,    /* other processes that share a mapping */
	IMAGE_MISSING_NAMESPACES = 1 << 8, /* of single threads, other than those of the rest */
	IMAGE_MISSING_BITS = (1 << 9) - 1,
};

/* struct image_mapping, flags */
enum {
	IMAGE_READ = 1 << 0,
	IMAGE_WRITE = 1 << 1,
	IMAGE_EXEC = 1 << 2,
	IMAGE_SHARED = 1 << 3,
	IMAGE_STACK = 1 << 4,    /* of the main thread: grows downwards */
	IMAGE_HEAP = 1 << 5,     /* the brk area */
	IMAGE_VDSO = 1 << 6,     /* the kernel's code; in the image for comparison and for gdb */
	IMAGE_VVAR = 1 << 7,     /* the kernel's data: by name only */
	IMAGE_VSYSCALL = 1 << 8, /* by name only */
	IMAGE_FILE = 1 << 9,     /* a file, at `path` */
	IMAGE_DELETED = 1 << 10, /* the file had been deleted */
	IMAGE_ARENA = 1 << 11,   /* the writer's own memory: its contents do not matter */
	IMAGE_MAPPING_FLAGS = (1 << 12) - 1,
};

/* Strings are offsets into the note STRINGS (image__string); 0 is always the empty string. */

struct image_info {
	uint64_t missing;   /* IMAGE_MISSING_... */
	uint64_t id;        /* random, not 0 */
	uint64_t parent_id; /* of the image at parent; 0: none */
	uint64_t time_ns;   /* since 1970 */
	uint32_t version;   /* IMAGE_VERSION */
	uint32_t flags;     /* IMAGE_INCREMENT, ... */
	uint32_t page_bytes;
	uint32_t depth;    /* number of images that it depends on; 0: a full image */
	uint32_t parent;   /* string: absolute path of the image that this one adds to */
	uint32_t writer;   /* string: the program that wrote it, and its version */
	uint32_t kernel;   /* string: uname -r */
	uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct image_info) == 64, "the format says so");

/* All addresses are virtual addresses of the process. */
struct image_process {
	/* As PR_SET_MM_MAP of prctl(2) takes them, in this order. */
	uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack, arg_start,
		arg_end, env_start, env_end;
	uint64_t xcr0;    /* the extended states that the kernel had enabled; 0: unknown */
	uint64_t restart; /* address of a struct image_restart, which restart fills in; 0: none */
	int32_t pid, ppid, pgrp, sid;
	uint32_t uid, gid;
	uint32_t umask;
	uint32_t personality;
	uint32_t cwd, exe;  /* strings: absolute paths */
	char name[16];      /* of the program, NUL-padded */
	char arguments[80]; /* the beginning of its arguments, NUL-padded */
	/* CLOCK_MONOTONIC and CLOCK_BOOTTIME of the process, at a moment when it stood still. */
	uint64_t monotonic_ns, boottime_ns;
};
_Static_assert(sizeof(struct image_process) == 256, "the format says so");

/* What restart tells the process that it brings back, in the process's own memory. */
struct image_restart {
	uint32_t restarted; /* 1; the code at the resume point looks at it */
	int32_t old_pid;    /* that of the process in the image */
	/* Two ranges that restart has left and the process must unmap, each start and end. */
	uint64_t leftovers[4];
};
_Static_assert(sizeof(struct image_restart) == 40, "the format says so");

/* struct image_attributes, flags */
enum {
	IMAGE_HAS_LIMITS = 1 << 0, /* limits and groups are known */
	IMAGE_HAS_OOM = 1 << 1,    /* oom_score_adj is known */
	IMAGE_LOST_RSEQ = 1 << 2,  /* a thread has a registration of rseq(2) that is not known */
	IMAGE_UNDUMPABLE = 1 << 3, /* as PR_SET_DUMPABLE of prctl(2) has it */
	IMAGE_HAS_CORE_FILTER = 1 << 4, /* coredump_filter is known */
	IMAGE_LOST_SEGMENTS = 1 << 5,   /* it has segments of modify_ldt(2) */
};

/* What the kernel keeps for the process beside memory, threads and files. */
struct image_attributes {
	struct {
		uint64_t soft, hard;
	} limits[IMAGE_LIMITS]; /* as prlimit(2) has them; element N is of resource N */
	uint32_t flags;         /* IMAGE_HAS_LIMITS, ... */
	int32_t oom_score_adj;
	uint32_t membarrier;  /* registrations, as MEMBARRIER_CMD_GET_REGISTRATIONS tells them */
	uint32_t core_filter; /* coredump_filter: which memory gets into core files, see core(5) */
};
_Static_assert(sizeof(struct image_attributes) == 272, "the format says so");

/* struct image_place, flags */
enum {
	IMAGE_HAS_PLACE = 1 << 0,
	IMAGE_SUBREAPER = 1 << 1,     /* PR_SET_CHILD_SUBREAPER of prctl(2) */
	IMAGE_NO_HUGE_PAGES = 1 << 2, /* PR_SET_THP_DISABLE of prctl(2) */
	IMAGE_FILTERED = 1 << 3,      /* seccomp(2) restricted its system calls */
	IMAGE_LOCKS_FUTURE = 1 << 4,  /* MCL_FUTURE of mlockall(2) */
	IMAGE_LOCKS_ON_USE = 1 << 5,  /* with IMAGE_LOCKS_FUTURE: MCL_ONFAULT */
	IMAGE_LANDLOCKED = 1 << 6,    /* landlock_restrict_self(2) has been called */
};

/* Where the process was: what the names and numbers of its files depend on. 0 where not known. */
struct image_place {
	uint64_t root_inode, root_device; /* of its root folder, as stat(2) has them */
	uint64_t mount_namespace;         /* its number */
	/* boot_id of the kernel, NUL-padded: numbers of devices and namespaces hold until the next
	 * boot. */
	char boot[40];
	uint32_t flags;    /* IMAGE_HAS_PLACE, ... */
	uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct image_place) == 72, "part of the format");

/* The namespaces that matter for no name of a file, in this order: "net", "uts", "ipc", "pid",
 * "user", "cgroup" below /proc/PID/ns. */
enum { IMAGE_NAMESPACES = 6 };

/* What else the process saw of the machine. 0 where not known. */
struct image_surroundings {
	uint64_t folder_inode, folder_device;  /* of its current folder, as stat(2) has them */
	uint64_t namespaces[IMAGE_NAMESPACES]; /* their numbers */
};
_Static_assert(sizeof(struct image_surroundings) == 64, "part of the format");

/* What madvise(2) and mmap(2) were told of a mapping, beside its permissions. */
enum {
	IMAGE_ADVICE_GROWS_DOWN = 1 << 0,
	IMAGE_ADVICE_WIPE_ON_FORK = 1 << 1,
	IMAGE_ADVICE_DONT_FORK = 1 << 2,
	IMAGE_ADVICE_DONT_DUMP = 1 << 3,
	IMAGE_ADVICE_HUGE_PAGES = 1 << 4,
	IMAGE_ADVICE_NO_HUGE_PAGES = 1 << 5,
	IMAGE_ADVICE_MERGEABLE = 1 << 6,
	IMAGE_ADVICE_RANDOM = 1 << 7,
	IMAGE_ADVICE_SEQUENTIAL = 1 << 8,
	IMAGE_ADVICE_LOCKED = 1 << 9,         /* mlock(2) */
	IMAGE_ADVICE_LOCKED_ON_USE = 1 << 10, /* with IMAGE_ADVICE_LOCKED: MLOCK_ONFAULT */
	IMAGE_ADVICE_SEALED = 1 << 11,        /* mseal(2) */
	IMAGE_ADVICE_BITS = (1 << 12) - 1,
};

/* What the kernel keeps for a thread that its image_thread has no room for. */
struct image_scheduling {
	uint64_t processors[16]; /* bit N of all: it may use processor N; no bit: it may use any */
	uint64_t timer_slack_ns;
	uint32_t death_signal; /* PR_SET_PDEATHSIG of prctl(2); 0: none */
	uint32_t no_new_privs; /* 1: PR_SET_NO_NEW_PRIVS */
	int32_t nice;          /* of getpriority(2) */
	uint32_t policy;       /* of sched_getscheduler(2) */
	uint32_t priority;     /* of sched_getparam(2) */
	uint32_t io_priority;  /* of ioprio_get(2) */
};
_Static_assert(sizeof(struct image_scheduling) == 160, "part of the format");

/* Options of prctl(2). Not all headers have the newer ones. */
enum image_setting_option {
	IMAGE_SET_KEEPCAPS = 8,           /* PR_SET_KEEPCAPS */
	IMAGE_SET_SECUREBITS = 28,        /* PR_SET_SECUREBITS */
	IMAGE_SET_MCE_KILL = 33,          /* PR_MCE_KILL */
	IMAGE_SET_SPECULATION = 53,       /* PR_SET_SPECULATION_CTRL */
	IMAGE_SET_IO_FLUSHER = 57,        /* PR_SET_IO_FLUSHER, Linux 5.6 */
	IMAGE_SET_WRITE_XOR_EXECUTE = 65, /* PR_SET_MDWE, Linux 6.3 */
	IMAGE_SET_MEMORY_MERGE = 67,      /* PR_SET_MEMORY_MERGE, Linux 6.4 */
};

/* A setting of prctl(2) that has no field elsewhere and is not the default. */
struct image_setting {
	uint64_t values[2]; /* the arguments behind the option */
	uint32_t option;    /* enum image_setting_option */
	int32_t tid;        /* of the thread; 0: of the whole process */
};
_Static_assert(sizeof(struct image_setting) == 24, "part of the format");

/* What it was allowed to do, as capabilities(7) has it. They do not come back. */
struct image_rights {
	uint64_t permitted, effective, inheritable, bounding, ambient; /* bit N: capability N */
	uint32_t euid, egid;
	uint32_t are_known; /* 1 */
	uint32_t reserved;  /* 0 */
};
_Static_assert(sizeof(struct image_rights) == 56, "part of the format");

enum { IMAGE_NODES_MAX = 1024 + 1 }; /* for the kernel, which takes one less */

/* On which nodes memory is allocated: mbind(2) of a mapping, or set_mempolicy(2) of a thread. */
struct image_policy {
	uint64_t start, end; /* addresses; both 0: of a thread */
	uint64_t nodes[16];  /* bit N of all: node N */
	uint32_t mode;       /* MPOL_..., flags among them */
	int32_t tid;         /* of the thread; 0: of addresses */
};
_Static_assert(sizeof(struct image_policy) == 152, "part of the format");
_Static_assert(sizeof(((struct image_policy *)0)->nodes) * 8 == IMAGE_NODES_MAX - 1, "all of them");

/* An action as rt_sigaction(2) itself takes it; element 0 is of signal 1. */
struct image_signal {
	uint64_t handler, flags, restorer, mask;
};
_Static_assert(sizeof(struct image_signal) == 32, "the format says so");

struct image_mapping {
	uint64_t start, end;
	uint64_t offset; /* bytes into the file */
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint32_t flags; /* IMAGE_READ, ... */
	uint32_t path;  /* string: as /proc/PID/maps has it, without " (deleted)" */
};
_Static_assert(sizeof(struct image_mapping) == 48, "the format says so");

/*
 * What the ELF notes do not say of a thread. Where the thread was interrupted is in NT_PRSTATUS.
 * The resume point is another place: inside the handler that wrote the image, as getcontext(3) left
 * it. A thread goes on there, and the handler's own return restores all registers.
 */
struct image_thread {
	uint64_t fs_base, gs_base;
	uint64_t signal_mask; /* bit N-1 for signal N, as the thread had it */
	uint64_t altstack, altstack_bytes;
	uint64_t robust_list, robust_bytes; /* set_robust_list(2) */
	uint64_t clear_tid;                 /* set_tid_address(2) */
	uint64_t tid_address; /* of a 32-bit word in which the C library keeps the tid; 0: none */
	uint64_t rseq;        /* rseq(2); 0: not registered */
	uint64_t rip, rsp, rbp, rbx, r12, r13, r14, r15; /* the resume point */
	uint32_t mxcsr, fpu_control;
	uint32_t rseq_bytes, rseq_signature;
	uint32_t altstack_flags;
	int32_t tid;
	char name[16]; /* NUL-padded */
};
_Static_assert(sizeof(struct image_thread) == 184, "the format says so");

/* struct image_file, held: what the process holds through the file, and loses with it */
enum {
	IMAGE_LOCKED = 1 << 0, /* a lock of fcntl(2) or flock(2) */
	IMAGE_LEASED = 1 << 1, /* a lease of F_SETLEASE */
	/* of an epoll instance: it watches a file under a number that is closed or another file */
	IMAGE_WATCHES_CLOSED = 1 << 2,
};

struct image_file {
	uint64_t offset, inode;
	int32_t fd;
	uint32_t flags; /* O_... of open(2), O_CLOEXEC among them */
	uint32_t mode;  /* S_IF... and permissions of stat(2) */
	uint32_t dev_major, dev_minor;
	uint32_t path;   /* string: as /proc/PID/fd has it: "/absolute/path", "pipe:[23]", ... */
	int32_t same_as; /* a lower fd that shares the open file, and so the offset; -1: none */
	uint32_t held;   /* IMAGE_LOCKED, ...; 0 in older images */
};
_Static_assert(sizeof(struct image_file) == 48, "the format says so");

/* struct image_object, kind. Behind each, what its values are; times are in nanoseconds. */
enum image_object_kind {
	IMAGE_EVENTFD = 1, /* the count; 1: a semaphore */
	IMAGE_TIMERFD,     /* clock | IMAGE_CANCEL_ON_SET << 32, time left or 0, interval,
			      expirations that were not read */
	IMAGE_SIGNALFD,    /* the mask, bit N-1 for signal N */
	IMAGE_EPOLL,       /* none: see struct image_watch */
	IMAGE_PIPE,        /* a reading end: the fd of the writing end, the capacity in bytes;
			      contents: what was in it */
	IMAGE_PIPE_END,    /* a writing end: the fd of the reading end */
	IMAGE_SOCKET,      /* it listens, or waits for datagrams: domain,
			      type | protocol << 32, backlog, IMAGE_REUSE_...;
			      contents: its address */
	IMAGE_PAIR,        /* an end of socketpair(2): the fd of the other end or IMAGE_CLOSED_END,
			      type | IMAGE_SHUT_... << 32, SO_SNDBUF | SO_RCVBUF << 32,
			      IMAGE_PASS_CREDENTIALS or 0; contents: what it has to read. Each
			      packet, of SOCK_DGRAM and SOCK_SEQPACKET, has its length before it,
			      4 bytes */
	IMAGE_OBJECT_KINDS,
};

/* Of an IMAGE_TIMERFD: it notices steps of the clock, TFD_TIMER_CANCEL_ON_SET. */
enum { IMAGE_CANCEL_ON_SET = 1 << 0 };

/* An IMAGE_PAIR whose other end is closed. */
#define IMAGE_CLOSED_END UINT64_MAX

/* Which directions of an IMAGE_PAIR are shut down (shutdown(2)), as the kernel numbers them. */
enum {
	IMAGE_SHUT_READ = 1 << 0,
	IMAGE_SHUT_WRITE = 1 << 1,
};

/* Options of an IMAGE_PAIR. */
enum {
	IMAGE_PASS_CREDENTIALS = 1 << 0, /* SO_PASSCRED */
};

/* Options of an IMAGE_SOCKET. */
enum {
	IMAGE_REUSE_ADDRESS = 1 << 0,
	IMAGE_REUSE_PORT = 1 << 1,
	IMAGE_ONLY_IPV6 = 1 << 2,         /* IPV6_V6ONLY */
	IMAGE_KEEPS_ALIVE = 1 << 3,       /* SO_KEEPALIVE */
	IMAGE_BROADCASTS = 1 << 4,        /* SO_BROADCAST */
	IMAGE_TELLS_CREDENTIALS = 1 << 5, /* SO_PASSCRED */
	IMAGE_SENDS_AT_ONCE = 1 << 6,     /* TCP_NODELAY */
	IMAGE_TELLS_ADDRESS = 1 << 7,     /* IP_PKTINFO */
	IMAGE_TELLS_ADDRESS6 = 1 << 8,    /* IPV6_RECVPKTINFO */
	IMAGE_BINDS_FREELY = 1 << 9,      /* IP_FREEBIND */
};

/* An open file without a name that can be made anew. */
struct image_object {
	uint64_t values[4];
	int32_t fd;        /* of FILES, the lowest with this open file */
	uint32_t kind;     /* IMAGE_EVENTFD, ... */
	uint32_t contents; /* offset into CONTENTS */
	uint32_t bytes;    /* of them */
};
_Static_assert(sizeof(struct image_object) == 48, "part of the format");

/* What epoll_ctl(2) was told of a descriptor. */
struct image_watch {
	uint64_t data;
	int32_t epoll;   /* the fd of an IMAGE_EPOLL */
	int32_t fd;      /* that is watched */
	uint32_t events; /* EPOLL... */
	uint32_t reserved;
};
_Static_assert(sizeof(struct image_watch) == 24, "part of the format");

/* Addresses [start, end), page-aligned. */
struct image_run {
	uint64_t start, end;
};
_Static_assert(sizeof(struct image_run) == 16, "the format says so");

struct image_checksums {
	uint32_t header;   /* CRC-32 of all bytes of the file before the first segment's */
	uint32_t segments; /* how many CRCs follow, each by image__sum */
	uint32_t self;     /* CRC-32 of this record with self = 0, and of what follows */
	uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct image_checksums) == 16, "the format says so");

#endif
