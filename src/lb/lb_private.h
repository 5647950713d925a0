/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_LB_PRIVATE_H
#define CHI_LB_LB_PRIVATE_H

/*
 * lb_private.h - what lb.c, which has the protocol, and root.c, which decides
 * on PE 0, share.
 */

#include "base/map.h"
#include "lb/auto.h"
#include "lb/lb.h"
#include "lb/noise.h"
#include "lb/speed.h"
#include "obj/comm.h"
#include "topo/sense.h"

enum {
    CHI_LB_LOOKS_MAX = 3, /* for a chare that can move, and does not */
    CHI_LB_REST_FIRST = 4,
    CHI_LB_REST_MAX = 64,
    CHI_LB_PAIRS_MAX = 4 << 20, /* that talk, told to PE 0 by all PEs */
};

#define CHI_LB_LOOK_NS (5 * CHI_NS_PER_MS)

enum chi_lb_kind { /* env.entry; env.key is the session */
    CHI_LB_WANT,  /* to PE 0: all chares of a PE may be balanced; the arrays */
    CHI_LB_CALL,  /* down the tree of PE 0: a session begins */
    CHI_LB_STATS, /* up: chi_lb_pe and its chi_lb_records, of each PE */
    CHI_LB_MOVES, /* down: chi_lb_move of all that move */
    CHI_LB_ARRIVED, /* to where it came from: a chare's name */
    CHI_LB_DONE,    /* up: all have moved; chi_lb_spent */
    CHI_LB_RESUME,  /* down: chares go on */
    CHI_LB_SPREAD,  /* between any: live.c */
    CHI_LB_PIECE,   /* up, of a subtree: as STATS, for a dump: pieces.c */
    CHI_LB_LOOK,    /* to itself: chares have ceased to exist */

    /* timed.c; env.key is 0 */
    CHI_LB_EVERY, /* to PE 0: a new period, in ns */
    CHI_LB_WATCH, /* down: measure, from now on */
    CHI_LB_ASK,   /* down: what was measured? */
    CHI_LB_SUM,   /* up: chi_lb_sum of the subtree */
};

enum {                            /* env.spare of CALL, or-ed */
    CHI_LB_SPARE_TIMED = 0x8000,  /* of chares that are not asked */
    CHI_LB_SPARE_DUMPS = 0x4000,  /* decided without a central step, and
                                     dumped */
    CHI_LB_SPARE_SPREAD = 0x3fff, /* enum chi_lb_spread */
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
    struct chi_lb_plan *next; /* with the same key */
    uint32_t looks;           /* at one that could go, and has not */
    bool leaves;              /* it is to go to 'to', and has not arrived */
    bool left;                /* it is on its way */
};

struct chi_lb_waiting {
    chare_callback go_on;
    bool calls_itself; /* the chare that waits, and no other */
};

struct chi_lb_list {
    struct chi_lb_waiting *items;
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
    float period;      /* seconds that it was measured; 0: it was not */
    uint32_t measured; /* not all chares say what they cost */
    uint32_t edges;    /* if not 0: names of the records follow them, and so
                          many struct chi_comm_edge; the last one has only the
                          bytes that were not kept */

    /* For reports only: seconds, a share of 1, and what sensors say (NAN:
     * nothing; they are read for dumps). */
    float busy;
    float idle;
    float share;
    float mhz;
    float celsius;
    float watts;
};

struct chi_lb_move {
    uint32_t from;
    uint32_t number;
    uint32_t to;
};

/* What moves took, in a subtree. */
struct chi_lb_spent {
    uint64_t count; /* chares that left or came */
    double seconds;
};

/* From when on something is measured. */
struct chi_lb_since {
    uint64_t ticks;
    uint64_t idle;   /* pe->meter.idle_ticks then */
    uint64_t ran_ns; /* what the thread had run, and waited, then; only where
                        PEs outnumber processors */
    uint64_t waited_ns;
};

/* When PE 0 balances without being asked; see timed.c. */
struct chi_lb_pace {
    uint64_t period_ns; /* 0: never */
    uint64_t timer;     /* 0: none is set */
    uint32_t rest;      /* periods without measuring, after the next look */
    bool watching;      /* PEs measure */
    bool looking;       /* they were asked */
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

    enum chi_lb_state state;
    uint64_t session;        /* that is under way, or the next */
    uint64_t synced_session; /* of those of chares that say AtSync */
    bool timed;              /* the one that is under way is of other chares */
    bool begun;              /* what was measured is no program's start */
    bool wanted;             /* PE 0 was told that all may be balanced here */
    bool called;             /* at PE 0: it has called for this session */
    bool calls_timed;        /* which is a timed one */
    bool holds;              /* quiescence, until a timed session is over */
    uint32_t missing;        /* children that have not told, or are not done */
    uint64_t leaving;        /* chares that are to move and have not arrived */

    uint64_t unsynced; /* chares here that have not said so; 0 may be */
    struct chi_lb_list synced; /* of chares that said so here: to go on */
    struct chi_lb_list next;   /* the same of the session after this one */
    bool looks;                /* LOOK is on its way */
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
    struct chi_comm_edge *edges; /* that chares here have counted */
    size_t edge_count;
    size_t edge_room;
    const struct chi_lb_strategy *lacking; /* this build or machine has not
                                              what it needs */
    bool dumps;                            /* pieces of a dump are to leave */
    uint32_t pieces_missing;               /* of children, and of this PE */
    bool counts_said;   /* the user has said whether calls are counted */
    bool counts_lacked; /* and was told that a strategy needs it */
    bool failed_said;   /* and that the strategy fails */
    bool dump_said;     /* and that no dump can be written */

    struct chi_map leaving_by_key; /* struct chi_lb_plan */
    uint64_t look_timer; /* while chares are leaving; 0: none is set */
    struct chi_lb_spent spent;
    uint64_t called_ns; /* at PE 0: when the session began */
    uint64_t moves_ns;  /* and when what moves was told; 0: not yet */
    bool has_moved;     /* something did */

    struct chi_lb_auto *automatic; /* PE 0: chooses the strategy; or NULL */
    bool is_automatic;
    struct chi_lb_noise noise[2]; /* at PE 0: by enum chi_load_set */
    struct chi_lb_pace pace;      /* at PE 0 */
    struct chi_lb_sum sum;        /* of this subtree, while PE 0 looks */
    uint32_t sum_missing;         /* children that have not told */
    float watched_s; /* how long this PE measured, before it told */
    float watched_background_s;

    float speed; /* of this PE: used for all that it tells */
    float scale; /* what was measured counts so much more, or less: S4 */
    struct chi_speed speed_of;
    double speed_unit_ns; /* of speed 1: PE 0 has said so; 0: not yet */
    struct chi_sense sense;
    struct chi_lb_pe here; /* as measured last */
    struct chi_lb_pe *pes; /* on PE 0: as told in the last session; or NULL */
    double sec_per_tick;
    struct chi_lb_since since[2]; /* by enum chi_load_set */

    enum chi_lb_spread spread; /* how this session decides: PE 0 said so */
    struct chi_lb_live *live;  /* NULL: not yet so */
    struct chi_lb_early *early;
    struct chi_lb_history *history; /* NULL: none is kept; history.h */

    void (*chained_idle)(void *context);
    void *chained_context;

    chare_lb_report report;
};

struct chi_lb_live;
struct chi_lb_early;
struct chi_lb_history;

/* lb.c */
struct chi_msg *chi_lb_message(struct chi_lb *lb, enum chi_lb_kind kind,
                               size_t len);
uint32_t chi_lb_parent(struct chi_lb *lb);
void chi_lb_look(struct chi_lb *lb);
void chi_lb_take_part(struct chi_lb *lb);
void chi_lb_stats_look(struct chi_lb *lb);
void chi_lb_stats_put(struct chi_lb *lb, struct chi_lb_pe *pe);
void chi_lb_put_stats(struct chi_lb *lb, const void *bytes, size_t len);
void *chi_lb_grow(struct chi_lb *lb, void *array, size_t count, size_t *room,
                  size_t bytes);

/* pieces.c: a session without a central step begins; what this PE has is in
 * 'records'; a child's piece. */
void chi_lb_pieces_start(struct chi_lb *lb, bool dumps);
void chi_lb_pieces_put(struct chi_lb *lb, struct chi_lb_pe *pe);
void chi_lb_piece_came(struct chi_lb *lb, const struct chi_msg *msg);

/* talk.c: take what was counted here, and what is to be told of it; then put
 * it behind the records. */
void chi_lb_talk_take(struct chi_lb *lb, enum chi_load_set set,
                      struct chi_lb_pe *pe);
void chi_lb_talk_put(struct chi_lb *lb, const struct chi_lb_pe *pe);

/* How many pairs a PE may tell. Keep the heaviest 'max' of some; the bytes of
 * the others. */
size_t chi_lb_talk_pairs_max(uint32_t pes);
uint64_t chi_lb_talk_thin(struct chi_comm_edge *edges, size_t *count,
                          size_t max);

/* The strategy, or one that needs not know who talks to whom where this one
 * cannot decide; and it cannot for ever, since 'text'. */
const struct chi_lb_strategy *
chi_lb_talk_choose(struct chi_lb *lb, const struct chi_lb_problem *problem);
void chi_lb_talk_lacks(struct chi_lb *lb, const char *text);

/* On PE 0: what the last session's moves do to what is said. */
void chi_lb_talk_report(struct chi_lb *lb,
                        const struct chi_lb_problem *problem,
                        const struct chi_lb_quality *before,
                        const struct chi_lb_quality *after);

/* Nobody asked who talks to whom in the last session. */
void chi_lb_talk_unknown(struct chi_lb *lb);

/* What the setting says. */
void chi_lb_talk_init(struct chi_lb *lb);
/* What the strategy wants, unless the user has said something. */
void chi_lb_talk_want(struct chi_lb *lb);

/* Seconds of work, on a PE of speed 1, that was said or measured. */
float chi_lb_work(const struct chi_lb *lb, const struct chi_obj_load *load);

/* Seconds since 'since'; and those of them that this PE was busy with other
 * things than 'ticks' of chares. */
float chi_lb_other_work(struct chi_lb *lb, enum chi_load_set set, double ticks,
                        float *period_out);
void chi_lb_since_now(struct chi_lb *lb, enum chi_load_set set);

/* Measure from now on, or not; nobody has said that it is time for it. */
void chi_lb_meter(struct chi_lb *lb, bool on);

/* PE 0 tells everybody, itself included. */
void chi_lb_root_tell(struct chi_lb *lb, enum chi_lb_kind kind,
                      const void *bytes, size_t len);

/* moves.c */
void chi_lb_moves_came(struct chi_lb *lb, const struct chi_msg *msg);
void chi_lb_arrived(struct chi_lb *lb, const struct chi_msg *msg);
/* What is to move is marked in 'plans'. */
void chi_lb_start_moving(struct chi_lb *lb);
void chi_lb_done(struct chi_lb *lb, const struct chi_msg *msg);
void chi_lb_moves_look(struct chi_lb *lb);

/* Look at those that have not left: withdraw what cannot be. */
void chi_lb_plans_look(struct chi_lb *lb);
void chi_lb_moved(void *context, const chare_element *element, uint32_t from,
                  uint32_t to, bool came);

/* pes.c: what this PE is, and what PE 0 knows of all. Look how fast it is, in
 * units of PE 0's, which come with messages of PE 0. */
void chi_lb_pes_look(struct chi_lb *lb, double unit_ns);
double chi_lb_pes_unit(struct chi_lb *lb);
void chi_lb_pes_sense(struct chi_lb *lb, struct chi_lb_pe *pe);
/* From now on chares of a set are measured; and what that is to count. */
void chi_lb_pes_mark(struct chi_lb *lb, enum chi_load_set set);
void chi_lb_pes_scale(struct chi_lb *lb, enum chi_load_set set);
/* PE 0 begins a session; 'arrays' are those of a WANT. */
void chi_lb_pes_call(struct chi_lb *lb, uint16_t spare, const void *arrays,
                     size_t len);

/* timed.c */
void chi_lb_timed_came(struct chi_lb *lb, struct chi_msg *msg);

/* At PE 0: a session is over. */
void chi_lb_timed_over(struct chi_lb *lb, bool timed);

/* root.c */
void chi_lb_root_decide(struct chi_lb *lb);
void chi_lb_root_dump(struct chi_lb *lb);
void chi_lb_set_speed(struct chi_lb *lb);

#endif /* CHI_LB_LB_PRIVATE_H */
