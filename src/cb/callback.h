/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_CB_CALLBACK_H
#define CHI_CB_CALLBACK_H

/*
 * callback.h - where a result goes, as a small value; and chare_data as a
 * message.
 *
 * This room does not know chares or futures: the rooms that do say how to
 * reach them, once, by chi_cb_set_target().
 */

#include <chare.h>

#include "base/bytes.h"
#include "entry/registry.h"
#include "pe/pe.h"

enum {
    CHI_CALLBACK_WIRE_BYTES_MAX = 64
};

/* Deliver 'data' to 'callback'; takes the data over on CHARE_OK. */
typedef chare_status (*chi_cb_target_fn)(void *context,
                                         const chare_callback *callback,
                                         const chare_data *data);

struct chi_cb {
    struct chi_pe *pe;
    const struct chi_registry *registry;
    chare_runtime *runtime; /* for calls into user code */
    struct {
        chi_cb_target_fn fn;
        void *context;
    } targets[CHARE_CALLBACK_FUNCTION + 1];
};

void chi_cb_init(struct chi_cb *cb, struct chi_pe *pe,
                 const struct chi_registry *registry, chare_runtime *runtime);
void chi_cb_set_target(struct chi_cb *cb, chare_callback_kind kind,
                       chi_cb_target_fn fn, void *context);

/* As chare_callback_call(). */
CHARE_MUST_CHECK chare_status chi_cb_call(struct chi_cb *cb,
                                          const chare_callback *callback,
                                          const chare_data *data);

/* The same for the runtime itself: a failure ends the job. */
void chi_cb_call_or_die(struct chi_cb *cb, const chare_callback *callback,
                        const chare_data *data);

/* Whether two name the same target. */
bool chi_callback_equal(const chare_callback *a, const chare_callback *b);

/* What it is, for people. */
void chi_callback_text(const struct chi_cb *cb, const chare_callback *callback,
                       char *out, size_t room);

/* Deliver an error made of three texts. */
void chi_cb_call_error(struct chi_cb *cb, const chare_callback *callback,
                       const char *kind, const char *message);

void chi_callback_write(struct chi_writer *writer,
                        const chare_callback *callback);
/* False: malformed. */
bool chi_callback_read(struct chi_reader *reader, chare_callback *out);

void chi_element_write(struct chi_writer *writer,
                       const chare_element *element);
bool chi_element_read(struct chi_reader *reader, chare_element *out);

/*
 * A message that carries 'data' (NULL: nothing). A payload stays one. On
 * CHARE_OK the data was taken over. Errors: CHARE_ERR_INVALID, _NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_cb_data_msg(struct chi_pe *pe,
                                              enum chi_handler handler,
                                              const chare_data *data,
                                              struct chi_msg **msg_out);

/* What a message carries, for user code; 'call' is filled. */
void chi_cb_call_of_msg(const struct chi_cb *cb, const struct chi_msg *msg,
                        chare_call *call);

#endif /* CHI_CB_CALLBACK_H */
