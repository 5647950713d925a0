/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_STATE_H
#define CHARE_PY_STATE_H

/*
 * state.h - everything the extension remembers, and what its files offer
 * each other.
 *
 * Two structs hold it all: 'core_state' belongs to the module, 'core_pe' to
 * one runtime. There is no static PyObject. Hooks of the runtime find their
 * PE through chare_user(); Python code finds it through 'current', which is
 * set before each call into Python.
 *
 * Everything here needs the GIL, which is given up only while the runtime
 * blocks (pe.c).
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <chare.h>

enum {
    CORE_PAYLOAD_ARGS_MAX = 8,     /* more arguments are encoded */
    CORE_PAYLOADS_KEPT_MAX = 1024, /* free ones of each size */
    CORE_ELSEWHERE_CALLS = 64,     /* before a proxy looks again */
    CORE_FUTURES_KEPT_MAX = 256,   /* free ones */
    CORE_PLAIN_DEPTH_MAX = 4,      /* nested tuples that are passed as such */
    CORE_COROUTINES_KEPT_MAX = 256,
    CORE_DTYPE_COUNT = CHARE_DTYPE_C128 + 1,
    CORE_ARGS_INLINE = 8,          /* arguments kept without an allocation */
    CORE_SECTION_CLASSES_MAX = 32, /* of the chares of one section */
    CORE_KEEP_BYTES_MIN =
        CHARE_KEEP_BYTES_MIN, /* larger arrays keep their message */
};

/* What CHARE_TAG_EXTERN carries for us. */
enum {
    CORE_EXTERN_PICKLE = 1,       /* a pickle */
    CORE_EXTERN_PICKLE_PARTS = 2, /* one whose buffers follow in the tuple */
    CORE_EXTERN_FUTURE = 4,       /* of a chare that moves; follow.c */
};

enum {
    CORE_FLAVOUR_HOST_SHIFT = 8 /* above it: core_chare.host */
};

/* The kinds of collections, as Python users tell them apart. */
enum core_flavour {
    CORE_FLAVOUR_NONE = 0, /* a chare made by hand, outside the runtime */
    CORE_FLAVOUR_SINGLE = 1,
    CORE_FLAVOUR_GROUP = 2,
    CORE_FLAVOUR_ARRAY = 3,
    CORE_FLAVOUR_MAIN = 4,
    CORE_FLAVOUR_SECTION = 5,
};

/* What NumPy offers, once it is there. */
struct core_numpy {
    PyObject *ndarray;
    PyObject *generic;
    PyObject *empty;
    PyObject *dtypes[CORE_DTYPE_COUNT];
    PyObject *swapped[CORE_DTYPE_COUNT];
    PyObject *dtype_codes; /* scalar type -> chare_dtype */
    void **interface;      /* see ndarray.h; or NULL */
    int recent;            /* the chare_dtype that was looked up last */
};

struct core_payload;
struct core_coroutine;
struct core_future;
struct core_waiter;
struct core_chare;
struct core_held;
struct core_origin;
struct core_channels;

struct core_state {
    PyTypeObject *CallbackType;
    PyTypeObject *ChannelType;
    PyTypeObject *ChareType;
    PyTypeObject *ClassType;
    PyTypeObject *ConditionType;
    PyTypeObject *CoroutineType;
    PyTypeObject *FutureType;
    PyTypeObject *MemoryType;
    PyTypeObject *MovedType;
    const chare_buffer *moved_into; /* the last message of move.c, for it */
    struct core_origin *origin;     /* memory.c */
    PyTypeObject *MethodType;
    PyTypeObject *ProxyType;
    PyTypeObject *ReducerType;
    PyTypeObject *TaskType;
    PyObject *CancelledError;
    PyObject *ChannelClosed;
    PyObject *Destroyed;
    PyObject *Error;
    PyObject *NotThreadedError;
    PyObject *name_ret;
    PyObject *name_awaitable;
    PyObject *name_priority;
    PyObject *name_when;
    PyObject *name_migrated;
    PyObject *name_nobody;
    PyObject *no_args;  /* () */
    PyObject *support;  /* module chare._support, or NULL: not yet needed */
    PyObject *classes;  /* list: type id -> Class, or None */
    PyObject *shared;   /* dict: types -> Class of a section, or NULL */
    PyObject *reducers; /* dict: id -> ReducerType */
    struct core_entry **entries; /* by id; NULL where not ours */
    uint32_t entry_room;
    struct core_numpy numpy;
    void **greenlet; /* greenlet's C interface */
    struct core_payload *payloads[CORE_PAYLOAD_ARGS_MAX + 1];
    uint32_t payload_counts[CORE_PAYLOAD_ARGS_MAX + 1];
    struct core_future *futures; /* free ones, by 'next' */
    uint32_t future_count;
    struct core_pe *pe;      /* the one of this process; freed at the end */
    struct core_pe *current; /* the running one, or NULL */
    bool error_items;        /* a broadcast's errors are items of its result */
    bool open_constructors;  /* nothing waits for constructors to end */
    bool near;               /* what is encoded stays on this PE */
    const struct core_entry *strict; /* what is encoded is for this one, in C:
                                        nothing is pickled; or NULL */
    bool instantiating; /* the runtime makes a chare, and no user */
};

/* Arguments of a broadcast that all chares of this PE may have alike. */
struct core_shared {
    const void *bytes; /* they were read from; NULL: there are none */
    uint64_t more;     /* calls that are to come */
    Py_ssize_t count;
    PyObject *args[CORE_ARGS_INLINE]; /* owned */
};

/* One runtime. */
struct core_pe {
    struct core_state *state;
    chare_runtime *runtime;
    uint32_t rank;
    bool started;
    bool forked;           /* this process is a child of the PE */
    bool exiting;          /* chare_exit() or chare_abort() was called here */
    bool profiling;        /* entry methods are measured */
    const bool *measuring; /* what chares cost, for load balancing */
    PyObject *strategy;    /* of load balancing, in Python; or NULL */
    bool strategy_failed;  /* and that was said */
    const chare_lb_problem *asked; /* by it, now; or NULL */
    bool forgives;                 /* uncaught exceptions do not end the job */
    uint64_t encodings; /* payloads that were encoded after all; from 1 */
    struct core_coroutine *coroutine; /* what runs, or NULL */
    struct core_waiter *task;         /* the same of native coroutines */
    struct core_waiter *waiting;      /* what is suspended; owned */
    uint64_t waiting_count;
    PyObject **ready; /* the ready queue, a ring; waiter.c */
    uint32_t ready_first;
    uint32_t ready_count;
    uint32_t ready_room;
    struct core_chare *touched; /* look at what waits in these; when.c */
    struct core_chare *touched_last;
    uint64_t held_count;       /* waiting for conditions */
    bool flush_auto;           /* look after each entry method */
    struct core_shared shared; /* arguments of a broadcast; invoke.c */
    chare_collection called;   /* by the message: a collection or a section */
    const struct core_entry *running; /* the entry method, for messages */
    PyObject **args;           /* the running method's, with arrays, that came
                             encoded or waited; to be let go by move() */
    Py_ssize_t arg_count;      /* of those; 0: none */
    struct core_chare *moving; /* it is packed, or unpacked; or NULL */
    chare_encoder *luggage;    /* what it is packed into; or NULL */
    bool unmovable;            /* some chare was to move and could not yet */
    PyObject *scheduler;       /* its greenlet */
    struct core_coroutine *parked; /* coroutines without a task */
    uint32_t parked_count;
    struct core_future *pending; /* incomplete futures; each is owned */
    struct core_timer *timers;   /* not yet fired */
    uint32_t post;         /* function id: results of reducers with a 'post' */
    uint32_t followed;     /* function id: values sent after a chare */
    PyObject *known;       /* dict: id -> address of a future that was sent */
    PyThreadState *thread; /* while blocked */
    PyObject *inbox;       /* list: (function, args) of other threads */
    pthread_t owner;       /* the thread that may use the runtime */
};

extern struct PyModuleDef core_module;

static inline struct core_state *
core_state_get(PyObject *module)
{
    return (struct core_state *)PyModule_GetState(module);
}

/* The state, from one of our own types (not one made by a user). */
static inline struct core_state *
core_state_of(PyTypeObject *defining_class)
{
    return (struct core_state *)PyType_GetModuleState(defining_class);
}

/* An id in hexadecimal, which PyUnicode_FromFormat() cannot do before 3.12. */
enum {
    CORE_ID_TEXT_BYTES = 17
};

static inline void
core_id_text(uint64_t id, char *text_out)
{
    PyOS_snprintf(text_out, CORE_ID_TEXT_BYTES, "%llx",
                  (unsigned long long)id);
}

static inline bool
core_pe_is_ours(const struct core_pe *pe)
{
    return pthread_equal(pe->owner, pthread_self()) != 0;
}

struct core_pe *core_pe_missing(struct core_state *state);

/* The running PE; NULL with an exception when there is none. */
static inline struct core_pe *
core_pe_get(struct core_state *state)
{
    struct core_pe *pe = state->current;

    return pe != NULL && core_pe_is_ours(pe) ? pe : core_pe_missing(state);
}

/* ---- module.c */

/* A function of the pure layer; slow paths only. New reference. */
PyObject *core_support(struct core_state *state, const char *name);

/* ---- error.c */

/* Set the exception for a failed call, and return NULL. */
PyObject *core_raise(struct core_state *state, chare_status status,
                     const char *what);

/* Raise the exception that a function of _mistakes.py makes of some objects,
 * as many as PyObject_CallFunction()'s format says, the name first ("s...").
 * Takes no exception over; returns NULL. */
PyObject *core_mistake(struct core_state *state, const char *format, ...);

/* The exception that is set, in words for what cannot be sent: 'what' is the
 * method, 'names' are its parameters or None for its result. */
void core_unsendable(struct core_state *state, PyObject *what, PyObject *names,
                     PyObject *const *values, Py_ssize_t count);

/*
 * An entry method or callable left an exception set: send it to who waits for
 * the reply, or end the job. Clears the exception.
 */
void core_failed(struct core_pe *pe, const struct core_entry *entry,
                 const chare_element *self, const chare_reply *reply);

/* The same where the chare, or NULL, is at hand. */
void core_failed_of(struct core_pe *pe, const struct core_entry *entry,
                    const struct core_chare *chare, const chare_reply *reply);

/* Send an exception as the answer; false: it could not be sent. */
bool core_error_reply(struct core_pe *pe, PyObject *error,
                      const chare_reply *reply);

/* The same for what is not an entry method; 'what' names it. */
void core_failed_in(struct core_pe *pe, const char *what);
void core_failed_in_function(struct core_pe *pe, PyObject *function);

/* Whether the exception that is set is for who asked, not for the job. */
bool core_error_travels(void);

/* Take the exception that is set; new reference, or NULL. */
PyObject *core_exception_take(void);

/* Write an exception as an ERROR value; clears no exception, sets one on
 * failure and returns -1. */
int core_error_encode(struct core_pe *pe, chare_encoder *encoder,
                      PyObject *error);

/* What get() of a broadcast's results is to raise; new reference, or NULL. */
PyObject *core_error_among(struct core_pe *pe, PyObject *results);

/* Read the items behind an ERROR tag; new reference. */
struct core_reader;
PyObject *core_error_decode(struct core_reader *reader, size_t item_count);

/* ---- encode.c, decode.c, array.c, memory.c, payload.c */

#include "codec.h"

/* ---- entry.c: entry methods and their signatures */

enum {
    CORE_ENTRY_COROUTINE = 1,     /* runs in a greenlet */
    CORE_ENTRY_NO_SELF = 2,       /* a static method */
    CORE_ENTRY_KEYWORDS = 4,      /* the last argument is a dict, or None */
    CORE_ENTRY_GENERATOR = 8,     /* calls are refused: it would never run */
    CORE_ENTRY_MOVABLE = 16,      /* begins again where its chare moves to */
    CORE_ENTRY_HAS_PRIORITY = 32, /* a parameter of its own: priority */
    CORE_ENTRY_HAS_WHEN = 64,     /* a parameter of its own: when */
    CORE_ENTRY_AGGREGATE = 128,   /* its calls travel together */
    CORE_ENTRY_NATIVE = 1024,     /* of a class in C */
    /* It is not simply called. */
    CORE_ENTRY_SUSPENDS = CORE_ENTRY_COROUTINE | CORE_ENTRY_MOVABLE,
};

/* Keywords that belong to the call and not to the method. */
enum core_keyword {
    CORE_KEYWORD_NONE = 0,
    CORE_KEYWORD_RET,
    CORE_KEYWORD_AWAITABLE,
    CORE_KEYWORD_PRIORITY,
    CORE_KEYWORD_WHEN,
};

struct core_entry {
    struct core_class *owner; /* borrowed */
    PyObject *function;
    PyObject *name;     /* "method" */
    PyObject *fullname; /* "Class.method" */
    PyObject *params;   /* tuple of names, without self */
    PyObject *defaults; /* tuple, of the last of params */
    PyObject *keywords; /* frozenset of keyword-only names */
    PyObject *required; /* tuple of those that must be given */
    PyObject *when;     /* Condition, or NULL: messages never wait */
    PyObject *sent;     /* dict: text -> Condition of calls with when= */
    Py_ssize_t args_min;
    Py_ssize_t args_max;
    Py_ssize_t positional_only; /* so many of params */
    bool any_keyword;           /* takes **kwargs */
    int16_t priority;
    unsigned flags;
    uint32_t id;
    bool plain;       /* a Python function with self, that runs at once */
    PyObject *method; /* the proxies' descriptor, also when they lost it */
};

/* Fill in from (name, function, flags, params, defaults, args_min, args_max,
 * keywords, any_keyword, required, positional_only, priority, when). */
int core_entry_init(struct core_entry *entry, struct core_class *owner,
                    PyObject *description);
void core_entry_fini(struct core_entry *entry);
int core_entry_visit(struct core_entry *entry, visitproc visit, void *arg);

/* Which of the call's own keywords a name is, for this method. */
enum core_keyword core_entry_keyword(struct core_state *state,
                                     const struct core_entry *entry,
                                     PyObject *name);

/*
 * Arguments as the entry method wants them: positional, keywords resolved but
 * for the call's own. '*args_out' gets an array of new references, to be freed
 * by PyMem_Free(). Returns their number, or -1 with a TypeError that shows the
 * signature.
 */
Py_ssize_t core_entry_bind(struct core_state *state,
                           const struct core_entry *entry,
                           PyObject *const *args, Py_ssize_t arg_count,
                           PyObject *kwnames, PyObject ***args_out);

/*
 * The arguments of one of our own methods, by position or by name: borrowed
 * into values[], which stays as it is for those not given. 'names' ends with
 * NULL; the first 'required' must be given. -1 with TypeError.
 */
int core_arguments_parse(const char *function, const char *const *names,
                         Py_ssize_t required, PyObject *const *args,
                         Py_ssize_t arg_count, PyObject *kwnames,
                         PyObject **values);

/* ---- invoke.c */

/* The C entry function of all Python methods; context is the core_entry. */
void core_invoke(void *object, const chare_call *call, void *context);

/* Call a function with arguments that have room for self in front, as the
 * flags of an entry say. */
PyObject *core_call_slots(PyObject *function, unsigned flags, PyObject **slots,
                          Py_ssize_t arg_count);

static inline PyObject *
core_invoke_function(const struct core_entry *entry, PyObject **slots,
                     Py_ssize_t arg_count)
{
    return core_call_slots(entry->function, entry->flags, slots, arg_count);
}

/* The arguments that are shared are for nobody any more. */
void core_shared_drop(struct core_shared *shared);

/* What comes after the method: its result, or (NULL) its exception. */
void core_finish(struct core_pe *pe, const struct core_entry *entry,
                 struct core_chare *chare, const chare_call *call,
                 PyObject *result);

/* ---- class.c */

struct core_class {
    PyObject_HEAD
    PyObject *cls;
    PyTypeObject *proxy_type;
    PyObject *name;
    struct core_state *state;
    uint32_t type;
    uint32_t part_count; /* of a section of several classes: their types */
    uint32_t parts[CORE_SECTION_CLASSES_MAX];
    Py_ssize_t entry_count;
    struct core_entry *entries; /* the registered ones */
    struct core_entry init;     /* the constructor; its function may be None */
    bool hidden;     /* not every PE has it yet: no chares of it are created */
    PyObject *waits; /* dict: text -> Condition of self.wait() */
    Py_ssize_t ready_index; /* entries[] of the hidden methods, or -1 */
    Py_ssize_t result_index;
    Py_ssize_t place_index; /* of procNum(), or -1 */
    bool is_map;            /* a subclass of ArrayMap */
    bool native;            /* a class in C, of a plug-in */
    uint8_t state_kind;     /* see migrate.c; 0: not known yet */
    uint8_t migrated_kind;
    Py_ssize_t when_index;
    Py_ssize_t channel_index;
    Py_ssize_t future_index;
};

/* Whether it is the hidden method that answers awaitCreation(). */
static inline bool
core_entry_is_ready(const struct core_entry *entry)
{
    const struct core_class *owner = entry->owner;

    return owner->ready_index >= 0 &&
           entry == &owner->entries[owner->ready_index];
}

extern PyType_Spec core_class_spec;
PyObject *core_class_register(PyObject *module, PyObject *args);

/* An object, with its name, whose constructor has not run; new reference. */
struct core_chare *core_class_instantiate(struct core_pe *pe,
                                          struct core_class *self,
                                          const chare_call *call,
                                          long flavour);

/* The class of a type id; borrowed, NULL with an exception. */
struct core_class *core_class_get(struct core_state *state, uint32_t type);

/* The class that a user's class was registered as; borrowed or NULL. */
struct core_class *core_class_find(struct core_state *state, PyObject *cls);

/* ---- chare.c, name.c */

#include "object.h"

/* ---- proxy.c */

struct core_proxy {
    PyObject_HEAD
    chare_element element;    /* index.ndims is 0 in a collection's proxy */
    struct core_class *owner; /* borrowed from the state; NULL: unknown */
    uint8_t flavour;
    uint8_t ndims;      /* of the collection; 0: not known */
    uint8_t elsewhere;  /* so many calls do not look whether its chare is here,
                           for it was not */
    uint64_t encodings; /* pe->encodings when its chare was seen to be here */
};

extern PyType_Spec core_proxy_spec;

static inline bool
core_is_proxy(const struct core_state *state, PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);

    return type == state->ProxyType || type->tp_base == state->ProxyType;
}

static inline bool
core_proxy_is_element(const struct core_proxy *proxy)
{
    return proxy->element.index.ndims != 0;
}

/* index.ndims 0: of the whole collection. */
PyObject *core_proxy_new(struct core_state *state, struct core_class *owner,
                         const chare_element *element,
                         enum core_flavour flavour, uint32_t ndims);
PyObject *core_proxy_load(PyObject *module, PyObject *bytes);

/* An int, or a tuple or list of ints; -1 with an exception. */
int core_index_parse(PyObject *object, chare_index *index_out);
PyObject *core_index_build(const chare_index *index);

/* ---- method.c */

struct core_method {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct core_state *state;
    struct core_entry *entry; /* borrowed from the class, which stays */
};

extern PyType_Spec core_method_spec;
PyObject *core_method_new(struct core_state *state, struct core_entry *entry);

/* Call an entry method through a proxy; None or a Future. */
PyObject *core_method_call(struct core_state *state, struct core_entry *entry,
                           struct core_proxy *proxy, PyObject *const *args,
                           Py_ssize_t arg_count, PyObject *kwnames);

/* ---- callback.c: a proxy's bound method */

struct core_callback {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct core_proxy *proxy;
    struct core_method *method;
};

extern PyType_Spec core_callback_spec;
PyObject *core_callback_new(struct core_method *method, PyObject *proxy);

/* What the runtime calls a future or a bound method; -1 with TypeError. */
int core_callback_get(struct core_state *state, PyObject *object,
                      chare_callback *callback_out);
PyObject *core_callback_of(struct core_pe *pe, const chare_callback *callback);

/* ---- destroy.c */

PyObject *core_proxy_destroy(PyObject *self, PyTypeObject *defining_class,
                             PyObject *const *args, Py_ssize_t arg_count,
                             PyObject *kwnames);

/* Raise for a call that was refused: LookupError for what was destroyed. */
void core_raise_called(struct core_state *state, chare_status status,
                       const struct core_proxy *proxy, const char *what);

/* The runtime is done with a chare: end its coroutines, let it go. */
void core_chare_destroyed(struct core_pe *pe, PyObject *object);

/* Whether an exception only says that its chare was destroyed; then who waits
 * for the reply was told. */
bool core_failed_destroyed(struct core_pe *pe, PyObject *error,
                           const chare_reply *reply);

/* ---- local.c, native.c */

#include "local.h"
#include "native.h"

/* ---- future.c and futuretype.c */

struct core_future {
    PyObject_HEAD
    struct core_pe *pe;  /* where it was created; NULL: elsewhere, or closed */
    chare_future name;   /* id 0: local, see waiter.h */
    int64_t value_count; /* how many make it complete */
    int64_t arrived;
    PyObject *value;  /* the value, or a list of them; or NULL */
    PyObject *error;  /* the first exception, or NULL */
    PyObject *waiter; /* what core_resume() takes, a future to be completed
                         with the same, a dict of them by their addresses, or
                         NULL */
    const char *what; /* the blocking function it was made by, or NULL */
    struct core_future *next; /* in pe->pending while incomplete */
    struct core_future *prev;
    PyObject *weakrefs;
    PyObject *runs;             /* what runs to complete it, or NULL */
    struct core_future *source; /* of a view */
    struct core_timer *timer;   /* of a view */
    PyObject *keeps;   /* the channel that completes it, until then; with
                          'received' until the value was taken; or NULL */
    uint64_t sequence; /* of the channel's message that it has got */
    PyObject *into;    /* the array for the message's elements, or NULL;
                     once it is here, the message */
    const struct core_entry *called; /* the call whose reply it is, or NULL */
    PyObject *made_in;               /* the code that made it, a label, or
                                        NULL */
    int made_at;                     /* its instruction there */
    PyObject *follower; /* the name of a chare that gets the value, too; bytes,
                           or NULL */
    bool adopted;   /* it came along with a chare; 'name' is the original's */
    bool gathers;   /* the value is a list, from all chares of a broadcast */
    bool discard;   /* the value does not matter: None */
    bool known;     /* it is in pe->known */
    bool listed;    /* it is in pe->pending */
    bool owned;     /* by that list, too */
    bool local;     /* it was made without a name */
    bool retrieved; /* somebody has seen the value, or the exception */
    bool awaited;   /* an 'await' has begun */
    bool forgotten; /* a blocking function's, and not yet awaited */
    bool queued;    /* it is among the receivers of a channel */
    bool received;  /* the value is a message of 'keeps' */
    bool shared;    /* several waited for it */
};

extern PyType_Spec core_future_spec;

/* A future of this PE. */
struct core_future *core_future_new(struct core_pe *pe, int64_t value_count);

/* The same while nobody knows it but its user, who may drop it. */
struct core_future *core_future_new_unknown(struct core_pe *pe,
                                            int64_t value_count);

/* Somebody may send to it, or waits for it: it stays until it is complete. */
void core_future_own(struct core_future *future);

/* Its user has dropped it: no value can come. */
void core_future_drop(struct core_future *future);

/* The future of a name that arrived; new reference. */
PyObject *core_future_of(struct core_pe *pe, const chare_future *name);
PyObject *core_future_load(PyObject *module, PyObject *args);

/* Its name, to be sent. */
int core_future_name(struct core_pe *pe, struct core_future *future,
                     chare_future *name_out);

/* Wake something when it is complete, which it is not. */
int core_future_add_waiter(struct core_future *future, PyObject *waiter);
void core_future_remove_waiter(struct core_future *future, PyObject *waiter);

/* It is complete: wake one. */
void core_future_wake(struct core_future *future, PyObject *waiter);

/* A local future that completes as this one does, or by a TimeoutError. */
struct core_future *core_future_view(struct core_future *future,
                                     double timeout_s);

/* What a complete future has to say, its value or its exception; borrowed. */
PyObject *core_future_outcome(struct core_future *future);

/* The value of a complete future; NULL: its exception is set. */
PyObject *core_future_result(struct core_future *future);

/* It has a channel's message that nobody has seen: it goes back there, to be
 * received by others. The future then counts as cancelled. */
void core_future_return(struct core_future *future);

/* Whether this PE may look at the value; false with an exception. */
bool core_future_is_here(struct core_state *state, struct core_future *future);

/* Cancel it: who waits gets a CancelledError, values that come are dropped,
 * what runs for it is interrupted. False: it is complete. */
bool core_future_abandon(struct core_future *future);

/* What it is, for reports: "the result of Worker.work()". */
PyObject *core_future_describe(const struct core_future *future);

/* Say what a local future is, unless that is known. */
void core_future_label(struct core_future *future, PyObject *text);

/* It has gone: keep its memory; false: it is to be freed. And free what was
 * kept. */
bool core_future_keep(struct core_state *state, struct core_future *future);
void core_futures_free(struct core_state *state);

/* It goes: nobody may find it by its name. */
void core_future_forget_name(struct core_future *future);

/* Its call was never made. */
void core_future_cancel(struct core_future *future);

/* One of the values for a future of this PE; steals it. */
void core_future_deliver(struct core_future *future, PyObject *value);

/* Complete every future of a PE that closes. */
void core_futures_close(struct core_pe *pe);

/* ---- waiter.c */

#include "waiter.h"

/* ---- when.c */

#include "when.h"

/* ---- build.c, failed.c */

#include "build.h"
#include "failed.h"

extern PyMethodDef core_failed_functions[];

/* ---- channel.c */

#include "channel.h"

/* ---- task.c: native coroutines */

extern PyType_Spec core_task_spec;

/* Run a coroutine object until it suspends or ends, from the scheduler at
 * once. With 'reply' its result is sent there. */
void core_task_start(struct core_pe *pe, const struct core_entry *entry,
                     PyObject *coroutine, struct core_chare *chare,
                     const chare_reply *reply);

/* The same later, for a future of the result; -1 with an exception. */
int core_task_spawn(struct core_pe *pe, PyObject *coroutine,
                    struct core_future *result);
PyObject *core_spawn(PyObject *module, PyObject *args);

/* Continue one; by the scheduler only. */
void core_task_step(struct core_pe *pe, PyObject *task);

/* Its coroutine object, borrowed; NULL when it has ended. */
PyObject *core_task_coroutine(PyObject *task);

/* ---- restart.c, follow.c */

#include "restart.h"

/* ---- coroutine.c: the only file that knows greenlets */

extern PyType_Spec core_coroutine_spec;

/* Get the greenlet module; -1 with an exception. */
int core_greenlet_import(struct core_state *state);

/* The calling greenlet is the scheduler's from now on. */
int core_coroutine_scheduler(struct core_pe *pe);

/*
 * Run a function in a coroutine until it suspends or ends: the entry's with
 * 'self', its chare, or a plain callable without. With 'reply' its result is
 * sent there.
 */
void core_coroutine_start(struct core_pe *pe, const struct core_entry *entry,
                          PyObject *function, PyObject *const *args,
                          Py_ssize_t arg_count, PyObject *self,
                          const chare_reply *reply);

/* Run a function in one soon, for a future of the result; -1 with an
 * exception. */
int core_coroutine_spawn(struct core_pe *pe, PyObject *function,
                         PyObject *args, struct core_future *result);

/* The greenlet that is suspended, and the function that runs; borrowed, or
 * NULL. */
PyObject *core_coroutine_greenlet(PyObject *coroutine);
PyObject *core_coroutine_function(PyObject *coroutine);

/* An argument of the running coroutine is of use to its function only. */
void core_coroutine_forget(struct core_pe *pe, PyObject *argument);

/* Suspend the running coroutine until 'awaited', a future, is complete, or
 * something wakes it. Returns 0 when resumed, or -1 with an exception. */
int core_coroutine_suspend(struct core_pe *pe, PyObject *awaited);

/* Continue one; by the scheduler only. */
void core_coroutine_resume(struct core_pe *pe, PyObject *coroutine);
void core_coroutines_close(struct core_pe *pe);

/* ---- thread.c */

/* Call a function on the PE soon; from any thread that holds the GIL. */
int core_post(struct core_state *state, PyObject *function, PyObject *args);
extern PyMethodDef core_thread_functions[];

/* Hooks of the runtime. */
void core_posted(void *context);
uint64_t core_outside(void *context);
uint64_t core_stalled(void *context);

/* ---- timer.c */

PyObject *core_timer_start(PyObject *module, PyObject *args);
PyObject *core_timer_count(PyObject *module, PyObject *unused);
PyObject *core_sleep(PyObject *module, PyObject *seconds);
PyObject *core_quiescence(PyObject *module, PyObject *callback);

/* Complete a future by a TimeoutError after some seconds, unless stopped
 * before that; NULL with an exception. */
struct core_timer *core_timer_expire(struct core_pe *pe,
                                     struct core_future *future,
                                     double seconds);
void core_timer_stop(struct core_timer *timer);
void core_timers_close(struct core_pe *pe);

/* ---- pe.c and query.c: functions of the module */

extern PyMethodDef core_pe_functions[];
extern PyMethodDef core_forkserver_functions[];
extern PyMethodDef core_lb_functions[];
extern PyMethodDef core_query_functions[];

/* ---- start.c, report.c and console.c */

extern PyMethodDef core_start_functions[];
extern PyMethodDef core_report_functions[];
extern PyMethodDef core_console_functions[];

#endif /* CHARE_PY_STATE_H */
