/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_CODEC_H
#define CHARE_PY_CODEC_H

/*
 * codec.h - Python objects as values of chare's codec, and back; included by
 * state.h.
 */

/* ---- encode.c */

/*
 * Write one value. Returns 0, or -1 with an exception. What has no form in
 * the codec, or shares mutable parts, is pickled as a whole.
 */
int core_encode(struct core_pe *pe, chare_encoder *encoder, PyObject *value);

/* Write the tuple of some arguments. */
int core_encode_args(struct core_pe *pe, chare_encoder *encoder,
                     PyObject *const *args, Py_ssize_t arg_count);

/* Whether a value has a form of its own; -1 with an exception. What move()
 * gave stays with its owner. */
int core_encode_strict(struct core_pe *pe, chare_encoder *encoder,
                       PyObject *value);

/* ---- decode.c */

/* Where values are read from. */
struct core_reader {
    struct core_pe *pe;
    chare_decoder decoder;
    const chare_call *call; /* whose bytes may be kept; or NULL */
    PyObject *memory;       /* what keeps them, once needed */
    bool asked;             /* whether the bytes can be taken is known */
    bool has_arrays;        /* and maybe 'memory' */
    bool shared;            /* 'memory' is that of other calls, too */
    int depth;
};

/* Start to read; 'call' may be NULL. */
void core_reader_init(struct core_reader *reader, struct core_pe *pe,
                      const void *bytes, size_t len, const chare_call *call);
void core_reader_fini(struct core_reader *reader);

/* The next value; new reference, or NULL with an exception. */
PyObject *core_decode(struct core_reader *reader);

/*
 * The arguments of a call, as new references into 'inline_args' when they fit
 * in its 'room', else into *args_inout from PyMem_Malloc(). Returns how many,
 * or -1.
 */
Py_ssize_t core_decode_args(struct core_pe *pe, const chare_call *call,
                            PyObject **inline_args, Py_ssize_t room,
                            PyObject ***args_out);

/* The one value a call carries, None without data; an ERROR becomes an
 * exception object. */
PyObject *core_decode_data(struct core_pe *pe, const chare_call *call);

/* ---- move.c */

#include "move.h"

/* ---- array.c: arrays without NumPy's headers */

/* Whether the object is a NumPy array or scalar: 'a', 's', or 0. */
char core_numpy_kind(struct core_state *state, PyObject *object);

/* Whether it is known at once that an array can be written to. */
struct core_numpy;
bool core_array_is_writeable(const struct core_numpy *numpy, PyObject *array);

/* Whether an array is empty because it was moved. It is known where NumPy's C
 * interface is, and goes with the array itself, not with a copy. */
bool core_array_is_spent(const struct core_state *state, PyObject *array);
void core_array_set_spent(const struct core_state *state, PyObject *array,
                          bool spent);

/* Returns 0, -1 with an exception, or 1: pickle it. What was moved is refused,
 * unless it is part of a chare that leaves. */
int core_array_encode(struct core_state *state, chare_encoder *encoder,
                      PyObject *array);
/* The same of whatever has a buffer. */
int core_buffer_encode(struct core_state *state, chare_encoder *encoder,
                       PyObject *object);
int core_scalar_encode(struct core_state *state, chare_encoder *encoder,
                       PyObject *scalar);

/* An array that the codec can write as it lies, in words; false: it is not. */
bool core_array_describe(PyObject *array, chare_value *value_out,
                         int64_t *shape);
PyObject *core_array_decode(struct core_reader *reader,
                            const chare_value *value);
PyObject *core_scalar_decode(struct core_reader *reader,
                             const chare_value *value);
void core_numpy_clear(struct core_numpy *numpy);
int core_numpy_visit(struct core_numpy *numpy, visitproc visit, void *arg);

/* ---- memory.c */

extern PyType_Spec core_memory_spec;

/* An object that owns a buffer and shows its bytes; steals the buffer. */
PyObject *core_memory_new(struct core_state *state, chare_buffer *buffer,
                          bool read_only);

/* Whether these bytes lie in it. */
bool core_memory_holds(PyObject *memory, const void *at, size_t len);

/* Take its buffer away: nobody may look at it any more. */
chare_buffer *core_memory_take(PyObject *memory);

/* What all Memory of a module refers to; -1 with an exception. */
int core_origin_create(struct core_state *state);
void core_origin_drop(struct core_origin *origin);
void core_origin_forked(struct core_origin *origin);

/* ---- payload.c: arguments that stay Python objects */

extern const chare_payload_ops core_args_ops;  /* a call's arguments */
extern const chare_payload_ops core_value_ops; /* one value */

/* Arguments behind room for 'self', so that a call needs no copy. */
struct core_payload {
    struct core_state *state;
    struct core_payload *next; /* when free */
    Py_ssize_t arg_count;
    PyObject *slots[]; /* slots[0] is for self; then the arguments */
};

/* Whether it is of a type that is always plain, see below. Most arguments are
 * integers, and are not to pay for the other types: these are looked at by a
 * function, or the compiler makes one condition of all. */
bool core_is_simple_other(const PyObject *object);

static inline bool
core_is_simple(const PyObject *object)
{
    return __builtin_expect(Py_TYPE(object) == &PyLong_Type, 1) ||
           core_is_simple_other(object);
}

/* Whether the object means the same to its receiver as a copy would. */
bool core_is_plain(struct core_state *state, PyObject *object, int depth);

/* About what such an object takes in bytes: what is long counts. */
size_t core_plain_bytes(PyObject *object, int depth);

/*
 * Data for a call or a value: a payload if 'local' and all are plain, else
 * encoded. Returns 0, or -1 with an exception.
 */
int core_data_args(struct core_pe *pe, bool local, PyObject *const *args,
                   Py_ssize_t arg_count, chare_data *data_out);
int core_data_value(struct core_pe *pe, bool local, PyObject *value,
                    chare_data *data_out);

/* The same for simple objects and a payload that is at hand; false: it is to
 * be made otherwise. */
static inline bool
core_data_simple(struct core_state *state, PyObject *const *args,
                 Py_ssize_t arg_count, const chare_payload_ops *ops,
                 chare_data *data_out)
{
    struct core_payload *payload;

    if (arg_count > CORE_PAYLOAD_ARGS_MAX ||
        state->payloads[arg_count] == NULL) {
        return false;
    }
    for (Py_ssize_t i = 0; i < arg_count; i++) {
        if (!core_is_simple(args[i])) {
            return false;
        }
    }
    payload = state->payloads[arg_count];
    state->payloads[arg_count] = payload->next;
    state->payload_counts[arg_count]--;
    for (Py_ssize_t i = 0; i < arg_count; i++) {
        payload->slots[i + 1] = Py_NewRef(args[i]);
    }
    *data_out = chare_data_payload(payload, ops);
    return true;
}

/* Give up data that a failed call did not take. */
void core_data_drop(chare_data *data);
void core_payloads_free(struct core_state *state);

#endif /* CHARE_PY_CODEC_H */
