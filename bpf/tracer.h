/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The contract between the kernel side (bpf/) and the user side (tracer/): every record, state
 * and limit that both see, and nothing else. The list that a target reads has a header of its own
 * (pages/shared_list.h). Fixed-width types, wide fields first, sizes asserted.
 *
 * An operation goes through these phases; the arrow's label says who moves it:
 *
 *	IDLE, REQUESTED or READY --open of a request file (BPF)--> CLAIMED --(BPF)--> REQUESTED
 *	REQUESTED or READY --poll (BPF)--> CLAIMED
 *	CLAIMED --tracer must act (BPF)--> PREPARING --tracer--> READY
 *	CLAIMED --a part is copied (BPF)--> READY
 *	CLAIMED --all is copied (BPF)--> COPIED --tracer--> IDLE
 *	COPIED --the target must be held after all (tracer)--> PREPARING
 *	REQUESTED --a rollback (tracer)--> PREPARING --tracer--> IDLE
 *	any --exec (BPF), or tracer gives up--> IDLE
 *
 * In CLAIMED, one thread of the target has the operation for itself: it alone writes to it.
 *
 * While the tracer is awake, a poll waits for its arrows, at most POLL_WAIT_NS for each. Then one
 * poll goes all the way.
 */
#ifndef BPF_TRACER_H
#define BPF_TRACER_H

#define CHUNK_BYTES 256
#define CHUNK_MASK  (CHUNK_BYTES - 1)

/* Chunk stores: the first is made at the start, each next when the ones before are full. */
#define CHUNK_STORES 16

/* The slab store: extents of so many slabs (4 MiB), made as they are needed. */
#define SLAB_BYTES   4096
#define SLAB_CHUNKS  (SLAB_BYTES / CHUNK_BYTES)
#define EXTENT_SLABS 1024
#define EXTENTS      16384 /* 64 GiB */

/* Most slabs one poll copies (16 MiB, about 3 ms): tracepoint programs cannot be preempted. */
#define SLAB_BATCH 4096

/* Slabs that an operation can list (256 MiB); with more, polls visit the whole table. */
#define SLABS_LISTED 65536

/* Most chunks one hook registers or drops by itself (4 MiB, about 5 ms); user space does more. */
#define HOOK_CHUNKS 16384

/* Bytes of a thread's rseq(2) area: of its first version, and as many as are kept at most. Linux
 * 6.18 uses 28 of them. */
#define RSEQ_FIRST_BYTES 32
#define RSEQ_BYTES       64

/* Suspect pages one operation can name; with more, user space looks at every tracked page. */
#define SUSPECT_PAGES 16384

/* Differences one restore can hand to user space (2 MiB); with more, it reads the whole store. A
 * checkpoint keeps what it replaces of so many chunks; with more, it cannot be taken back. */
#define DIFFERENCES 8192

/* Failed pages that an operation remembers, to save a fault for each of their chunks. */
#define FAILED_PAGES 8192

/* Most pages that one poll copies with the page engine (4 MiB, about 1 ms). The verifier of 6.1
 * takes no loop of 2048: it remembers 8192 jumps, and a page has several. */
#define PAGE_BATCH 1024

/* Entries of the list of faults (bpf/faults.bpf.h): 64 MiB of pages. Entry number N is at index N
 * modulo FAULT_PAGES. It has the page's address, and in the low bits its lap. Laps begin with 1, so
 * an entry that nobody has written yet is of no lap. */
#define FAULT_PAGES                  16384
#define FAULT_LAP(number)            (((number) / FAULT_PAGES + 1) & (SLAB_BYTES - 1))
#define FAULT_ENTRY(address, number) (((address) & ~(__u64)(SLAB_BYTES - 1)) | FAULT_LAP(number))

/* Places for threads in a fault from kernel mode; a thread has the one at its id modulo that. */
#define FAULT_THREADS 4096

/* How long a poll waits for user space: shorter than a sleep with its wake-up. */
#define POLL_WAIT_NS 100000

/* After waits in vain the machine is busy, and at most so many polls do not wait. */
#define WAITS_SKIPPED_MOST 255

/* So many polls for a checkpoint, after a restore and without a request, are no accident: the
 * restore has brought the program back into its wait for that checkpoint. */
#define ASTRAY_POLLS 3

/* The control files (docs/protocol.md). */
#define CHECKPOINT_REQUEST    "ready_to_checkpoint"
#define CHECKPOINT_COMPLETION "checkpoint_complete"
#define RESTORE_REQUEST       "ready_to_restore"
#define RESTORE_COMPLETION    "restore_complete"
#define ROLLBACK_REQUEST      "ready_to_rollback"
#define ROLLBACK_COMPLETION   "rollback_complete"

#define PATH_BYTES 256 /* longest control file path, with its NUL */
#define NAME_BYTES 64  /* longest name of --wait, with its NUL */

enum chunk_state {
	CHUNK_EMPTY = 0,      /* registered, in no snapshot */
	CHUNK_PRESENT = 1,    /* bytes hold what the target held at the checkpoint */
	CHUNK_ABSENT = 2,     /* never touched: reads as zeros, and bytes are zero */
	CHUNK_UNREADABLE = 3, /* neither BPF nor user space could read it */
};

struct chunk {
	__u8 bytes[CHUNK_BYTES];
	__u8 state; /* enum chunk_state */
	__u8 first; /* bytes before this offset are not ours: bss begins inside a page of data */
	__u8 announced; /* a call under way may unmap it */
	__u8 padding[5];
};
_Static_assert(sizeof(struct chunk) == 264, "struct chunk crosses the border");

/* A chunk that user space must write, where the kernel forbids BPF to do it. Or a chunk as it was
 * before a checkpoint; the low byte of its address is its enum chunk_state. */
struct difference {
	__u64 address;
	__u8 bytes[CHUNK_BYTES];
};
_Static_assert(sizeof(struct difference) == 264, "struct difference crosses the border");

/* A chunk in the stream of a chunk store. Without CHUNK_PRESENT its bytes are left out. */
struct stream_record {
	__u64 header; /* its address; in the low byte, CHUNK_MASK, its enum chunk_state */
	__u8 bytes[CHUNK_BYTES];
};
_Static_assert(sizeof(struct stream_record) == 264, "struct stream_record crosses the border");

/* A suspect is a page that BPF could not read or write, in one word: the page's address, and this
 * bit if BPF could not read it. Such a page may be absent. */
#define SUSPECT_ABSENT 1ULL

enum slab_state {
	SLAB_GONE = 0,       /* unmapped since the checkpoint */
	SLAB_DUE = 1,        /* to be read by the checkpoint */
	SLAB_PRESENT = 2,    /* its bytes are in its slot */
	SLAB_ZERO = 3,       /* it reads as zeros and has no slot */
	SLAB_UNREADABLE = 4, /* neither BPF nor user space could read it */
};

enum {                  /* struct slab, flags */
       SLAB_DIRTY = 1,  /* differs from what was saved: user space must write it */
       SLAB_FAILED = 2, /* BPF could not read or write it: user space must look at it */
       SLAB_LISTED = 4, /* user space alone: the operation visits it */
};

#define NO_SLOT 0xffffffffU

struct slab { /* one page of the target in the slab table */
	__u64 address;
	__u64 checksum; /* of the saved bytes, when present and with --verify; else 0 */
	__u32 slot;     /* when present, else NO_SLOT */
	__u8 state;     /* enum slab_state */
	__u8 flags;
	__u8 rounds; /* user space alone: rounds in a row in which the page was dirty; */
	__u8 round;  /* the number of the last of them */
};
_Static_assert(sizeof(struct slab) == 24, "struct slab crosses the border");

/* The checksum of a slab, the same on both sides: Fletcher's two sums, over 64-bit words. A
 * changed, missing or exchanged word changes it. */
static inline __u64 slab_checksum(const __u64 *words)
{
	__u64 sum = 0, sums = 0;

	for (__u32 i = 0; i < SLAB_BYTES / 8; i += 4) {
		sums += (sum += words[i]);
		sums += (sum += words[i + 1]);
		sums += (sum += words[i + 2]);
		sums += (sum += words[i + 3]);
	}
	return sum ^ (sums << 32 | sums >> 32);
}

/* The page engine (bpf/page.bcc.c): consecutive pages to be copied, one after the other. */
#define PAGE_BLANK 2 /* they are to read as zeros */

struct page_area {
	__u64 start, end; /* page-aligned; start == end ends the list */
	__u64 slot;       /* 0 or 1, low bits of their keys; PAGE_BLANK: nothing is saved */
};
_Static_assert(sizeof(struct page_area) == 24, "struct page_area crosses the border");

struct page_cursor {        /* where the next poll of a process goes on */
	__u64 address, end; /* in the area; equal before the first one and after each */
	__u64 slot;         /* as in the area */
	__u32 area;         /* the one that comes next */
	__u32 number;       /* of the page: its index in the table of return codes */
};
_Static_assert(sizeof(struct page_cursor) == 32, "struct page_cursor crosses the border");

enum phase {
	PHASE_IDLE = 0,
	PHASE_REQUESTED = 1,
	PHASE_PREPARING = 2,
	PHASE_READY = 3,
	PHASE_CLAIMED = 4,
	PHASE_COPIED = 5,
};

enum operation_kind {
	OPERATION_CHECKPOINT = 0,
	OPERATION_RESTORE = 1,
	OPERATION_ROLLBACK = 2, /* of the whole process, by user space: it needs no poll */
	OPERATION_KINDS = 3,
};

struct operation {         /* the one in progress, or the last one */
	__u64 sequence;    /* 1 for the first request */
	__u64 request_ns;  /* CLOCK_MONOTONIC, when the request file was created */
	__u64 copy_ns;     /* spent in the copy, inside BPF */
	__u64 polls;       /* polls of the completion file since the request */
	__u64 copied;      /* chunks read or written */
	__u64 absent;      /* chunks that were not there to read */
	__u64 unwritten;   /* chunks that were there, but could not be written */
	__u64 newer;       /* chunks registered after the checkpoint: a restore leaves them alone */
	__u64 lost;        /* chunks saved as unreadable: a restore cannot bring them back */
	__u64 suspects;    /* pages named in the map suspects; more than fit are counted too */
	__u64 clean;       /* chunks that were already as they were at the checkpoint */
	__u64 differences; /* chunks in the map differences; more than fit are counted too */
	__u64 slab_cursor; /* the slab that the next poll begins with */
	__u64 slab_flags;  /* slabs with a flag */
	__u64 poll_ns;     /* CLOCK_MONOTONIC, when the poll that copies began */
	__u64 stack;       /* the stack pointer of the last poll; 0: on the first thread's stack */
	__u32 kind;        /* enum operation_kind */
	__u32 phase;       /* enum phase */
	__u32 tid;         /* the thread that asked, in the tracer's PID namespace */
	__u32 threads;     /* of the target, at the last poll; ending ones are counted */
	__u32 uid;         /* of the file that it created, as the kernel sees it */
	__u32 gid;
	__u32 failed;  /* the iteration over the stores broke off */
	__u32 name_at; /* where the name begins in the path of the request, plus 1, if the target
			* calls the control folder by another name; else 0 */
};
_Static_assert(sizeof(struct operation) == 160, "struct operation crosses the border");

/* What was dropped, refused or done another way; none is silent. */
enum counter {
	COUNTER_EVENTS_LOST = 0, /* ring buffer full */
	COUNTER_PATHS_UNREAD,    /* a path of open or access could not be read */
	COUNTER_CALLS_UNTRACKED, /* no memory for the enter record of a call */
	COUNTER_CHUNKS_REFUSED,  /* no room in the chunk stores, at mmap or brk */
	COUNTER_RANGES_DEFERRED, /* left to user space: too long for a hook */
	COUNTER_REQUESTS_BUSY,   /* a request while another operation was being finished */
	COUNTER_COPY_FAILED,     /* the iteration over the chunks itself failed */
	COUNTER_PROGRAM_MISSING, /* no program to continue in */
	COUNTER_SLABS_DAMAGED,   /* the saved bytes have changed, and are not restored */
	COUNTER_MOVES_REFUSED,   /* mremap(2) failed with EFAULT: armed memory may be why */
	COUNTERS,
};

struct fault_mark {   /* a point in the list of faults; both numbers only grow */
	__u64 writes; /* entries that were made */
	__u64 signs;  /* that pages may have been written or discarded without an entry */
};
_Static_assert(sizeof(struct fault_mark) == 16, "struct fault_mark crosses the border");

struct thread_record { /* what a thread has registered with the kernel, in part */
	__u32 tid;
	__u32 signal_stack_flags; /* of sigaltstack(2) */
	__u64 signal_stack, signal_stack_bytes;
	__u64 tid_address; /* of set_tid_address(2) */
};
_Static_assert(sizeof(struct thread_record) == 32, "struct thread_record crosses the border");

#define NO_TARGET 0xffffffffU /* no process has this id: the hooks do nothing */

#define LATENCY_BUCKETS 40 /* bucket b counts copies of [2^b, 2^(b+1)) ns */

struct state { /* shared memory between both sides: the BPF object's .bss */
	struct operation operation;
	__u64 counters[COUNTERS];
	__u64 latency[OPERATION_KINDS][LATENCY_BUCKETS];
	struct fault_mark faults; /* the end of the list of faults */
	__u64 registrations; /* calls of the watched process that register something for a thread */
	__u64 deferred;      /* grows with each change of mappings that user space must look at */
	__u64 prepared;      /* value of deferred that user space has dealt with */
	/* Bytes; a range from there on is kept in slabs. Not a constant in rodata: the verifier
	 * would remove calls of callbacks, and 6.18 then fails to compile ("No program to jit"). */
	__u64 slab_threshold;
	__u64 mappings_version; /* of the target's mappings, at the last poll of a request */
	__u64 answered;         /* sequence of the last operation that has its answer */
	__u64 replaced;         /* chunks that the last checkpoint has replaced */
	__u64 replacing;        /* its sequence; 0: what it replaces is not kept */
	__u32 target;  /* thread group id as the kernel sees it; 0: none yet; NO_TARGET: no more */
	__u32 child;   /* run mode: the child's pid in the tracer's PID namespace */
	__u32 valid;   /* there is a whole snapshot */
	__u32 stopped; /* user space holds the target's threads, all but the one that polls */
	__u32 always_prepare; /* the target has mappings that grow by themselves */
	__u32 stores;         /* chunk stores in use, at least 1 */
	__u32 awake;          /* user space looks at the ring by itself, on another processor */
	__u32 waiting;        /* the thread that polls stays in its poll until the phase is READY */
	__u32 slabs;          /* entries of the slab table */
	__u32 slots;          /* of the extents, taken by the snapshot */
	__u32 visits;         /* slabs that polls must visit before a copy is done */
	__u32 pages_per_poll; /* with the page engine, else 0 */
	__u32 has_slabs;      /* ranges are kept in slabs: user space must look before each copy */
	__u32 ignored;        /* bit of each kind of request that came while another was served */
	__u32 ignored_tid;    /* the last thread that asked so, in the tracer's PID namespace */
	__u32 unplaced;       /* a restore has seen ranges that the next checkpoint must register */
	__u32 waits_to_skip;  /* polls that are not to wait, for waits were in vain */
	__u32 waits_skipped;  /* how many they were after the last wait */
	__u32 threads;        /* of the target, at the checkpoint */
	__u32 astray;         /* polls for a checkpoint after a restore, without a request */
	__u32 listed; /* slabs that a copy visits, those of the map slab_list; 0: the whole table */
	__u32 placed; /* slabs that are due have their slots already */
	__u32 ran_before_copy; /* the thread that polls has run between preparation and copy */
	__u32 ran_after_copy;  /* it has run between copy and answer */
	__u32 held;            /* the target is to stand still from before the copy to the answer */
	__u32 lazily_freed;    /* memory may be taken away at any time: MADV_FREE */
	__u32 for_rollback;    /* the checkpoint is of the whole process, taken by user space */
	__u32 pinned;     /* memory may be written unnoticed: pages that the kernel holds on to */
	__u32 quiet;      /* a restore compares first, and then holds the target if it must write */
	__u32 all_differ; /* a restore writes the pages that it visits without comparing them */
};
_Static_assert(sizeof(struct state) == 1400, "struct state crosses the border");

/* Programs that a poll goes on in, by a tail call. */
enum continuation {
	CONTINUE_POLL = 0,
	CONTINUE_RESTORE = 1,       /* only where BPF may write */
	CONTINUE_STORE_PAGES = 2,   /* only with the page engine */
	CONTINUE_RESTORE_PAGES = 3, /* only with the page engine and where BPF may write */
	CONTINUATIONS = 4,
};

enum event_kind {
	EVENT_EXEC = 1,    /* the target execed: all its ranges are gone; pid says who it is */
	EVENT_ADDED = 2,   /* the hook registered [start, end) */
	EVENT_DROPPED = 3, /* the hook dropped [start, end) */
	EVENT_DOOMED = 4,  /* [start, end) is gone, its chunks are left to user space */
	EVENT_REFUSED = 5, /* chunks of [start, end) found no place */
	EVENT_REQUEST = 6, /* the target asks for operation start, of kind end */
	EVENT_PREPARE = 7, /* the target polls, user space must act first */
	EVENT_COPIED = 8,  /* the copy is done */
	EVENT_WAKE = 9,    /* nothing; it wakes user space */
	EVENT_LOST = 10,   /* the ring was full; user space tells that to itself */
};

struct event {
	__u64 start, end; /* of a range; EXEC: time_ns, 0; REQUEST: its sequence, 0 */
	__u32 kind;       /* enum event_kind */
	__u32 pid;        /* EXEC: the target, in the tracer's PID namespace */
};
_Static_assert(sizeof(struct event) == 24, "struct event crosses the border");

#endif
