/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_TALK_H
#define CHI_OBJ_TALK_H

/*
 * talk.h - calls of chares on chares are counted: what this room shares.
 */

#include "obj/obj_private.h"

/* The meter was switched: calls are counted while it is on. */
void chi_talk_meter(struct chi_obj *obj, bool on);

void chi_talk_init(struct chi_obj *obj);
void chi_talk_fini(struct chi_obj *obj);

/* So many more chares here drain, or (-1) one less. */
void chi_talk_draining(struct chi_obj *obj, int more);

/* A call was made that is to be looked at. */
void chi_talk_look(struct chi_obj *obj, const struct chi_msg *msg);

/* What is executed from now on is this chare's, or (NULL) no chare's;
 * chi_talk_leave(): what chi_obj_begin() has begun is over. */
void chi_talk_enter(struct chi_obj *obj, const struct chi_element *element);
void chi_talk_leave(struct chi_obj *obj);

#endif /* CHI_OBJ_TALK_H */
