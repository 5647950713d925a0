/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_LB_PRIVATE_H
#define CHI_LB_LB_PRIVATE_H

/*
 * lb_private.h - what lb.c, which has the protocol, and root.c, which decides
 * on PE 0, share.
 */

#include "lb/lb.h"

enum chi_lb_kind { /* env.entry; env.key is the session */
    CHI_LB_WANT,  /* to PE 0: all chares of a PE may be balanced; the arrays */
    CHI_LB_CALL,  /* down the tree of PE 0: a session begins */
    CHI_LB_STATS, /* up: chi_lb_pe and its chi_lb_records, of each PE */
    CHI_LB_MOVES, /* down: chi_lb_move of all that move */
    CHI_LB_ARRIVED, /* to where it came from: a chare's name */
    CHI_LB_DONE,    /* up: all have moved */
    CHI_LB_RESUME,  /* down: chares go on */
    CHI_LB_SPREAD,  /* between any: live.c */
};

enum chi_lb_state {
    CHI_LB_RUNNING,    /* between sessions */
    CHI_LB_CALLED,     /* waits until all its chares may be balanced */
    CHI_LB_COLLECTING, /* waits for the loads of its subtree */
    CHI_LB_WAITING,    /* for what PE 0 says */
    CHI_LB_SPREADING,  /* the PEs decide among themselves */
    CHI_LB_MOVING,     /* waits for moves, and for its subtree to be done */
};

/* A chare that has a part in a session. */
struct chi_lb_plan {
    chare_element element;
    uint32_t to;
    bool leaves; /* it is to go to 'to', and has not arrived */
};

struct chi_lb_list {
    chare_callback *items;
    size_t count;
    size_t room;
};

/* Wire formats. */
struct chi_lb_record {
    float work;
    uint32_t number; /* in the list of its PE */
    uint32_t fixed;
    uint32_t dims;
    float at[CHI_LB_DIMS_MAX];
    uint32_t bytes;
};

struct chi_lb_pe {
    uint32_t rank;
    uint32_t count; /* of records that follow */
    float speed;
    float background;
};

struct chi_lb_move {
    uint32_t from;
    uint32_t number;
    uint32_t to;
};

struct chi_lb_user {
    char *name;
    chare_lb_fn fn;
    void *context;
};

struct chi_lb {
    struct chi_pe *pe;
    struct chi_cb *cb;
    struct chi_coll *coll;
    struct chi_obj *obj;
    const struct chi_lb_strategy *strategy; /* NULL: none */
    const struct chi_lb_user *user;         /* instead of it, or NULL */
    struct chi_lb_user *users;
    size_t user_count;
    size_t user_room;

    /* Chares are moved by this; NULL: none can. */
    chare_status (*move)(struct chi_obj *obj, const chare_element *element,
                         uint32_t to);

    enum chi_lb_state state;
    uint64_t session;
    bool wanted;      /* PE 0 was told that all may be balanced here */
    bool called;      /* at PE 0: it has called for this session */
    uint32_t missing; /* children that have not told, or are not done */
    uint64_t leaving; /* chares that are to move and have not arrived */

    uint64_t unsynced; /* chares here that have not said so; 0 may be */
    struct chi_lb_list synced; /* of chares that said so here: to go on */
    struct chi_lb_list next;   /* the same of the session after this one */
    chare_collection *arrays;  /* that PE 0 knew of when it called */
    size_t array_count;
    struct chi_lb_plan *plans;
    size_t plan_count;
    size_t plan_room;
    struct chi_lb_record *records;
    size_t record_count;
    size_t record_room;
    unsigned char *stats;
    size_t stats_len;
    size_t stats_room;

    float speed;
    double sec_per_tick;
    uint64_t since_ticks;

    enum chi_lb_spread spread; /* how this session decides: PE 0 said so */
    struct chi_lb_live *live;  /* NULL: not yet so */
    struct chi_lb_early *early;

    void (*chained_idle)(void *context);
    void *chained_context;

    chare_lb_report report;
};

struct chi_lb_live;
struct chi_lb_early;

/* lb.c */
struct chi_msg *chi_lb_message(struct chi_lb *lb, enum chi_lb_kind kind,
                               size_t len);
/* What is to move is marked in 'plans'. */
void chi_lb_start_moving(struct chi_lb *lb);
void chi_lb_look(struct chi_lb *lb);
void chi_lb_take_part(struct chi_lb *lb);
void chi_lb_stats_look(struct chi_lb *lb);
void chi_lb_moves_look(struct chi_lb *lb);
void chi_lb_stays(struct chi_lb *lb, struct chi_lb_plan *plan);
void chi_lb_moved(void *context, const chare_element *element, uint32_t from,
                  uint32_t to, bool came);

/* PE 0 tells everybody, itself included. */
void chi_lb_root_tell(struct chi_lb *lb, enum chi_lb_kind kind,
                      const void *bytes, size_t len);

/* root.c */
void chi_lb_root_decide(struct chi_lb *lb);
void chi_lb_set_speed(struct chi_lb *lb);

#endif /* CHI_LB_LB_PRIVATE_H */
