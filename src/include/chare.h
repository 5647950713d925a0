/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_H
#define CHARE_H

/*
 * chare.h - the public face of the runtime; the only header that is installed.
 *
 * Everything named chare_ or CHARE_ is promised to users. Nothing else is.
 *
 * Words: a *PE* is one scheduler, here one process. A *chare* is an object on
 * some PE; a *collection* is a named set of chares: a single chare, a *group*
 * (one chare on each PE) or an *array* (chares at indices). A *section* is a
 * named choice of chares of one or more collections. An *entry method* is a
 * function of a chare that any PE can invoke by a message.
 *
 * Every function belongs to the thread that opened the runtime, unless its
 * "Context" says otherwise, and may be called from inside entry methods.
 * No function runs user code before it returns, except chare_run(),
 * chare_progress() and chare_close(); and hooks that only answer, which are
 * asked where the answer is needed, and send nothing themselves: maps,
 * 'place', 'movable', and those of payloads.
 *
 * A pointer may be NULL only where that is said. A name or a callback that
 * can be seen to name nothing is an error of the call: CHARE_ERR_INVALID, or
 * CHARE_ERR_NOT_FOUND; if it turns out later, the job ends with a text.
 *
 * Structures that start with 'size' may grow: set it to sizeof(struct).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHARE_VERSION_MAJOR 0
#define CHARE_VERSION_MINOR 1
#define CHARE_VERSION_PATCH 0

#define CHARE_MUST_CHECK __attribute__((warn_unused_result))

/* ------------------------------------------------------------------------
 * Status codes
 */

/*
 * Every fallible function returns one of these. Codes are grouped by how much
 * is lost, so that a caller can decide what to do by range:
 * nothing (try again), one call, one peer, the whole runtime.
 */
typedef enum chare_status {
    CHARE_OK = 0,

    /* Nothing is lost: the same call may succeed later. */
    CHARE_ERR_AGAIN = -1,
    CHARE_ERR_INTERRUPTED = -2,

    /* One call is lost. */
    CHARE_ERR_INVALID = -10,
    CHARE_ERR_NO_MEMORY = -11,
    CHARE_ERR_TOO_LARGE = -12,
    CHARE_ERR_NOT_FOUND = -13,
    CHARE_ERR_STATE = -14,
    CHARE_ERR_EXISTS = -15,
    CHARE_ERR_FORMAT = -16,
    CHARE_ERR_TIMEOUT = -17,

    /* One peer is lost. */
    CHARE_ERR_PEER_LOST = -30,

    /* The runtime is lost. */
    CHARE_ERR_FABRIC = -50,
    CHARE_ERR_WIREUP = -51,
    CHARE_ERR_SYSTEM = -52,
} chare_status;

/**
 * chare_status_name() - the code's own name, such as "CHARE_ERR_AGAIN".
 *
 * @status: any value, known or not.
 *
 * Ownership: a static string; never freed.
 * Context:   any thread.
 * Returns:   never NULL; "CHARE_ERR_UNKNOWN" for a value not listed here.
 * Since:     0.1
 */
const char *chare_status_name(chare_status status);

/**
 * chare_status_text() - what the code means, in a few words.
 *
 * @status: any value, known or not.
 *
 * Ownership: a static string; never freed.
 * Context:   any thread.
 * Returns:   never NULL.
 * Since:     0.1
 */
const char *chare_status_text(chare_status status);

/* ------------------------------------------------------------------------
 * Names of things
 */

enum {
    CHARE_DIMS_MAX = 6,          /* dimensions of an index */
    CHARE_DENSE_MAX = 1 << 30,   /* chares in a dense array */
    CHARE_PES_MAX = 1 << 24,     /* PEs in a job */
    CHARE_NAME_BYTES_MAX = 200,  /* of a type or entry name, without NUL */
    CHARE_PRIORITY_MIN = -32768, /* runs first */
    CHARE_PRIORITY_MAX = 32767,  /* runs last; 0 is ordinary */
};

#define CHARE_ANY_PE 0xffffffffu /* the runtime chooses */

/* One PE's view of the job; opaque. */
typedef struct chare_runtime chare_runtime;

/* A collection's name, the same on every PE; 0 names none. */
typedef uint64_t chare_collection;

/* Where in its collection a chare is. A group's index is the PE. */
typedef struct chare_index {
    uint32_t ndims;             /* 1 to CHARE_DIMS_MAX */
    uint32_t reserved;          /* 0 */
    int64_t at[CHARE_DIMS_MAX]; /* at[ndims] and above are 0 */
} chare_index;

/* The name of one chare. A value: compare, copy and send it as you like. */
typedef struct chare_element {
    chare_collection collection;
    chare_index index;
} chare_element;

/* The name of one future; it may be sent to any PE. */
typedef struct chare_future {
    uint64_t id;
    uint32_t pe; /* where it was created */
    uint32_t reserved;
} chare_future;

/* A one-dimensional element. */
static inline chare_element
chare_element_1d(chare_collection collection, int64_t i)
{
    chare_element element = {collection, {1, 0, {i, 0, 0, 0, 0, 0}}};

    return element;
}

/* A two-dimensional element. */
static inline chare_element
chare_element_2d(chare_collection collection, int64_t i, int64_t j)
{
    chare_element element = {collection, {2, 0, {i, j, 0, 0, 0, 0}}};

    return element;
}

/* ------------------------------------------------------------------------
 * What a message carries
 */

/* How the bytes of a message are to be understood. */
typedef enum chare_format {
    CHARE_FORMAT_BYTES = 0, /* opaque to the runtime */
    CHARE_FORMAT_VALUE = 1, /* one value of the codec below */
    CHARE_FORMAT_ARGS = 2,  /* a tuple value: the arguments of a call */
    CHARE_FORMAT_ERROR = 3, /* an error value, see chare_put_error() */
} chare_format;

/* A message under construction, or taken over; see chare_buffer_alloc(). */
typedef struct chare_buffer chare_buffer;

typedef struct chare_encoder chare_encoder;
typedef struct chare_decoder chare_decoder;

struct chare_value;

/*
 * A local payload: a pointer that reaches the target as it is when the target
 * is on the same PE, and is encoded when it is not, or when the target moves
 * away while the message waits.
 */
typedef struct chare_payload_ops {
    size_t size;
    chare_format format; /* of what encode() writes */

    /* Write the payload; it stays alive. */
    chare_status (*encode)(void *payload, chare_encoder *encoder);

    /* The runtime is done with it. */
    void (*release)(void *payload);

    /* About how many bytes encode() would write; NULL: hardly any. */
    size_t (*bytes)(void *payload);

    /* For readers in C: how many values encode() would write into its tuple,
     * or as such; and one of those, if it is no container, without encoding;
     * false: it is to be encoded. Both or none. */
    size_t (*count)(void *payload);
    bool (*item)(void *payload, size_t i, struct chare_value *value_out);
} chare_payload_ops;

/*
 * The data of a call, a value or a contribution, in one of three forms:
 * 'buffer' (taken over), 'payload' (taken over), or else 'bytes' (copied).
 * A function that fails takes nothing over. All zeros: no data.
 */
typedef struct chare_data {
    chare_format format; /* of 'bytes' or 'buffer' */
    const void *bytes;
    size_t len;
    chare_buffer *buffer;
    void *payload;
    const chare_payload_ops *payload_ops;
} chare_data;

/* Opaque bytes, copied. */
static inline chare_data
chare_data_bytes(const void *bytes, size_t len)
{
    chare_data data = {CHARE_FORMAT_BYTES, bytes, len, NULL, NULL, NULL};

    return data;
}

/* A filled buffer, handed over. */
static inline chare_data
chare_data_buffer(chare_format format, chare_buffer *buffer)
{
    chare_data data = {format, NULL, 0, buffer, NULL, NULL};

    return data;
}

/* A local payload, handed over. */
static inline chare_data
chare_data_payload(void *payload, const chare_payload_ops *ops)
{
    chare_data data = {ops->format, NULL, 0, NULL, payload, ops};

    return data;
}

/**
 * chare_buffer_alloc() - a message to fill in place, saving a copy.
 *
 * @runtime:    an open runtime.
 * @len:        bytes it is to hold; it can grow later.
 * @buffer_out: the buffer; its bytes are undefined and 16-byte aligned.
 *
 * Ownership: the caller's until given to a call in a chare_data, or released.
 * Returns:   CHARE_OK, CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_buffer_alloc(chare_runtime *runtime,
                                                 size_t len,
                                                 chare_buffer **buffer_out);

/**
 * chare_buffer_resize() - change the length; contents up to the shorter stay.
 *
 * @buffer_inout: the buffer, which may move.
 * @len:          the new length in bytes.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NO_MEMORY - nothing changed.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_buffer_resize(chare_buffer **buffer_inout,
                                                  size_t len);

/**
 * chare_buffer_bytes() - where the bytes are, and how many.
 *
 * @buffer:  the buffer.
 * @len_out: its length in bytes; may be NULL.
 *
 * Returns:   never NULL; valid until the buffer is resized or given away.
 * Since:     0.1
 */
void *chare_buffer_bytes(chare_buffer *buffer, size_t *len_out);

/**
 * chare_buffer_keep() - the buffer may outlive its runtime.
 *
 * @buffer: the buffer, which is still to be released, at any time.
 *
 * Since:     0.1
 */
void chare_buffer_keep(chare_buffer *buffer);

/**
 * chare_copy() - copy what another process is going to read.
 *
 * As memcpy(), past the caches of this processor where that is faster for who
 * reads it: for elements of an array that leaves this PE.
 *
 * @to:   where to; the two do not overlap.
 * @from: where from.
 * @len:  how many bytes.
 *
 * Context:   any thread.
 * Since:     0.1
 */
void chare_copy(void *to, const void *from, size_t len);

/**
 * chare_buffer_release() - free a buffer that was not given away.
 *
 * @buffer: the buffer, or NULL.
 *
 * Since:     0.1
 */
void chare_buffer_release(chare_buffer *buffer);

/* ------------------------------------------------------------------------
 * Life of a runtime
 */

/* What the embedding program wants to do at times; any may be NULL. */
typedef struct chare_hooks {
    size_t size;

    /* Around a blocking wait of an idle PE (to let other threads run). */
    void (*block_enter)(void *context);
    void (*block_leave)(void *context);

    /* Called after a wait that a signal interrupted and every 100 ms or so
     * while busy: true makes chare_run() return CHARE_ERR_INTERRUPTED. */
    bool (*interrupted)(void *context);

    /* Called by the scheduler after chare_post(). */
    void (*posted)(void *context);

    /* Both or none. How many things outside of the runtime can still make
     * this PE do something: threads, prompts, signals; 0: none. And: the job
     * is stuck, and about to be ended; say on stderr what waits here, and
     * return how many do. With these, a job in which nothing can happen any
     * more is ended after CHARE_DEADLOCK_S seconds. */
    uint64_t (*outside)(void *context);
    uint64_t (*stalled)(void *context);
} chare_hooks;

typedef struct chare_open_options {
    size_t size;
    const chare_hooks *hooks; /* copied; NULL: none */
    void *hooks_context;
    bool single; /* do not look for a launcher: this process is the job */
} chare_open_options;

/**
 * chare_open() - a runtime for this process: its place in the job and its PE.
 *
 * Reads the settings, finds out whether a launcher started this process (PMIx)
 * and with how many others. Does not wait for them: that is chare_start().
 *
 * @options:     NULL for the defaults.
 * @runtime_out: the runtime.
 *
 * Ownership: the caller's, until chare_close().
 * Context:   any thread, which owns the runtime from then on. Several
 *            runtimes in one process are independent.
 * Returns:   CHARE_OK
 *            CHARE_ERR_INVALID - a setting makes no sense; said on stderr.
 *            CHARE_ERR_WIREUP  - there is a launcher but no way to reach its
 *                                other processes; said on stderr.
 *            CHARE_ERR_NO_MEMORY, CHARE_ERR_SYSTEM
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_open(const chare_open_options *options,
                                         chare_runtime **runtime_out);

/**
 * chare_start() - meet the other PEs. Types, entries and reducers that every
 * PE must know in the same order are registered before.
 *
 * @runtime: an open runtime, not yet started.
 *
 * Context:   blocks for at most CHARE_START_TIMEOUT seconds.
 * Returns:   CHARE_OK
 *            CHARE_ERR_TIMEOUT - some PEs did not come; they are named on
 *                                stderr.
 *            CHARE_ERR_WIREUP  - the PEs do not fit together (other version,
 *                                other registrations); said on stderr.
 *            CHARE_ERR_FABRIC, CHARE_ERR_SYSTEM, CHARE_ERR_NO_MEMORY
 *            CHARE_ERR_STATE   - started before.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_start(chare_runtime *runtime);

/**
 * chare_run() - deliver messages until the job exits.
 *
 * @runtime: a started runtime.
 *
 * Context:   not from inside an entry method.
 * Returns:   CHARE_OK              - chare_exit() was called on some PE.
 *            CHARE_ERR_INTERRUPTED - the interrupted hook said so; the
 *                                    runtime can run on.
 *            CHARE_ERR_PEER_LOST   - a PE is gone; said on stderr.
 *            CHARE_ERR_STATE       - the job was aborted, here or elsewhere;
 *                                    or this is an entry method.
 *            See chare_exit_code() for what to tell the system.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_run(chare_runtime *runtime);

/**
 * chare_progress() - deliver what is there, and return.
 *
 * @runtime:      a started runtime.
 * @messages_max: at most this many messages are executed.
 *
 * Context:   not from inside an entry method. Never blocks.
 * Returns:   CHARE_OK        - something was done.
 *            CHARE_ERR_AGAIN - there was nothing to do.
 *            or as chare_run(), once the job has ended.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_progress(chare_runtime *runtime,
                                             uint32_t messages_max);

/**
 * chare_hold() - keep this PE's messages to other PEs back, or let them go.
 *
 * What is to be known everywhere before a program's first messages arrive is
 * sent while they are held, with CHARE_PRIORITY_MIN, which nothing holds.
 *
 * @runtime: a started runtime.
 * @hold:    true: messages to other PEs wait here, at most CHARE_QUEUE_BYTES
 *           of them; false: they go, in the order made, and so do later ones.
 *
 * Since:     0.1
 */
void chare_hold(chare_runtime *runtime, bool hold);

/**
 * chare_flush() - send what waits for company.
 *
 * Calls that travel together (chare_entry_aggregate()) leave this PE now: to
 * be used before an entry method that has made some goes on for long.
 *
 * @runtime: a started runtime.
 *
 * Since:     0.1
 */
void chare_flush(chare_runtime *runtime);

/**
 * chare_post() - make the scheduler call the 'posted' hook soon.
 *
 * Several calls may lead to one call of the hook.
 *
 * @runtime: an open runtime; who closes it sees to it that nobody posts.
 *
 * Context:   any thread. Never blocks.
 * Since:     0.1
 */
void chare_post(chare_runtime *runtime);

/**
 * chare_outside_start() - something begins elsewhere that will be posted.
 *
 * Until as many calls of chare_outside_stop() have been made there is no
 * quiescence, and the job does not count as stuck.
 *
 * @runtime: a started runtime.
 *
 * Since:     0.1
 */
void chare_outside_start(chare_runtime *runtime);

/**
 * chare_outside_stop() - one of those has ended.
 *
 * @runtime: a runtime, after chare_outside_start().
 *
 * Since:     0.1
 */
void chare_outside_stop(chare_runtime *runtime);

/**
 * chare_keep_start() - an entry method keeps its call, to go on with it later.
 *
 * Until as many calls of chare_keep_stop() have been made the call counts as
 * a message under way: there is no quiescence. A job in which nothing else
 * can happen is stuck all the same.
 *
 * @runtime: a started runtime.
 *
 * Context:   the scheduler's thread, in an entry method.
 * Since:     0.1
 */
void chare_keep_start(chare_runtime *runtime);

/**
 * chare_keep_stop() - one of those goes on, or is given up.
 *
 * @runtime: a runtime, after chare_keep_start().
 *
 * Since:     0.1
 */
void chare_keep_stop(chare_runtime *runtime);

/**
 * chare_exit() - end the job on all PEs, in order.
 *
 * Messages that are still under way may or may not be delivered.
 *
 * @runtime: a started runtime.
 * @code:    0 to 255, the exit code of every process.
 *
 * Since:     0.1
 */
void chare_exit(chare_runtime *runtime, int code);

/**
 * chare_abort() - end the job on all PEs because of an error.
 *
 * Before chare_start() too: then chare_close() tells the launcher, which ends
 * the processes that wait for this one.
 *
 * @runtime: an open runtime.
 * @code:    1 to 255, the exit code of every process.
 * @text:    why, for stderr; may have several lines.
 *
 * Since:     0.1
 */
void chare_abort(chare_runtime *runtime, int code, const char *text);

/**
 * chare_forked() - say that this process is a forked child.
 *
 * The child has the runtime's memory but is no PE: from now on it sends
 * nothing, its chare_run() returns CHARE_ERR_STATE, and chare_exit() and
 * chare_abort() concern it alone. Its parent goes on undisturbed.
 *
 * @runtime: a runtime that the parent has opened; in the child, before
 *           anything else is asked of it.
 *
 * Since:     0.1
 */
void chare_forked(chare_runtime *runtime);

/**
 * chare_exit_code() - what the process should exit with.
 *
 * @runtime: an open runtime.
 *
 * Returns:   the code of chare_exit() or chare_abort(), or 0.
 * Since:     0.1
 */
int chare_exit_code(const chare_runtime *runtime);

/**
 * chare_close() - release the runtime and all chares on this PE.
 *
 * @runtime: a runtime, or NULL. From inside an entry method it only ends the
 *           job, with an error.
 *
 * Since:     0.1
 */
void chare_close(chare_runtime *runtime);

/* ------------------------------------------------------------------------
 * Where am I
 */

/* The PE of this runtime. */
uint32_t chare_my_pe(const chare_runtime *runtime);

/* PEs in the job. */
uint32_t chare_pe_count(const chare_runtime *runtime);

/* Nodes (hosts) in the job; before chare_start() this PE's alone. */
uint32_t chare_node_count(const chare_runtime *runtime);

/* The node a PE is on, from 0; PEs of one node share memory. Of one that does
 * not exist: 0. */
uint32_t chare_node_of(const chare_runtime *runtime, uint32_t pe);

/* PEs on a node; 0 where there is no such node. */
uint32_t chare_node_pe_count(const chare_runtime *runtime, uint32_t node);

/* The index-th PE of a node, in rising order; CHARE_ANY_PE: it has none. */
uint32_t chare_node_pe(const chare_runtime *runtime, uint32_t node,
                       uint32_t index);

/* The name of a node, as the launcher knows it, or "?"; owned by the runtime.
 */
const char *chare_node_name(const chare_runtime *runtime, uint32_t node);

/**
 * chare_tree_edges() - a PE's place in the spanning tree of all PEs.
 *
 * The tree that broadcasts from @root use, and reductions to it in reverse.
 *
 * @runtime:      a started runtime.
 * @root:         the tree's root.
 * @pe:           whose place.
 * @parent_out:   its parent; @root's parent is @root.
 * @children_out: its children, at most @room of them are written.
 * @room:         room in @children_out.
 * @count_out:    how many children it has.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - no such PE.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_tree_edges(const chare_runtime *runtime,
                                               uint32_t root, uint32_t pe,
                                               uint32_t *parent_out,
                                               uint32_t *children_out,
                                               uint32_t room,
                                               uint32_t *count_out);

/* One PE of a tree in preorder: its children's subtrees follow it. */
typedef struct chare_tree_vertex {
    uint32_t pe;
    uint32_t subtree_count; /* PEs in its subtree, itself included */
} chare_tree_vertex;

/**
 * chare_tree_subset() - a spanning tree over some PEs, or over all.
 *
 * A function of the job's layout and the arguments alone. Parts of the machine
 * (switches, nodes, packages ...) are entered once each.
 *
 * @runtime:      a started runtime.
 * @root:         the tree's root, one of @pes.
 * @pes:          the PEs, in ascending order, none twice; NULL: all PEs.
 * @pe_count:     how many.
 * @fanout:       children in each part of the machine, 2 to 8; 0: the job's.
 * @vertices_out: the tree in preorder; @pe_count of them.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - no such PE, or not in order;
 *            CHARE_ERR_NO_MEMORY; CHARE_ERR_STATE.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_tree_subset(
    const chare_runtime *runtime, uint32_t root, const uint32_t *pes,
    uint32_t pe_count, uint32_t fanout, chare_tree_vertex *vertices_out);

/* Limits of an open runtime. */
typedef struct chare_limits {
    size_t size;
    uint64_t message_bytes; /* largest data of one call */
    uint64_t queue_bytes;   /* what may wait at a sender, CHARE_QUEUE_BYTES */
    uint32_t eager_bytes;   /* larger ones are sent in pieces */
} chare_limits;

/* Fill in *out, whose size must be set. */
void chare_limits_get(const chare_runtime *runtime, chare_limits *out);

/* Counters of one PE since chare_start(). */
typedef struct chare_counters {
    size_t size;
    uint64_t messages_sent; /* to any PE, this one included */
    uint64_t messages_executed;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t foreign_dropped;  /* messages of strangers */
    uint64_t calls_aggregated; /* calls that have left in company */
    uint64_t aggregates_sent;  /* messages that they were */
} chare_counters;

/* Fill in *out, whose size must be set. */
void chare_counters_get(const chare_runtime *runtime, chare_counters *out);

/**
 * chare_stats_measure() - measure entry methods on this PE, or do not.
 *
 * Calls, time, bytes and waiting of each; what was measured stays. With
 * CHARE_STATS=1 it is on from the start, on all PEs, and the table of all PEs
 * is printed on stderr when the job has ended in order. While it is on, a call
 * costs some nanoseconds more.
 *
 * @runtime: an open runtime.
 * @on:      true: from now on.
 *
 * Since:     0.1
 */
void chare_stats_measure(chare_runtime *runtime, bool on);

/* Whether entry methods are measured on this PE. */
bool chare_stats_measured(const chare_runtime *runtime);

/**
 * chare_stats_charge() - what was executed just now was for this entry.
 *
 * Calls are measured by themselves; this is for what an embedder runs for an
 * entry outside of them, such as the rest of a coroutine: with 0 before it,
 * and with the entry behind it. No call is counted.
 *
 * @runtime: a started runtime.
 * @entry:   from chare_entry_register(); 0: its part begins, and the time so
 *           far is that of the entry that is executing, if any.
 *
 * Since:     0.1
 */
void chare_stats_charge(chare_runtime *runtime, uint32_t entry);

/**
 * chare_stats_keep() - an entry method has kept its chare from moving.
 *
 * For an embedder whose movable hook says no because of an entry method that
 * is suspended; once for each call of it. It is counted whether entry methods
 * are measured or not.
 *
 * @runtime: an open runtime.
 * @entry:   from chare_entry_register(); else nothing happens.
 *
 * Since:     0.1
 */
void chare_stats_keep(chare_runtime *runtime, uint32_t entry);

/* How often chare_stats_keep() said so of an entry, on this PE. */
uint64_t chare_stats_kept(const chare_runtime *runtime, uint32_t entry);

/* Monotonic time in nanoseconds, or simulated time. */
uint64_t chare_now_ns(const chare_runtime *runtime);

/* Whatever the embedding program wants to find again; NULL at first. */
void chare_set_user(chare_runtime *runtime, void *user);
void *chare_user(const chare_runtime *runtime);

/* ------------------------------------------------------------------------
 * Callbacks and futures: where a result goes
 */

typedef enum chare_callback_kind {
    CHARE_CALLBACK_NONE = 0,      /* nowhere */
    CHARE_CALLBACK_FUTURE = 1,    /* a future */
    CHARE_CALLBACK_ELEMENT = 2,   /* an entry method of one chare */
    CHARE_CALLBACK_BROADCAST = 3, /* an entry method of all of a collection */
    CHARE_CALLBACK_FUNCTION = 4,  /* a registered function on one PE */
} chare_callback_kind;

/* A value: copy and send it as you like. All zeros: nowhere. */
typedef struct chare_callback {
    chare_callback_kind kind;
    uint32_t entry;        /* ELEMENT, BROADCAST; FUNCTION: its id */
    chare_future future;   /* FUTURE; FUNCTION: .pe where, .id its argument */
    chare_element element; /* ELEMENT; BROADCAST: only the collection */
} chare_callback;

/* clang-format off */
#define CHARE_CALLBACK_INIT(kind)                  \
    {                                              \
        kind, 0, {0, 0, 0},                        \
        {                                          \
            0, { 0, 0, {0, 0, 0, 0, 0, 0} }        \
        }                                          \
    }
/* clang-format on */

/* The result goes to a future. */
static inline chare_callback
chare_callback_future(chare_future future)
{
    chare_callback callback = CHARE_CALLBACK_INIT(CHARE_CALLBACK_FUTURE);

    callback.future = future;
    return callback;
}

/* The result is the argument of an entry method of one chare. */
static inline chare_callback
chare_callback_element(chare_element element, uint32_t entry)
{
    chare_callback callback = CHARE_CALLBACK_INIT(CHARE_CALLBACK_ELEMENT);

    callback.entry = entry;
    callback.element = element;
    return callback;
}

/* The result is the argument of an entry method of all of a collection. */
static inline chare_callback
chare_callback_broadcast(chare_collection collection, uint32_t entry)
{
    chare_callback callback = CHARE_CALLBACK_INIT(CHARE_CALLBACK_BROADCAST);

    callback.entry = entry;
    callback.element.collection = collection;
    return callback;
}

/* A function that chare_function_register() gave 'function', run on 'pe'. */
static inline chare_callback
chare_callback_function(uint32_t function, uint32_t pe, uint64_t argument)
{
    chare_callback callback = CHARE_CALLBACK_INIT(CHARE_CALLBACK_FUNCTION);

    callback.entry = function;
    callback.future.pe = pe;
    callback.future.id = argument;
    return callback;
}

/**
 * chare_callback_call() - deliver data to where a callback points.
 *
 * @runtime:  a started runtime.
 * @callback: where; NONE drops the data.
 * @data:     what; NULL for nothing.
 *
 * Ownership: see chare_data.
 * Returns:   as chare_send().
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status
chare_callback_call(chare_runtime *runtime, const chare_callback *callback,
                    const chare_data *data);

/**
 * chare_stats_get() - what entry methods have cost, on all PEs.
 *
 * @runtime:  a started runtime; on any PE, at any time.
 * @callback: told a list (CHARE_FORMAT_VALUE) of dicts, those first that took
 *            most time: "type", "method" ("__init__": the making of chares),
 *            "calls", "seconds" and "longest" (one call), "bytes" (of what
 *            came encoded), "waited" (seconds in the queue, of all calls) and
 *            "longest_wait", "pes" (that have executed it), "busiest_pe",
 *            "busiest" (seconds there), and "imbalance": that by the mean of
 *            all PEs of the job.
 *
 * Returns:   CHARE_OK; CHARE_ERR_STATE - not started; CHARE_ERR_INVALID.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_stats_get(chare_runtime *runtime,
                                              const chare_callback *callback);

/**
 * chare_stats_print() - let PE 0 print what entry methods have cost.
 *
 * A table on stdout, of all PEs. Requests that come together share one.
 *
 * @runtime: a started runtime; on any PE, at any time.
 * @done:    told (with no data) when it was printed; NULL: nobody.
 *
 * Returns:   CHARE_OK; CHARE_ERR_STATE - not started.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_stats_print(chare_runtime *runtime,
                                                const chare_callback *done);

/* ------------------------------------------------------------------------
 * Types and entry methods
 */

/*
 * One invocation, as its target sees it. The data is valid until the entry
 * method returns, unless it is taken; either 'payload' is set, or 'bytes' is.
 */
typedef struct chare_call {
    chare_runtime *runtime;
    const chare_element *self; /* the target; NULL for functions and futures */
    uint32_t entry;
    uint32_t source_pe;
    chare_format format;
    int16_t priority;
    bool wants_reply;
    const void *bytes; /* 16-byte aligned */
    size_t len;
    void *payload; /* a local payload, or NULL; the runtime releases it */
    const chare_payload_ops *payload_ops;
    uint64_t argument; /* of a registered function; or the future's id */
    void *execution;   /* private */
    chare_collection collection; /* that was called: the target's own, or a
                                    section it is a member of; or 0 */
    uint64_t more; /* of a broadcast: so many calls with the same bytes follow,
                      right after this one */
} chare_call;

/*
 * The right to answer one call; a value. It is answered exactly once, from any
 * later entry method on the PE that took it.
 */
typedef struct chare_reply {
    uint64_t tag;                /* private */
    uint32_t kind;               /* private */
    uint32_t pe;                 /* private */
    chare_collection collection; /* private */
    chare_callback callback;
    chare_element self;
} chare_reply;

/**
 * chare_call_take_reply() - answer this call later.
 *
 * Without it, the runtime answers "done", without data, when the entry method
 * returns.
 *
 * @call:      the call, still executing, whose wants_reply is true.
 * @reply_out: to be given to chare_reply_send() once.
 *
 * Since:     0.1
 */
void chare_call_take_reply(const chare_call *call, chare_reply *reply_out);

/**
 * chare_call_take_buffer() - keep the message's bytes beyond the call.
 *
 * @call: the call, still executing, with no payload.
 *
 * Ownership: the caller's, to release with chare_buffer_release(), also after
 *            chare_close(), but not in a forked child: large messages are in
 *            memory that it shares with its parent. The bytes stay where they
 *            are.
 * Returns:   the buffer, or NULL when the bytes cannot be taken and have to be
 *            copied: those of a broadcast, which are shared, and those for
 *            create and unpack hooks, functions and futures.
 * Since:     0.1
 */
chare_buffer *chare_call_take_buffer(const chare_call *call);

/**
 * chare_call_share_buffer() - keep a broadcast's bytes beyond the call.
 *
 * For what chare_call_take_buffer() does not give: the bytes are the same for
 * all targets on this PE, so nobody may write to them.
 *
 * @call: the call, still executing, with no payload.
 *
 * Ownership: a share, to be released as chare_call_take_buffer() says; the
 *            bytes stay until the last share is.
 * Returns:   the buffer, or NULL when the call is no broadcast.
 * Since:     0.1
 */
chare_buffer *chare_call_share_buffer(const chare_call *call);

/**
 * chare_reply_send() - answer a call.
 *
 * @runtime: the runtime that took the reply.
 * @reply:   what chare_call_take_reply() gave.
 * @data:    the result: CHARE_FORMAT_VALUE or _ERROR; NULL: done, no result.
 *
 * Returns:   as chare_send().
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_reply_send(chare_runtime *runtime,
                                               const chare_reply *reply,
                                               const chare_data *data);

/* An entry method. 'context' is what it was registered with. */
typedef void (*chare_entry_fn)(void *object, const chare_call *call,
                               void *context);

/* A function that callbacks and timers can name. */
typedef void (*chare_function_fn)(const chare_call *call, void *context);

/* What the runtime needs to know of a type of chare. */
typedef struct chare_type_ops {
    size_t size;
    const char *name; /* for messages to people; copied */

    /* Make the object from the constructor's data. NULL with any status but
     * CHARE_OK: the job ends with an error (the hook may have aborted it). */
    chare_status (*create)(const chare_call *call, void *context,
                           void **object_out);

    /* Free the object; NULL: nothing to do. */
    void (*destroy)(void *object, void *context);

    /* Run an entry method that has no function of its own; may be NULL. */
    void (*invoke)(void *object, const chare_call *call, void *type_context,
                   void *entry_context);

    /* Write the object's state, and make an object of it elsewhere, of what
     * call->bytes has, which stay until unpack returns; both NULL: chares of
     * this type cannot move. pack writes by chare_put_*(), or as it likes
     * (chare_encoder_grow()); its object lives until depart. It may return
     * CHARE_ERR_AGAIN, as when movable says false. Any other failure, of
     * either, ends the job. The chare is called on neither PE meanwhile. */
    chare_status (*pack)(void *object, void *context, chare_encoder *encoder);
    chare_status (*unpack)(const chare_call *call, void *context,
                           void **object_out);

    /* For groups that are maps of arrays: the PE of an index. The answer must
     * be the same on every PE and at all times. It may be asked from inside
     * any call about the array, and makes no calls itself. NULL: no map. */
    chare_status (*place)(void *object, const chare_index *index,
                          void *context, uint32_t *pe_out);

    /* Whether the object can move now; asked when it is to move, and again
     * right before pack; from inside chare_migrate() and chare_at_sync(), too.
     * False: chare_migrate_retry() says when to ask again. NULL: always. */
    bool (*movable)(void *object, void *context);

    /* The packed object has left this PE: free it. NULL: destroy does. */
    void (*depart)(void *object, void *context);

    /* It has come to this PE, together with those that it is bound to. */
    void (*migrated)(void *object, void *context);
} chare_type_ops;

/**
 * chare_type_register() - make a type of chare known.
 *
 * @runtime:  an open runtime. What is registered before chare_start() must be
 *            the same on every PE, in the same order; it is checked there.
 *            What is registered later must be so too, and must not be used
 *            before every PE has it: let one PE decide on the order, tell
 *            the others, and wait for their answers.
 * @ops:      the hooks; copied.
 * @context:  handed to the hooks.
 * @type_out: the type's id, the same on every PE.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - no name, no create hook, or one of
 *            pack and unpack without the other; CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_type_register(chare_runtime *runtime,
                                                  const chare_type_ops *ops,
                                                  void *context,
                                                  uint32_t *type_out);

/**
 * chare_entry_register() - make an entry method of a type known.
 *
 * @runtime:   an open runtime; as chare_type_register().
 * @type:      the type's id.
 * @name:      for messages to people; copied.
 * @function:  the method; NULL: the type's invoke hook runs it.
 * @context:   handed to the method.
 * @entry_out: the entry's id, the same on every PE, unique among all types.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - unknown type, no name, or neither
 *            function nor invoke hook; CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_entry_register(
    chare_runtime *runtime, uint32_t type, const char *name,
    chare_entry_fn function, void *context, uint32_t *entry_out);

/**
 * chare_entry_aggregate() - let calls of an entry travel together.
 *
 * Calls of such entries for chares on one other PE wait where they are made,
 * and leave as one message: when there is CHARE_AGGREGATE_BYTES of them, when
 * anything else is sent to that PE, so that the order of all calls stays what
 * it is without this, when the PE has nothing else to do, or after it has
 * polled 16 times while it was busy (CHARE_POLL apart, or an entry method, if
 * that takes longer). Each is executed by itself. They count as under way.
 * Calls that are long, or whose priority is below 0, do not wait.
 *
 * @runtime: an open runtime; on any PE, for the calls that it sends.
 * @entry:   from chare_entry_register().
 * @on:      true: from now on; false, as at first: each leaves at once.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - no such entry;
 *            CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_entry_aggregate(chare_runtime *runtime,
                                                    uint32_t entry, bool on);

/**
 * chare_function_register() - a function that callbacks can name.
 *
 * @runtime:      an open runtime; as chare_type_register().
 * @name:         for messages to people; copied.
 * @function:     called on the PE that the callback names.
 * @context:      handed to it.
 * @function_out: its id, for chare_callback_function().
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID; CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_function_register(
    chare_runtime *runtime, const char *name, chare_function_fn function,
    void *context, uint32_t *function_out);

/* The name an entry was registered with as "Type.method", or "?". */
const char *chare_entry_name(const chare_runtime *runtime, uint32_t entry);

/* ------------------------------------------------------------------------
 * Creating chares
 */

/**
 * chare_single_create() - one chare.
 *
 * @runtime:     a started runtime.
 * @type:        its type.
 * @pe:          where, or CHARE_ANY_PE.
 * @args:        for its create hook; NULL for nothing.
 * @created:     told (with no data) when it exists; NULL: nobody.
 * @element_out: its name, which can be used at once.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - no such type or PE; or as
 *            chare_send().
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_single_create(
    chare_runtime *runtime, uint32_t type, uint32_t pe, const chare_data *args,
    const chare_callback *created, chare_element *element_out);

/**
 * chare_group_create() - one chare on every PE; its index is the PE.
 *
 * Parameters and results are those of chare_single_create(); @created is told
 * when all exist.
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_group_create(
    chare_runtime *runtime, uint32_t type, const chare_data *args,
    const chare_callback *created, chare_collection *collection_out);

/**
 * chare_group_create_on() - one chare on each of some PEs.
 *
 * Broadcasts and reductions cover exactly those. A call to another PE comes
 * back as an error. The other parameters and the results are those of
 * chare_group_create().
 *
 * @pes:      the PEs, in any order, each once; copied.
 * @pe_count: how many, at least 1.
 *
 * Returns:   as chare_group_create(); CHARE_ERR_INVALID - no PE, one that is
 *            not there, or one named twice.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_group_create_on(
    chare_runtime *runtime, uint32_t type, const uint32_t *pes,
    uint32_t pe_count, const chare_data *args, const chare_callback *created,
    chare_collection *collection_out);

/**
 * chare_node_group_create() - one chare on every node; its index is the node.
 *
 * Each lives on the lowest PE of its node. Parameters and results are those
 * of chare_group_create().
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_node_group_create(
    chare_runtime *runtime, uint32_t type, const chare_data *args,
    const chare_callback *created, chare_collection *collection_out);

/* Built-in maps from an index to the PE where its chare is first placed. */
enum {
    CHARE_MAP_DEFAULT = 0,     /* block for dense arrays, hash for sparse */
    CHARE_MAP_BLOCK = 1,       /* runs of row-major indices; dense only */
    CHARE_MAP_ROUND_ROBIN = 2, /* row-major position modulo PEs; dense only */
    CHARE_MAP_HASH = 3,
    CHARE_MAP_CURVE = 4, /* runs along Morton's curve, so that neighbours are
                            mostly on one PE; dense only */
};

/* The PE of an index, a pure function: the same answer on every PE. */
typedef uint32_t (*chare_map_fn)(const chare_index *index, uint32_t pe_count,
                                 void *context);

/* Register a map, as chare_type_register(). */
CHARE_MUST_CHECK chare_status chare_map_register(chare_runtime *runtime,
                                                 chare_map_fn function,
                                                 void *context,
                                                 uint32_t *map_out);

typedef struct chare_array_options {
    size_t size;
    uint32_t type;
    uint32_t ndims;
    bool dense; /* create the chares at 0 <= at[i] < dims[i]; else none */
    int64_t dims[CHARE_DIMS_MAX];
    uint32_t map; /* CHARE_MAP_*, or from chare_map_register() */
    const chare_callback *created; /* told when all exist; dense only */

    /* A group on all PEs, of a type with a 'place' hook, that is the map; 0:
     * 'map' is. The array's chares wait until it exists. */
    chare_collection map_group;

    /* An array whose chares this one's follow: dense, dims and map are the
     * other's, ndims must be equal to it, and chares of equal index are always
     * on one PE. Insertions into a bound array name no PE; they wait for the
     * other's chare. 0: none. */
    chare_collection bind_to;

    /* Its chares take part in load balancing: each says by chare_at_sync()
     * when it may be moved. */
    bool at_sync;
} chare_array_options;

/**
 * chare_array_create() - chares at indices.
 *
 * A dense array has all its chares from the start and takes no insertions. A
 * sparse one is filled by chare_insert(), ended by chare_insert_done().
 *
 * @runtime:        a started runtime.
 * @options:        what; options->size must be set.
 * @args:           for the create hook of each; NULL for nothing.
 * @collection_out: its name, which can be used at once.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - a bad type, dimension or map; or
 *            as chare_send().
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status
chare_array_create(chare_runtime *runtime, const chare_array_options *options,
                   const chare_data *args, chare_collection *collection_out);

/**
 * chare_array_is_dense() - whether an array has all chares from the start.
 *
 * @runtime:    a started runtime.
 * @collection: an array.
 *
 * Returns:   false also when the array is not known on this PE yet.
 * Since:     0.1
 */
bool chare_array_is_dense(const chare_runtime *runtime,
                          chare_collection collection);

/**
 * chare_insert() - add one chare to a sparse array, from any PE.
 *
 * An index that is taken, and an insertion after chare_insert_done(), end the
 * job with an error that names the index.
 *
 * @runtime: a started runtime.
 * @element: its name.
 * @pe:      where, or CHARE_ANY_PE for the array's map.
 * @args:    for its create hook; NULL for nothing.
 *
 * Returns:   as chare_send(); CHARE_ERR_INVALID - not a sparse array.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_insert(chare_runtime *runtime,
                                           const chare_element *element,
                                           uint32_t pe,
                                           const chare_data *args);

/* Or-ed into the type of chare_insert_as(). */
#define CHARE_INSERT_AT_SYNC UINT32_C(0x80000000)

/**
 * chare_insert_as() - add one chare of another type than the array's.
 *
 * The array's type says what can be called on its chares; this one executes
 * the entry of its own type that has the called one's name. If it has none,
 * that is an error to who waits for the answer, else it ends the job. In all
 * else, reductions, moves and sections, it is a chare like the others: a chare
 * in C and one in Python can be in one array.
 *
 * @type: its type; or-ed with CHARE_INSERT_AT_SYNC: its array takes part in
 *        load balancing as one with at_sync, on each PE where a chare
 *        inserted so was made or has arrived. Give it with every insertion
 *        of the array, all of whose chares are to say chare_at_sync(): else
 *        chare_at_sync() of a chare without it may be refused, and chares
 *        that never say it may be waited for.
 *
 * The other parameters and the results are those of chare_insert();
 * CHARE_ERR_INVALID also if there is no such type.
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_insert_as(chare_runtime *runtime,
                                              const chare_element *element,
                                              uint32_t type, uint32_t pe,
                                              const chare_data *args);

/**
 * chare_type_of() - of which type a chare of this PE is.
 *
 * @runtime:  a started runtime.
 * @element:  its name.
 * @type_out: its type.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NOT_FOUND - it is not here; CHARE_ERR_STATE.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_type_of(chare_runtime *runtime,
                                            const chare_element *element,
                                            uint32_t *type_out);

/**
 * chare_insert_again() - what becomes of an insertion at a taken index.
 *
 * @runtime: an open runtime; the same on every PE.
 * @dropped: true: it is dropped in silence; false, as at first: it ends the
 *           job with an error.
 *
 * Since:     0.1
 */
void chare_insert_again(chare_runtime *runtime, bool dropped);

/**
 * chare_insert_done() - a sparse array is complete.
 *
 * To be called once, when all insertions were started; it waits for them.
 * Until then messages to missing chares wait, and reductions do not finish.
 *
 * @runtime:    a started runtime.
 * @collection: the array.
 * @done:       told when all is in place everywhere; NULL: nobody.
 *
 * Returns:   as chare_send(); CHARE_ERR_INVALID - not a sparse array.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_insert_done(chare_runtime *runtime,
                                                chare_collection collection,
                                                const chare_callback *done);

/**
 * chare_local_branch() - the object of a group's chare on this PE.
 *
 * @runtime: a started runtime.
 * @group:   a group, or a group of nodes.
 *
 * Returns:   what its create hook made, or NULL when there is none here.
 * Since:     0.1
 */
void *chare_local_branch(const chare_runtime *runtime, chare_collection group);

/**
 * chare_element_check() - whether there can be such a chare.
 *
 * @runtime: a started runtime.
 * @element: its name.
 *
 * Returns:   CHARE_OK            - it may exist, as far as this PE knows.
 *            CHARE_ERR_NOT_FOUND - it cannot: a PE that the group is not on,
 *                                  an index outside of a dense array.
 *            CHARE_ERR_INVALID   - no index of this collection at all.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status
chare_element_check(chare_runtime *runtime, const chare_element *element);

/**
 * chare_destroy() - the end of one chare, asked for on any PE.
 *
 * It goes the way of a call: what the same PE has called on the chare before
 * is executed first. Then its destroy hook runs, and what comes for it later
 * comes back as an error. It has taken part in all reductions that it has
 * contributed to, and is expected in no other. In a sparse array that is still
 * open its index may be inserted again once @done was told; what comes for it
 * waits until then, or until the array is complete.
 *
 * @runtime: a started runtime.
 * @element: its name.
 * @done:    told when it is gone, or an error when it never was or has been
 *           destroyed before; NULL: nobody, and then that ends the job.
 *
 * Returns:   as chare_send().
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_destroy(chare_runtime *runtime,
                                            const chare_element *element,
                                            const chare_callback *done);

/**
 * chare_migrate() - move a chare of an array to another PE.
 *
 * It moves between two of its entry methods, as soon as it can: when its home
 * has agreed, the sections that it was named for are formed, and its type's
 * movable hook lets it go. Until then it executes calls as before, and another
 * wish takes the place of this one. Its type's pack hook writes it, depart
 * frees it; unpack makes it on the other PE, where migrated is called. Chares
 * of arrays that are bound together move together.
 *
 * Each message reaches it once, wherever it is. Messages of one sender keep
 * their order as long as no move of the chare is under way.
 *
 * @runtime: a started runtime.
 * @element: its name; the chare may be on any PE. Nothing happens if it is no
 *           more when the wish arrives.
 * @pe:      where to; where it is: nothing happens.
 *
 * Returns:   as chare_send(); CHARE_ERR_INVALID - not of an array, or there is
 *            no such PE; CHARE_ERR_STATE - its type has no pack and unpack
 *            hooks (if that is not known here, it ends the job).
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_migrate(chare_runtime *runtime,
                                            const chare_element *element,
                                            uint32_t pe);

/**
 * chare_migrate_retry() - a chare's movable hook may answer differently now.
 *
 * @runtime: a started runtime.
 * @self:    a chare of this PE.
 *
 * Returns:   CHARE_OK, also when it has no wish to move; CHARE_ERR_NOT_FOUND;
 *            CHARE_ERR_STATE - no chare of this PE has, or it is not started.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_migrate_retry(chare_runtime *runtime,
                                                  const chare_element *self);

/**
 * chare_set_migratable() - whether load balancing may move a chare.
 *
 * chare_migrate() moves it in any case. The answer moves along.
 *
 * @runtime:    a started runtime.
 * @self:       a chare of this PE.
 * @migratable: false: it stays; true, as at first.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NOT_FOUND.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_set_migratable(chare_runtime *runtime,
                                                   const chare_element *self,
                                                   bool migratable);

/**
 * chare_is_migratable() - whether load balancing may move a chare.
 *
 * @runtime: a started runtime.
 * @self:    its name.
 *
 * Returns:   false also for what is no chare of an array, is elsewhere, or has
 *            a type that cannot move.
 * Since:     0.1
 */
bool chare_is_migratable(const chare_runtime *runtime,
                         const chare_element *self);

/**
 * chare_collection_destroy() - the end of all chares of a collection.
 *
 * A broadcast: those made before by the same PE are executed first. What comes
 * later is an error: of a broadcast with a reply, to who waits for that, else
 * it ends the job; where it is known, it is a status. A sparse array takes no
 * insertions any more. Nothing but a bit is kept of what was destroyed.
 *
 * Of a section only the section ends, and its members live on; see
 * chare_section_destroy().
 *
 * @runtime:    a started runtime.
 * @collection: a group, an array or a section.
 * @done:       told when all are gone, or an error when they were destroyed
 *              before; NULL: nobody.
 *
 * Returns:   as chare_broadcast(); CHARE_ERR_NOT_FOUND - it was destroyed, as
 *            far as known on this PE.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status
chare_collection_destroy(chare_runtime *runtime, chare_collection collection,
                         const chare_callback *done);

/**
 * chare_local() - the object of a chare that is on this PE.
 *
 * @runtime: a started runtime.
 * @element: its name.
 *
 * Returns:   what its create hook made, or NULL when it is not here.
 * Since:     0.1
 */
void *chare_local(const chare_runtime *runtime, const chare_element *element);

/* ------------------------------------------------------------------------
 * Load balancing
 */

/**
 * chare_at_sync() - a chare may be balanced now.
 *
 * When all chares of arrays that were created with at_sync have said so, on
 * all PEs, the job's strategy (CHARE_BALANCER, chare_lb_use()) decides which
 * move; when all have arrived, each gets its @resume.
 *
 * @runtime: a started runtime.
 * @self:    a chare of this PE, of an array with at_sync.
 * @resume:  called without data when it may go on; copied; NULL: nothing.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NOT_FOUND - it is not here;
 *            CHARE_ERR_STATE - it has said so, and was not resumed yet;
 *            CHARE_ERR_INVALID - its array has no at_sync, or @resume names
 *            nothing.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_at_sync(chare_runtime *runtime,
                                            const chare_element *self,
                                            const chare_callback *resume);

/**
 * chare_lb_use() - which strategy balances.
 *
 * @runtime: an open runtime; the same call on every PE, before the first
 *           chare_at_sync().
 * @name:    as 'chare lb --list' shows it, or as Charm4py's programs call it
 *           (GreedyRefineLB), or one of chare_lb_register(); "auto": the one
 *           that wins most, and only when more is won than it costs; "": none,
 *           then chares are resumed and stay where they are.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NOT_FOUND - there is none of this name, and
 *            all is as before.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_lb_use(chare_runtime *runtime,
                                           const char *name);

/* What a strategy is asked: arrays by object, or by PE. */
typedef struct chare_lb_problem {
    size_t size;
    size_t object_count;
    uint32_t pe_count;
    const float *work;       /* seconds on a PE of speed 1 */
    const uint32_t *from;    /* the PE that it is on */
    const uint8_t *fixed;    /* not 0: it cannot move */
    const float *speeds;     /* of PEs; 0: to be given nothing */
    const float *background; /* seconds of PEs that are not the objects' */

    /* Who talks to whom: object i has edges edge_first[i] up to
     * edge_first[i + 1], each to object edge_to[], and each is there from both
     * ends. NULL where nobody counts; see chare_lb_count_calls(). */
    const size_t *edge_first;
    const uint32_t *edge_to;
    const float *edge_bytes;    /* both ways */
    const float *edge_messages; /* the same */
} chare_lb_problem;

/*
 * Write the PE of each object into 'to', which has 'from' at first; one that
 * is fixed stays. Both are the runtime's, and gone when it returns. It may
 * call what an entry method may.
 */
typedef chare_status (*chare_lb_fn)(void *context,
                                    const chare_lb_problem *problem,
                                    uint32_t *to);

/**
 * chare_lb_register() - a strategy of one's own.
 *
 * @runtime:  an open runtime; on every PE, though only PE 0 asks it.
 * @name:     what chare_lb_use() calls it; copied. No blanks, no control
 *            characters, no '#'.
 * @strategy: decides, on PE 0. When it fails, or its answer makes no sense,
 *            that is said on stderr and nothing moves.
 * @context:  handed to it.
 *
 * Returns:   CHARE_OK; CHARE_ERR_EXISTS - the name is taken, or that of a
 *            built-in one;
 *            CHARE_ERR_INVALID - it is no name, or @strategy is NULL;
 *            CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_lb_register(chare_runtime *runtime,
                                                const char *name,
                                                chare_lb_fn strategy,
                                                void *context);

/**
 * chare_lb_set_load() - what a chare says of its own cost.
 *
 * It takes the place of what is measured, also when the chare has moved.
 *
 * @runtime: a started runtime.
 * @self:    a chare of this PE.
 * @seconds: on a PE of speed 1; below 0: measure again.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NOT_FOUND - it is not here;
 *            CHARE_ERR_INVALID - no number, or no float can be as large;
 *            CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_lb_set_load(chare_runtime *runtime,
                                                const chare_element *self,
                                                double seconds);

/**
 * chare_lb_every() - balance by the clock, without chare_at_sync().
 *
 * Chares of all arrays without at_sync whose type can move take part; they
 * move between two entry methods. One that cannot move stays, and is not
 * waited for. Nobody is told. With the strategy "auto", which is the one if
 * none was chosen, this is how long is measured; PE 0 then looks, the less
 * often the longer nothing was to be won.
 *
 * @runtime: a started runtime, of any PE; the last call counts.
 * @seconds: between the end of one balancing and the next; less than 0.001
 *           counts as that; 0: never.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - below 0, above 1e6, or no number;
 *            CHARE_ERR_STATE - it is not started.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_lb_every(chare_runtime *runtime,
                                             double seconds);

/**
 * chare_lb_history() - keep how busy each PE is, and what moves when.
 *
 * When the job ends in order, PE 0 writes it to a text file, from which
 * 'python3 -m chare.lbplot' draws a picture. Each PE keeps some kilobytes, and
 * its moves up to a megabyte, or, where that is less, its part of 256 MiB (or
 * of a quarter of CHARE_QUEUE_BYTES) for all PEs; the file says how many moves
 * it lacks. Nothing is sent before the end. It does not matter whether
 * anything is balanced.
 *
 * @runtime: an open runtime, not yet started; the same call on every PE.
 * @file:    its name, copied. What cannot be written is said on stderr.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - no name, or it has 256 bytes or
 *            more; CHARE_ERR_STATE - it has started; CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_lb_history(chare_runtime *runtime,
                                               const char *file);

/**
 * chare_lb_meter() - whether costs are measured on this PE.
 *
 * For embedders who call chare_lb_charge(): it says when that is of use.
 *
 * @runtime: an open runtime.
 *
 * Returns:   where that is told, as long as the runtime is open.
 * Since:     0.1
 */
const bool *chare_lb_meter(const chare_runtime *runtime);

/**
 * chare_lb_measure() - measure what chares of this PE cost, or do not.
 *
 * It is on once a strategy was chosen; an automatic one turns it on and off.
 * While it is on, an execution costs some
 * nanoseconds more. What a PE did otherwise before the
 * first session of chare_at_sync() counts as background only from this call
 * on: without it, that was the program's start.
 *
 * @runtime: a started runtime.
 * @on:      true: from now on.
 *
 * Since:     0.1
 */
void chare_lb_measure(chare_runtime *runtime, bool on);

/**
 * chare_lb_charge() - what was executed just now was for this chare.
 *
 * Entry methods are charged by themselves; this is for what an embedder runs
 * for a chare outside of them, such as the rest of a coroutine.
 *
 * @runtime: a started runtime.
 * @self:    a chare; nothing happens if it is not on this PE.
 *
 * Since:     0.1
 */
void chare_lb_charge(chare_runtime *runtime, const chare_element *self);

/**
 * chare_lb_begin() - what is executed from now on is for this chare.
 *
 * Until chare_lb_charge(): calls that are made meanwhile count as its own.
 *
 * @runtime: a started runtime.
 * @self:    a chare of this PE.
 *
 * Since:     0.1
 */
void chare_lb_begin(chare_runtime *runtime, const chare_element *self);

/**
 * chare_lb_count_calls() - count who calls whom, for strategies that use it.
 *
 * While costs are measured, calls of chares of arrays on each other are
 * counted, with their bytes: not broadcasts, reductions, results and calls
 * through sections. Strategies that need it ("graph", "scotch") turn it on,
 * for each call, unless this or CHARE_LB_COMM has said otherwise.
 *
 * @runtime: an open runtime; the same call on every PE.
 * @every:   count one call in so many, for all of them; 1: each; 0: none.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - above 2^20.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_lb_count_calls(chare_runtime *runtime,
                                                   uint32_t every);

enum {
    CHARE_LB_NAME_BYTES = 32,
};

/* What balancing has done. Times are those of the last session. */
typedef struct chare_lb_report {
    size_t size;
    uint64_t sessions;    /* that are over */
    uint64_t moves;       /* decided in all sessions; PE 0 knows */
    uint64_t refused;     /* of them, of chares of this PE that stayed */
    uint64_t arrived;     /* chares that came here, whoever moved them */
    uint64_t objects;     /* PE 0 knows these */
    uint64_t decision_ns; /* how long deciding took */
    double bound;         /* seconds; no assignment is better */
    double time_before;   /* seconds of the PE that had most */
    double time_after;    /* and will have most */
    uint64_t looks;       /* of an automatic strategy, at what was measured */
    double gain;          /* seconds; what it thought to win, */
    double cost;          /* and what that would cost */
    char strategy[CHARE_LB_NAME_BYTES]; /* that decided */

    /* Of chares that were balanced; 0 where nobody counts their calls. */
    double talk_messages; /* of one chare to another */
    double talk_bytes;
    double talk_lost;   /* bytes of pairs that there was no room for */
    double cut_before;  /* bytes between chares on different PEs */
    double cut_after;   /* and the same where they are to be */
    double hops_before; /* the same, by how far they go: chare lb --help */
    double hops_after;
} chare_lb_report;

/* Fill in *out, whose size must be set. */
void chare_lb_report_get(const chare_runtime *runtime, chare_lb_report *out);

/* What a PE was busy with while costs were measured last: up to the last
 * balancing, or look, that it had a part in. Seconds; 0 before that. */
typedef struct chare_lb_pe {
    size_t size;
    uint64_t chares;   /* of those that could be balanced then, here */
    double period;     /* how long was measured: the sum of these three */
    double busy;       /* with these chares */
    double idle;       /* without anything to execute */
    double background; /* with other chares, and with the runtime */
    double speed;      /* in units of PE 0's when it first looked */
    double share;      /* of a processor that it got when it wanted one: of
                          'speed', what other processes leave */
    double mhz;        /* clock of its processor now; NAN: not to be known */
    double celsius;    /* hottest sensor of its node's processors; or NAN */
    double watts;      /* of its node's packages since the last time; or NAN:
                          often only root may know */
} chare_lb_pe;

/**
 * chare_lb_pe_get() - what a PE was busy with, and how fast it is.
 *
 * Sensors are read at each call, which takes tens of microseconds.
 *
 * @runtime: an open runtime.
 * @pe:      this PE; on PE 0 also another, of which this is what it said in
 *           the last balancing that PE 0 decided, without its sensors.
 * @out:     filled in; its size must be set.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - there is no such PE;
 *            CHARE_ERR_NOT_FOUND - nothing is known of it here.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_lb_pe_get(chare_runtime *runtime,
                                              uint32_t pe, chare_lb_pe *out);

/* ------------------------------------------------------------------------
 * Sections: some of the chares of one or more collections, under one name
 *
 * A section's name is a chare_collection. A chare_broadcast() to it, and a
 * callback that broadcasts, reaches its members in the order of their indices,
 * and the results of such calls work as for a collection; its reductions are
 * those of chare_section_contribute(). It can be used as soon as it has a
 * name, on every PE that was told it: what comes before its members are known
 * waits. A chare may be in any number of sections, and is in each at most
 * once. Members do not change once a section is formed, but those that cease
 * to exist drop out. Messages of one priority from one PE to one section
 * arrive in the order made.
 *
 * Members may be of several types: an entry stands for the entry of the same
 * name of each member's type; if a type has none, the call ends the job with
 * an error.
 */

enum {
    CHARE_SECTIONS_MAX = 1 << 20 /* of one chare_section_open() */
};

/* Whether a name is that of a section. */
static inline bool
chare_is_section(chare_collection collection)
{
    return collection >> 61 == 5;
}

/**
 * chare_section_create() - a section of the chares named, from any PE.
 *
 * @runtime:     a started runtime.
 * @elements:    its members, of any collections, on any PEs; those of sparse
 *               arrays are waited for if they are yet to be inserted. One that
 *               is named twice is a member once.
 * @count:       how many; 0 makes an empty section.
 * @created:     told (with no data) when all members are known; NULL: nobody.
 * @section_out: its name, which can be used at once.
 *
 * A chare that does not exist and cannot come ends the job with an error that
 * names it, unless it is found out at once.
 *
 * Returns:   as chare_send(); CHARE_ERR_INVALID - an element that cannot be.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_create(
    chare_runtime *runtime, const chare_element *elements, size_t count,
    const chare_callback *created, chare_collection *section_out);

/**
 * chare_section_combine() - a section of all members of others.
 *
 * @runtime:     a started runtime.
 * @parts:       groups, arrays and sections; chares of sparse arrays that are
 *               not complete are waited for.
 * @part_count:  how many.
 * @created:     as above.
 * @section_out: as above.
 *
 * Returns:   as chare_send(); CHARE_ERR_INVALID - a part that is no such.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_combine(
    chare_runtime *runtime, const chare_collection *parts, size_t part_count,
    const chare_callback *created, chare_collection *section_out);

/*
 * Indices from, from + step, ... below 'to', in one dimension. Without 'to'
 * there is no end; without 'from', steps are counted from 0, and in a sparse
 * array there is no beginning. Negative bounds are counted from the end of a
 * dimension whose extent is known (of groups and dense arrays).
 */
typedef struct chare_slice {
    int64_t from;
    int64_t to;
    int64_t step; /* at least 1 */
    bool has_from;
    bool has_to;
} chare_slice;

/**
 * chare_section_slice() - a section of the chares at regular indices.
 *
 * @runtime:     a started runtime.
 * @collection:  a group or an array.
 * @slices:      which indices, one slice for each dimension.
 * @ndims:       how many; those of @collection.
 * @created:     as above.
 * @section_out: as above.
 *
 * Returns:   as chare_send(); CHARE_ERR_INVALID - not such a collection, or
 *            other dimensions, as far as known on this PE, or a bad step.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_slice(
    chare_runtime *runtime, chare_collection collection,
    const chare_slice *slices, uint32_t ndims, const chare_callback *created,
    chare_collection *section_out);

/**
 * chare_section_open() - names of sections whose members will say so.
 *
 * The names are those of @first_out and the @count - 1 numbers that follow. A
 * chare then joins by chare_section_enlist() on its own PE, and
 * chare_section_close() ends that.
 *
 * @runtime:   a started runtime.
 * @count:     how many sections, 1 to CHARE_SECTIONS_MAX.
 * @first_out: the first name.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID; CHARE_ERR_STATE.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_open(chare_runtime *runtime,
                                                 uint32_t count,
                                                 chare_collection *first_out);

/**
 * chare_section_enlist() - a chare joins a section that is open.
 *
 * @runtime: a started runtime.
 * @member:  a chare on this PE.
 * @section: from chare_section_open() on any PE.
 *
 * Returns:   CHARE_OK, also when it is a member already; CHARE_ERR_NOT_FOUND
 *            - @member is not here; CHARE_ERR_INVALID - no section;
 *            CHARE_ERR_STATE - it is closed.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_enlist(chare_runtime *runtime,
                                                   const chare_element *member,
                                                   chare_collection section);

/**
 * chare_section_close() - all who join sections have done so.
 *
 * To be called where they were opened, once, when all calls of
 * chare_section_enlist() are over.
 *
 * @runtime: a started runtime.
 * @first:   from chare_section_open().
 * @count:   as given there.
 * @over:    a group, array or section that has all their members.
 * @created: told (with no data) when all members are known; NULL: nobody.
 *
 * Returns:   as chare_send(); CHARE_ERR_INVALID - not opened here, or closed
 *            before.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_close(
    chare_runtime *runtime, chare_collection first, uint32_t count,
    chare_collection over, const chare_callback *created);

/**
 * chare_section_size() - how many members a section has, where it is known.
 *
 * @runtime:   a started runtime.
 * @section:   the section.
 * @count_out: the number of members.
 *
 * Returns:   CHARE_OK; CHARE_ERR_AGAIN - not known yet, or not on this PE: it
 *            is where the section was made, once it is formed, and where it
 *            has members; CHARE_ERR_NOT_FOUND - it was destroyed;
 *            CHARE_ERR_INVALID - no section.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_size(const chare_runtime *runtime,
                                                 chare_collection section,
                                                 uint64_t *count_out);

/**
 * chare_section_destroy() - the end of a section; its members live on.
 *
 * To be called on any PE, when nobody uses the section any more: sections are
 * values that can be anywhere, so nobody else can know. It goes the way of a
 * broadcast to the section: those made before by the same PE are executed
 * first, but for members that have moved away from where they joined, which
 * may execute them later; and it waits until the section is formed. Reductions
 * of the section that some members have contributed to complete with these.
 * Later uses are errors that name the section, as for
 * chare_collection_destroy(); one is a result that is to be broadcast to the
 * section itself.
 *
 * @runtime: a started runtime.
 * @section: the section.
 * @done:    told when it is gone everywhere, or an error when it was destroyed
 *           before; NULL: nobody.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - no section; CHARE_ERR_NOT_FOUND -
 *            it was destroyed, as far as known on this PE; CHARE_ERR_STATE.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status
chare_section_destroy(chare_runtime *runtime, chare_collection section,
                      const chare_callback *done);

/* ------------------------------------------------------------------------
 * Calling chares
 */

typedef struct chare_send_options {
    size_t size;
    int16_t priority; /* smaller runs sooner */
    bool gather;      /* broadcast: reply with all results, by index */
    const chare_callback *reply; /* told the result; NULL: nobody */
} chare_send_options;

/**
 * chare_send() - invoke an entry method of one chare, without waiting.
 *
 * Messages of equal priority from one chare to another execute in the order
 * sent, whatever their size, until either migrates. A message to a chare that
 * is not there yet waits; to one that cannot be, it comes back as an error:
 * to options->reply if there is one, else it ends the job.
 *
 * @runtime: a started runtime.
 * @target:  the chare; on any PE.
 * @entry:   from chare_entry_register().
 * @data:    the arguments; NULL for none.
 * @options: NULL for the defaults.
 *
 * Ownership: see chare_data.
 * Context:   never blocks and never runs user code.
 * Returns:   CHARE_OK            - accepted; the rest is the runtime's duty.
 *            CHARE_ERR_INVALID   - unknown @entry, a bad index.
 *            CHARE_ERR_NO_MEMORY
 *            CHARE_ERR_STATE     - not started.
 *            or what the payload's encode hook returned.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_send(chare_runtime *runtime,
                                         const chare_element *target,
                                         uint32_t entry,
                                         const chare_data *data,
                                         const chare_send_options *options);

/**
 * chare_send_if_alive() - the same, of a chare that may have been destroyed.
 *
 * If there is no such chare, the call is dropped without a word: it waits for
 * no insertion, ends no job, and options->reply is told nothing. For what is
 * of use only to a chare that the sender knows to have been there.
 *
 * Parameters, ownership, context and results are those of chare_send().
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_send_if_alive(
    chare_runtime *runtime, const chare_element *target, uint32_t entry,
    const chare_data *data, const chare_send_options *options);

/**
 * chare_broadcast() - invoke an entry method of all chares of a collection.
 *
 * Broadcasts of one priority from one PE to one collection arrive everywhere
 * in the order made; those to a sparse array also reach what is inserted
 * later. With options->reply, it is told when all have run: with no data, or
 * one of the errors, if any chare answered with one. With options->gather it
 * is told a list of the results, in the order of the indices; an error is an
 * item of it like the others.
 *
 * Parameters and results are those of chare_send().
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_broadcast(
    chare_runtime *runtime, chare_collection collection, uint32_t entry,
    const chare_data *data, const chare_send_options *options);

/**
 * chare_is_local() - whether a payload would reach the chare unencoded.
 *
 * @runtime: a started runtime.
 * @element: its name.
 *
 * Returns:   true when it is on this PE now.
 * Since:     0.1
 */
bool chare_is_local(const chare_runtime *runtime,
                    const chare_element *element);

/* ------------------------------------------------------------------------
 * Futures
 */

/**
 * chare_future_create() - a place on this PE that values can be sent to.
 *
 * @runtime:    a started runtime.
 * @function:   called for each value that comes, by the scheduler;
 *              call->format is CHARE_FORMAT_ERROR for an error.
 * @context:    handed to it.
 * @future_out: its name; it can be sent to any PE.
 *
 * Ownership: the caller releases it by chare_future_release().
 * Returns:   CHARE_OK, CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_future_create(chare_runtime *runtime,
                                                  chare_function_fn function,
                                                  void *context,
                                                  chare_future *future_out);

/**
 * chare_future_set() - send a value to a future, from any PE.
 *
 * A value for a future that was released ends the job with an error.
 *
 * @runtime: a started runtime.
 * @future:  the future.
 * @data:    CHARE_FORMAT_VALUE or _ERROR or _BYTES; NULL: no data.
 *
 * Returns:   as chare_send().
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_future_set(chare_runtime *runtime,
                                               const chare_future *future,
                                               const chare_data *data);

/**
 * chare_future_release() - no value is expected any more.
 *
 * @runtime: the runtime that created it.
 * @future:  the future.
 * @drop:    true: values that still come are dropped in silence.
 *
 * Since:     0.1
 */
void chare_future_release(chare_runtime *runtime, const chare_future *future,
                          bool drop);

/* ------------------------------------------------------------------------
 * Reductions
 */

/*
 * Built-in reducers. Their contributions are codec values: numbers, arrays of
 * one dtype and shape, or lists and tuples of such, which are combined item by
 * item; for MIN and MAX also texts. The result has that form; sums, products
 * of bools are ints, ints grow beyond 64 bits, an int that meets a float
 * becomes one; elements of arrays wrap around. AND, OR and XOR are logical: of
 * plain numbers they give a bool, of elements 0 or 1.
 */
enum {
    CHARE_REDUCE_NOP = 0, /* no data, only that all have contributed */
    CHARE_REDUCE_SUM = 1,
    CHARE_REDUCE_PRODUCT = 2,
    CHARE_REDUCE_MIN = 3,
    CHARE_REDUCE_MAX = 4,
    CHARE_REDUCE_AND = 5,
    CHARE_REDUCE_OR = 6,
    CHARE_REDUCE_XOR = 7,
    CHARE_REDUCE_GATHER = 8, /* a list of the values, by index */
};

/* One contribution or partial result, in the format it was made with. */
typedef struct chare_part {
    chare_format format;
    const void *bytes;
    size_t len;
    uint32_t source; /* the PE that it came from, plus 1; 0: not known */
} chare_part;

/*
 * Combine parts into one. It is associative; for a commutative reducer the
 * parts come in any order and grouping, for an ordered one all at once in the
 * order of the indices. An error is written with chare_put_error().
 */
typedef chare_status (*chare_combine_fn)(void *context,
                                         const chare_part *parts,
                                         size_t part_count,
                                         chare_encoder *encoder);

/**
 * chare_reducer_register() - a reducer of one's own.
 *
 * @runtime:     an open runtime; as chare_type_register().
 * @name:        for messages to people; copied. One that is called as a
 *               built-in one (sum, product, min, max, and, or, xor) takes its
 *               place in a reduction where contributions to both meet.
 * @combine:     the operation. It also sees a contribution that is alone.
 * @ordered:     true: give it all contributions at once, by index.
 * @context:     handed to it.
 * @reducer_out: its id.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID; CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_reducer_register(
    chare_runtime *runtime, const char *name, chare_combine_fn combine,
    bool ordered, void *context, uint32_t *reducer_out);

/**
 * chare_contribute() - this chare's part in its collection's next reduction.
 *
 * All chares of the collection contribute to reductions in the same order,
 * with the same reducer and callback; several may be under way. Different
 * reducers make the result an error.
 *
 * @runtime:  a started runtime.
 * @self:     a chare on this PE.
 * @reducer:  CHARE_REDUCE_* or from chare_reducer_register().
 * @value:    its value; NULL with CHARE_REDUCE_NOP.
 * @callback: told the result.
 *
 * Returns:   as chare_send(); CHARE_ERR_NOT_FOUND - @self is not here.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_contribute(chare_runtime *runtime,
                                               const chare_element *self,
                                               uint32_t reducer,
                                               const chare_data *value,
                                               const chare_callback *callback);

/**
 * chare_contribute_int() - chare_contribute() of a whole number.
 *
 * It is combined at once, without a message of its own.
 *
 * @reducer: CHARE_REDUCE_SUM to CHARE_REDUCE_XOR.
 * @value:   the number.
 *
 * The other parameters and the results are those of chare_contribute(). The
 * result is an INT, or a BIGINT where 64 bits do not do; with logical
 * reducers it is a bool.
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_contribute_int(
    chare_runtime *runtime, const chare_element *self, uint32_t reducer,
    int64_t value, const chare_callback *callback);

/**
 * chare_contribute_float() - the same of a floating-point number.
 *
 * @reducer: CHARE_REDUCE_SUM to CHARE_REDUCE_XOR.
 * @value:   the number.
 *
 * The other parameters and the results are those of chare_contribute(). The
 * result is a FLOAT; with logical reducers it is a bool.
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_contribute_float(
    chare_runtime *runtime, const chare_element *self, uint32_t reducer,
    double value, const chare_callback *callback);

/**
 * chare_section_contribute() - this chare's part in a section's reduction.
 *
 * The reductions of a section are a row of their own: its members contribute
 * to them in the same order, whatever else they contribute to.
 *
 * @runtime:  a started runtime.
 * @self:     a chare on this PE, a member of @section.
 * @section:  the section.
 *
 * The other parameters are those of chare_contribute(). That a chare is no
 * member may turn out later, because the section's members were not known here
 * yet: then the job ends with an error that names the chare and the section.
 *
 * Returns:   as chare_contribute(); CHARE_ERR_NOT_FOUND - @self is not here,
 *            or is no member, or the section was destroyed; CHARE_ERR_INVALID
 *            - no section.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_contribute(
    chare_runtime *runtime, const chare_element *self,
    chare_collection section, uint32_t reducer, const chare_data *value,
    const chare_callback *callback);

/**
 * chare_section_contribute_int() - the same of a whole number.
 *
 * It is combined at once, without a message of its own, where the members are
 * known and the chare has not moved.
 *
 * @reducer: CHARE_REDUCE_SUM to CHARE_REDUCE_XOR.
 * @value:   the number.
 *
 * The other parameters are those of chare_section_contribute(), the results
 * those of chare_contribute_int().
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status
chare_section_contribute_int(chare_runtime *runtime, const chare_element *self,
                             chare_collection section, uint32_t reducer,
                             int64_t value, const chare_callback *callback);

/**
 * chare_section_contribute_float() - the same of a floating-point number.
 *
 * @reducer: CHARE_REDUCE_SUM to CHARE_REDUCE_XOR.
 * @value:   the number.
 *
 * The other parameters are those of chare_section_contribute(), the results
 * those of chare_contribute_float().
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_section_contribute_float(
    chare_runtime *runtime, const chare_element *self,
    chare_collection section, uint32_t reducer, double value,
    const chare_callback *callback);

/* Element types of arrays; kind letter and bits, as NumPy names them. */
typedef enum chare_dtype {
    CHARE_DTYPE_NONE = 0,
    CHARE_DTYPE_BOOL = 1,
    CHARE_DTYPE_I8 = 2,
    CHARE_DTYPE_I16 = 3,
    CHARE_DTYPE_I32 = 4,
    CHARE_DTYPE_I64 = 5,
    CHARE_DTYPE_U8 = 6,
    CHARE_DTYPE_U16 = 7,
    CHARE_DTYPE_U32 = 8,
    CHARE_DTYPE_U64 = 9,
    CHARE_DTYPE_F16 = 10,
    CHARE_DTYPE_F32 = 11,
    CHARE_DTYPE_F64 = 12,
    CHARE_DTYPE_C64 = 13,  /* two F32 */
    CHARE_DTYPE_C128 = 14, /* two F64 */
} chare_dtype;

/* Bytes of one element, 0 for none. */
size_t chare_dtype_bytes(chare_dtype dtype);

/**
 * chare_contribute_array() - chare_contribute() of a plain C array.
 *
 * @dtype:  the type of the elements.
 * @values: the elements; copied.
 * @count:  how many; the same in every chare.
 *
 * The other parameters and the results are those of chare_contribute(). The
 * result is an array value, see chare_get().
 *
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status
chare_contribute_array(chare_runtime *runtime, const chare_element *self,
                       uint32_t reducer, chare_dtype dtype, const void *values,
                       size_t count, const chare_callback *callback);

/* ------------------------------------------------------------------------
 * Quiescence and timers
 */

/**
 * chare_quiescence() - tell when nothing is executing, queued or under way.
 *
 * @runtime:  a started runtime.
 * @callback: told once, with no data. Its own message does not count.
 *
 * Returns:   as chare_send().
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_quiescence(chare_runtime *runtime,
                                               const chare_callback *callback);

/**
 * chare_timer_start() - call a function later.
 *
 * @runtime:   a started runtime.
 * @delay_ns:  at least this long.
 * @function:  called once by the scheduler of this PE, with call->argument
 *             the timer's id.
 * @context:   handed to it.
 * @timer_out: for chare_timer_stop(); may be NULL.
 *
 * Returns:   CHARE_OK, CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_timer_start(chare_runtime *runtime,
                                                uint64_t delay_ns,
                                                chare_function_fn function,
                                                void *context,
                                                uint64_t *timer_out);

/**
 * chare_timer_stop() - forget a timer that has not fired.
 *
 * @runtime: a started runtime.
 * @timer:   from chare_timer_start().
 *
 * Returns:   true when it had not fired, and now never will.
 * Since:     0.1
 */
bool chare_timer_stop(chare_runtime *runtime, uint64_t timer);

/* ------------------------------------------------------------------------
 * The value codec
 *
 * A self-describing binary form that C and Python chares share. A value is a
 * tag byte and what belongs to it; containers are followed by their items.
 * Bytes are in the machine's own order; CHARE_CODEC_VERSION is exchanged at
 * the start.
 */

#define CHARE_CODEC_VERSION 2

enum {
    CHARE_CODEC_DEPTH_MAX = 200 /* nesting of containers */
};

typedef enum chare_tag {
    CHARE_TAG_END = 0, /* only from chare_get(): no more bytes */
    CHARE_TAG_NONE = 1,
    CHARE_TAG_FALSE = 2,
    CHARE_TAG_TRUE = 3,
    CHARE_TAG_INT = 4,    /* fits 64 bits, signed */
    CHARE_TAG_BIGINT = 5, /* two's complement, little end first, any length */
    CHARE_TAG_FLOAT = 6,
    CHARE_TAG_COMPLEX = 7,
    CHARE_TAG_STR = 8, /* UTF-8 (surrogates passed through) */
    CHARE_TAG_BYTES = 9,
    CHARE_TAG_BYTEARRAY = 10,
    CHARE_TAG_TUPLE = 11,     /* count items follow */
    CHARE_TAG_LIST = 12,      /* count items follow */
    CHARE_TAG_DICT = 13,      /* count pairs of items follow */
    CHARE_TAG_SET = 14,       /* count items follow */
    CHARE_TAG_FROZENSET = 15, /* count items follow */
    CHARE_TAG_ARRAY = 16,     /* an n-dimensional array, data 16-aligned */
    CHARE_TAG_SCALAR = 17,    /* one array element, as a scalar */
    CHARE_TAG_EXTERN = 18,    /* bytes that 'kind' says how to understand */
    CHARE_TAG_ELEMENT = 19,   /* a chare_element */
    CHARE_TAG_FUTURE = 20,    /* a chare_future */
    CHARE_TAG_CALLBACK = 21,  /* a chare_callback */
    CHARE_TAG_ERROR = 22,     /* 3 items follow: see chare_put_error() */
    CHARE_TAG_PROXY = 26,     /* a chare_proxy */
} chare_tag;

enum {
    CHARE_ARRAY_DIMS_MAX = 64,
    /* Larger arrays leave room in their message for values in front, so that
     * who keeps the message can send them on by chare_put_array_of(). */
    CHARE_KEEP_BYTES_MIN = 64 * 1024,
};

/* What a proxy names. */
typedef enum chare_proxy_kind {
    CHARE_PROXY_SINGLE = 1,
    CHARE_PROXY_GROUP = 2,
    CHARE_PROXY_ARRAY = 3,
    CHARE_PROXY_MAIN = 4, /* the main chare of a Python program */
    CHARE_PROXY_SECTION = 5,
} chare_proxy_kind;

enum {
    CHARE_NO_TYPE = 0x7fffffff, /* of a proxy: not known */
    CHARE_PROXY_PARTS_MAX = 32, /* types of a section's members */
};

/*
 * The name of a chare or of a whole collection with what is needed to call it:
 * what a Python program passes as a proxy. See chare_proxy_call().
 */
typedef struct chare_proxy {
    chare_element element; /* index.ndims 0: all of the collection */
    uint32_t type;         /* its entries can be called; or CHARE_NO_TYPE */
    uint8_t kind;          /* chare_proxy_kind */
    uint8_t ndims;         /* of the collection; 0: not known */
    uint8_t part_count;    /* of a section of several types: so many */
    uint8_t reserved;
    const void *parts; /* and these, uint32_t; they may be unaligned */
} chare_proxy;

/* How an array lies in memory. */
enum {
    CHARE_ARRAY_C_ORDER = 0,
    CHARE_ARRAY_FORTRAN_ORDER = 1,
    CHARE_ARRAY_READ_ONLY = 2, /* a flag, added to the above */
    CHARE_ARRAY_SWAPPED = 4,   /* a flag: bytes of elements are swapped */
};

/* One item, as chare_get() reads it; pointers point into the bytes. */
typedef struct chare_value {
    chare_tag tag;
    union {
        int64_t integer;
        double real;
        struct {
            double real;
            double imag;
        } pair;  /* COMPLEX */
        struct { /* STR, BYTES, BYTEARRAY, BIGINT, EXTERN, SCALAR */
            const void *at;
            size_t len;
            uint32_t kind;     /* EXTERN */
            chare_dtype dtype; /* SCALAR */
        } bytes;
        size_t count; /* containers */
        struct {
            chare_dtype dtype;
            uint32_t ndims;
            uint32_t flags;
            const int64_t *shape; /* ndims of them */
            const void *data;
            size_t len; /* of the data, in bytes */
        } array;
        chare_element element;
        chare_future future;
        chare_callback callback;
        chare_proxy proxy;
    } as;
} chare_value;

/*
 * Where values are written: into a buffer that grows. The first error sticks
 * in 'status', so that it is enough to look at the end.
 */
struct chare_encoder {
    unsigned char *at;  /* the next byte */
    unsigned char *end; /* the end of the room */
    chare_buffer *buffer;
    chare_status status;
};

/* Where values are read from; any bytes are safe to read. */
struct chare_decoder {
    const unsigned char *start;
    const unsigned char *at;
    const unsigned char *end;
};

/**
 * chare_encoder_init() - start to write values.
 *
 * @encoder:  the caller's.
 * @runtime:  an open runtime.
 * @room:     bytes expected; it grows beyond.
 *
 * Returns:   CHARE_OK, CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_encoder_init(chare_encoder *encoder,
                                                 chare_runtime *runtime,
                                                 size_t room);

/**
 * chare_encoder_take() - end writing; the buffer is the caller's.
 *
 * @encoder:    the encoder, which is empty afterwards.
 * @buffer_out: the buffer with what was written.
 *
 * Returns:   CHARE_OK, or the first error, and then nothing is left.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_encoder_take(chare_encoder *encoder,
                                                 chare_buffer **buffer_out);

/* Give up what was written; also after an error. */
void chare_encoder_fini(chare_encoder *encoder);

/*
 * Make room for 'bytes' more and return true; false: encoder->status says
 * why. To write into encoder->at directly.
 */
bool chare_encoder_grow(chare_encoder *encoder, size_t bytes);

/* The writers, one for each tag. They never fail but set encoder->status. */
void chare_put_none(chare_encoder *encoder);
void chare_put_bool(chare_encoder *encoder, bool value);
void chare_put_int(chare_encoder *encoder, int64_t value);
void chare_put_bigint(chare_encoder *encoder, const void *bytes, size_t len);
void chare_put_float(chare_encoder *encoder, double value);
void chare_put_complex(chare_encoder *encoder, double real, double imag);
void chare_put_str(chare_encoder *encoder, const char *text, size_t len);
void chare_put_bytes(chare_encoder *encoder, const void *bytes, size_t len);
void chare_put_bytearray(chare_encoder *encoder, const void *bytes,
                         size_t len);

/* A container of 'count' items (DICT: pairs), which are to be put next. */
void chare_put_container(chare_encoder *encoder, chare_tag tag, size_t count);

/*
 * An array; returns where its 'len' bytes of elements are to be written, or
 * NULL on error. 'len' must be the product of shape and element size.
 */
void *chare_put_array(chare_encoder *encoder, chare_dtype dtype,
                      uint32_t flags, uint32_t ndims, const int64_t *shape,
                      size_t len);
void chare_put_scalar(chare_encoder *encoder, chare_dtype dtype,
                      const void *element);

/**
 * chare_put_array_of() - put an array whose elements lie in a buffer already.
 *
 * It is put between values: behind the first 'behind' bytes of what was
 * written. Where the buffer has room for the values in front of and behind the
 * elements, the encoder goes on in this buffer, and nothing is copied but
 * them; else the elements are copied.
 *
 * @encoder: the encoder; after an error it stays as it is.
 * @behind:  a number of bytes, which ends a value or the head of a container.
 * @array:   an ARRAY; as.array.data points into the buffer, at a multiple of
 *           16 from its start, or the elements are copied.
 * @buffer:  the buffer.
 *
 * Ownership: takes @buffer over, in any case.
 * Returns:   true if nothing was copied.
 * Since:     0.1
 */
bool chare_put_array_of(chare_encoder *encoder, size_t behind,
                        const chare_value *array, chare_buffer *buffer);

/* Bytes in a form of the user's own; 'kind' is theirs to choose. */
void chare_put_extern(chare_encoder *encoder, uint32_t kind, const void *bytes,
                      size_t len);
void chare_put_element(chare_encoder *encoder, const chare_element *element);
void chare_put_future(chare_encoder *encoder, const chare_future *future);
void chare_put_callback(chare_encoder *encoder,
                        const chare_callback *callback);
void chare_put_proxy(chare_encoder *encoder, const chare_proxy *proxy);

/*
 * An error: what kind (such as "ValueError"), a message, and details for
 * people such as a traceback (may be ""). Its items are three STRs; with
 * 'has_object' one more value is to be put next, the error as an object.
 */
void chare_put_error(chare_encoder *encoder, const char *kind,
                     const char *message, const char *details,
                     bool has_object);

/*
 * Read from bytes that start 16-byte aligned, as those of a message do;
 * arrays in bytes that do not are CHARE_ERR_FORMAT.
 */
static inline void
chare_decoder_init(chare_decoder *decoder, const void *bytes, size_t len)
{
    decoder->start = (const unsigned char *)bytes;
    decoder->at = decoder->start;
    decoder->end = len > 0 ? decoder->start + len : decoder->start;
}

/**
 * chare_get() - read the next item.
 *
 * After a container come its items, one call each. The bytes may come from
 * anywhere: what is read never lies outside them, and counts and lengths are
 * never larger than the bytes that are left. Nesting is the caller's to limit.
 *
 * @decoder:   where; moved behind the item, unless it fails.
 * @value_out: the item; CHARE_TAG_END at the end of the bytes. For ERROR,
 *             as.count is 3 or 4 and so many items follow.
 *
 * Context:   any thread.
 * Returns:   CHARE_OK; CHARE_ERR_FORMAT - these are no values.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_get(chare_decoder *decoder,
                                        chare_value *value_out);

/**
 * chare_skip() - pass over one item with all that it contains.
 *
 * @decoder: what is read from.
 *
 * Returns:   CHARE_OK; CHARE_ERR_FORMAT - no values, or nested too deeply.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_skip(chare_decoder *decoder);

/* ------------------------------------------------------------------------
 * Arguments and results, the same for C and Python
 *
 * What a Python program passes, and what C reads, by chare_arg() or a function
 * for one kind:
 *
 *   int                INT; BIGINT beyond 64 bits
 *   float, complex     FLOAT, COMPLEX
 *   bool, None         TRUE or FALSE, NONE
 *   str, bytes         STR (UTF-8, without a NUL), BYTES
 *   tuple, list        TUPLE, LIST, followed by their items; DICT and the sets
 *   NumPy array        ARRAY: dtype, shape, and its elements where they lie in
 *                      the message, without a copy; NumPy scalar: SCALAR
 *   proxy              PROXY
 *   future, p.method   FUTURE, CALLBACK: chare_arg_callback() reads both
 *
 * Any other object has no meaning in C: a call of a class in C with one is a
 * TypeError where it is made.
 */

/* The arguments of one call, being read; the caller's. */
typedef struct chare_args {
    chare_runtime *runtime;
    const chare_call *call;
    size_t count;        /* arguments that there are */
    size_t taken;        /* of them, so many were read */
    chare_status status; /* the first error, which sticks */

    /* private */
    chare_decoder decoder;
    chare_encoder result;
    size_t nested; /* items of a container that are to be read */
    chare_buffer *bytes;
    const char *params;
    bool has_result;
    char error_kind[32];
    char error[320];
} chare_args;

/**
 * chare_args_open() - begin to read the arguments of a call, or a result.
 *
 * For entry methods that were registered one by one, and for functions of
 * futures, whose one argument is the value; an error value is a
 * CHARE_ERR_STATE with its text. Methods of plug-ins get theirs open.
 *
 * @args: the caller's; to be closed.
 * @call: the call, still executing.
 *
 * Returns:   CHARE_OK; or args->status, as all that is read then says, too.
 * Since:     0.1
 */
chare_status chare_args_open(chare_args *args, const chare_call *call);

/* Release what reading has taken; also after an error. */
void chare_args_close(chare_args *args);

/**
 * chare_arg() - the next argument, of any kind.
 *
 * After a container come its items, one call each, which do not count.
 *
 * @args:      open.
 * @value_out: the argument; its pointers hold until the call returns.
 *
 * Returns:   CHARE_OK, or args->status: there is none, or the bytes are no
 *            values.
 * Since:     0.1
 */
chare_status chare_arg(chare_args *args, chare_value *value_out);

/*
 * The next argument as what it is to be. An argument of another kind, or none,
 * makes args->status an error that names it, and then they return 0 or NULL:
 * look at chare_args_end() when all are read.
 */

/* A whole number of 64 bits; a bool is one, too, and a NumPy scalar. */
int64_t chare_arg_int(chare_args *args);

/* A number; an int is one, too. */
double chare_arg_float(chare_args *args);

/* True or False. */
bool chare_arg_bool(chare_args *args);

/* A text in UTF-8, without a NUL behind it, until the call returns. */
const char *chare_arg_str(chare_args *args, size_t *len_out);

/* Bytes, or a bytearray, until the call returns. */
const void *chare_arg_bytes(chare_args *args, size_t *len_out);

/**
 * chare_arg_array() - the next argument, an array in C order.
 *
 * @args:      open.
 * @dtype:     what its elements are to be.
 * @value_out: its shape and length; or NULL.
 *
 * Returns:   its elements, in the message, until the call returns; or NULL.
 * Since:     0.1
 */
const void *chare_arg_array(chare_args *args, chare_dtype dtype,
                            chare_value *value_out);

/* A proxy, of anything. */
void chare_arg_proxy(chare_args *args, chare_proxy *proxy_out);

/* A future or a proxy's method: where a result may go. None: nowhere. */
void chare_arg_callback(chare_args *args, chare_callback *callback_out);

/**
 * chare_args_end() - all arguments were to be read.
 *
 * @args: open.
 *
 * Returns:   CHARE_OK; or args->status, also if some are left.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_args_end(chare_args *args);

/**
 * chare_args_fail() - the call fails.
 *
 * @args: open.
 * @kind: of the exception that a Python caller gets, such as "ValueError".
 * @text: the message; copied.
 *
 * Returns:   CHARE_ERR_INVALID, to be returned by the method.
 * Since:     0.1
 */
chare_status chare_args_fail(chare_args *args, const char *kind,
                             const char *text);

/* The text of the error that args->status stands for; "" if there is none. */
const char *chare_args_error(const chare_args *args);

/* Where a plug-in's method puts its result, one value; without: None. */
chare_encoder *chare_args_result(chare_args *args);

/**
 * chare_call_begin() - begin to write the arguments of a call.
 *
 * They are put next; then chare_proxy_call() makes it.
 *
 * @encoder: the caller's.
 * @runtime: an open runtime.
 * @count:   how many arguments.
 *
 * Returns:   CHARE_OK, CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_call_begin(chare_encoder *encoder,
                                               chare_runtime *runtime,
                                               size_t count);

/**
 * chare_proxy_call() - call a method of a chare, or of all of a collection.
 *
 * @runtime: a started runtime.
 * @proxy:   whose; of a class in C or in Python.
 * @entry:   from chare_entry_find(). A method in Python with keyword-only
 *           parameters takes a dict of them, or None, behind the others.
 * @encoder: with the arguments, which is empty afterwards; NULL: none.
 * @options: as for chare_send().
 *
 * Returns:   as chare_send() or chare_broadcast(); what was put is gone.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_proxy_call(
    chare_runtime *runtime, const chare_proxy *proxy, uint32_t entry,
    chare_encoder *encoder, const chare_send_options *options);

/**
 * chare_proxy_of() - the proxy of a chare, or of a collection.
 *
 * @runtime:   a started runtime.
 * @element:   its name; index.ndims 0: all of the collection.
 * @proxy_out: what can be sent to Python.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NOT_FOUND - not known on this PE, which a
 *            chare's own collection always is.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_proxy_of(chare_runtime *runtime,
                                             const chare_element *element,
                                             chare_proxy *proxy_out);

/**
 * chare_type_find() - a type by the name that it was registered with.
 *
 * A Python class is called as reports call it: "Worker" in the main module,
 * else "module.Worker".
 *
 * @runtime:  an open runtime.
 * @name:     the type's.
 * @type_out: its id.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NOT_FOUND.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_type_find(const chare_runtime *runtime,
                                              const char *name,
                                              uint32_t *type_out);

/**
 * chare_entry_find() - an entry method by its name.
 *
 * It looks through all of them: keep what it found.
 *
 * @runtime:   an open runtime.
 * @type:      such as a proxy's.
 * @name:      the method's.
 * @entry_out: its id.
 *
 * Returns:   CHARE_OK; CHARE_ERR_NOT_FOUND.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status chare_entry_find(const chare_runtime *runtime,
                                               uint32_t type, const char *name,
                                               uint32_t *entry_out);

/* ------------------------------------------------------------------------
 * Plug-ins: classes in C for programs in Python
 *
 * A plug-in is a shared library that is linked with libchare and exports one
 * table:
 *
 *   static const chare_method cell_methods[] = {
 *       {"add", cell_add, "amount", "Add; the new sum."},
 *       {NULL, NULL, NULL, NULL},
 *   };
 *   static const chare_class classes[] = {
 *       {.name = "Cell", .create = cell_create, .params = "sum",
 *        .destroy = free, .methods = cell_methods},
 *       {.name = NULL},
 *   };
 *   CHARE_PLUGIN = {CHARE_PLUGIN_ABI, "cells", "Cells in C.", classes};
 *
 * In Python, cells = charm.load("./libcells.so") before charm.start(), then
 * Array(cells.Cell, 8, args=[0]). A library stays loaded to the end of its
 * process.
 */

#define CHARE_PLUGIN_ABI 1u

/* The symbol, for who looks it up. */
#define CHARE_PLUGIN_SYMBOL "chare_plugin_exported"

#define CHARE_PLUGIN                                 \
    extern const chare_plugin chare_plugin_exported; \
    __attribute__((visibility("default")))           \
    const chare_plugin chare_plugin_exported

/*
 * A method. What it puts into chare_args_result() is its result. Any status
 * but CHARE_OK is an exception to who awaits the result, and else ends the job
 * with a report: what chare_args_fail() said, an argument that could not be
 * read, or the status. It may answer later by chare_call_take_reply().
 */
typedef chare_status (*chare_method_fn)(void *object, chare_args *args);

typedef struct chare_method {
    const char *name;
    chare_method_fn function;
    const char *params; /* names: "x, y"; "x, y=" may be left out: then there
                           are fewer arguments; NULL: any */
    const char *doc;    /* may be NULL */
} chare_method;

typedef struct chare_class {
    const char *name;
    const char *doc;    /* may be NULL */
    const char *params; /* of the constructor, as of a method */

    /* Make a chare; args->call->self is its name. A failure ends the job. */
    chare_status (*create)(chare_args *args, void **object_out);
    void (*destroy)(void *object); /* NULL: nothing to do */

    /* Write the state as values, and make an object of them elsewhere; both
     * NULL: its chares do not move. What has left is destroyed. */
    chare_status (*pack)(void *object, chare_encoder *encoder);
    chare_status (*unpack)(chare_args *state, void **object_out);

    const chare_method *methods; /* ends with one without a name */
} chare_class;

typedef struct chare_plugin {
    uint32_t abi; /* CHARE_PLUGIN_ABI */
    const char *name;
    const char *doc;
    const chare_class *classes; /* ends with one without a name */
} chare_plugin;

/**
 * chare_plugin_register() - make the classes of a plug-in known.
 *
 * Their types are called "plugin.Class". Each also has the entries
 * "awaitCreation", which only answers, "migrate" (to a PE) and
 * "setMigratable" (a bool).
 *
 * @runtime: an open runtime, on every PE, as chare_type_register().
 * @plugin:  stays as it is while the runtime is open.
 *
 * Returns:   CHARE_OK; CHARE_ERR_INVALID - another ABI, or a class or method
 *            without what it needs, or a name that is too long;
 *            CHARE_ERR_EXISTS - a class of this name is known;
 *            CHARE_ERR_NO_MEMORY.
 * Since:     0.1
 */
CHARE_MUST_CHECK chare_status
chare_plugin_register(chare_runtime *runtime, const chare_plugin *plugin);

#ifdef __cplusplus
}
#endif

#endif /* CHARE_H */
