/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_RT_RUNTIME_H
#define CHI_RT_RUNTIME_H

/*
 * runtime.h - one PE's whole runtime: built in order, undone in reverse.
 */

#include <chare.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "cb/callback.h"
#include "coll/coll.h"
#include "entry/registry.h"
#include "future/future.h"
#include "lb/lb.h"
#include "msg/msg.h"
#include "net/arena.h"
#include "net/route.h"
#include "net/watch.h"
#include "obj/obj.h"
#include "pe/pe.h"
#include "qd/qd.h"
#include "rt/stats.h"
#include "topo/crowd.h"
#include "topo/layout.h"
#include "topo/machine.h"
#include "wireup/wireup.h"

enum chi_rt_state {
    CHI_RT_OPEN,    /* registering */
    CHI_RT_STARTED, /* among the others */
    CHI_RT_CLOSING, /* chare_exit() was called somewhere */
    CHI_RT_OVER,
};

enum {
    CHI_RT_BLOB_BYTES_MAX = 2048
};

/* What PE 0 knows of whether anything can still happen; stall.c. */
struct chi_stall {
    uint64_t moved;    /* messages made and done here, when last looked */
    uint64_t since_ns; /* nothing has moved here since; 0: not known */
    bool asking;       /* a survey is under way */
    uint64_t words[CHI_SURVEY_WORDS];
};

struct chare_runtime {
    enum chi_rt_state state;
    struct chi_settings settings;
    struct chi_log log;
    const struct chi_clock *clock;
    chare_hooks hooks;
    void *hooks_context;
    void *user;
    bool simulated;
    bool forked;  /* a child of the PE: sends nothing, and ends alone */
    bool running; /* chare_run() or chare_progress() is executing */

    struct chi_wireup *wireup; /* NULL in the simulator */
    struct chi_machine *machine;
    struct chi_binding binding;
    struct chi_place place;
    struct chi_cpus cpus; /* that it may use */
    struct chi_layout *layout;

    struct chi_msg_pool *pool;
    struct chi_arena *arena; /* the pool's source, and its; NULL: none */
    struct chi_registry registry;
    struct chi_route *route; /* NULL: alone */
    struct chi_net *shm;
    struct chi_net *ofi;
    struct chi_net *sim;
    struct chi_watch *watch;
    uint64_t job_key;
    _Atomic bool lost_handled; /* the PE has taken notice of a lost rank; read
                                  by the watcher, see start.c */

    struct chi_pe *pe;
    struct chi_cb cb;
    struct chi_coll *coll;
    struct chi_obj *obj;
    struct chi_qd *qd;
    struct chi_lb *lb;
    struct chi_futures *futures;

    struct chi_stall stall;
    struct chi_rt_stats stats;

    int exit_code;
    uint32_t exit_missing; /* subtrees that have not stopped */
    bool aborted_here;     /* this PE tells the launcher */
    bool lost;             /* because of 'lost_rank' */
    uint32_t lost_rank;    /* the first that is gone */
};

/* A PE of a simulation: everything real is replaced. */
struct chi_rt_sim {
    uint32_t rank;
    uint32_t size;
    const struct chi_clock *clock;
    const struct chi_net_ops *net_ops;
    void *net_options;
    const struct chi_settings *settings; /* NULL: the defaults */
    struct chi_place place;
    const struct chi_cpus *cpus; /* NULL: nobody knows */
};

CHARE_MUST_CHECK chare_status chi_rt_open(const chare_open_options *options,
                                          chare_runtime **out);
CHARE_MUST_CHECK chare_status chi_rt_open_sim(const struct chi_rt_sim *sim,
                                              chare_runtime **out);
void chi_rt_close(chare_runtime *runtime);

/* start.c: the two halves of chare_start(), around the exchange. */
CHARE_MUST_CHECK chare_status chi_rt_blob(chare_runtime *runtime, void *out,
                                          size_t *len_inout);
CHARE_MUST_CHECK chare_status
chi_rt_join(chare_runtime *runtime, const struct chi_wireup_table *table);
CHARE_MUST_CHECK chare_status chi_rt_start(chare_runtime *runtime);

/* Tell the launcher that a rank is gone; in any thread. */
void chi_rt_tell_lost(const chare_runtime *runtime, int code, uint32_t rank);

/* The watcher's report; runs in its thread. */
void chi_rt_watch_lost(void *context, uint32_t rank);

/* exit.c */
void chi_rt_exit_init(chare_runtime *runtime);
void chi_rt_exit(chare_runtime *runtime, int code);
void chi_rt_abort(chare_runtime *runtime, int code, const char *text);
void chi_rt_fatal(void *context, const char *text);
void chi_rt_peer_lost(void *context, uint32_t rank, chare_status why);
void chi_rt_message_lost(void *context, uint32_t rank);
void chi_rt_late(void *context);

/* stall.c */
void chi_rt_stall_init(chare_runtime *runtime);

/* The last things, when the loop has ended. */
void chi_rt_finish(chare_runtime *runtime);

/* As chare_forked(). */
void chi_rt_forked(chare_runtime *runtime);

/* providers.c: the only list of providers. */
CHARE_MUST_CHECK chare_status chi_rt_wireup_open(chare_runtime *runtime,
                                                 bool single);
CHARE_MUST_CHECK chare_status chi_rt_nets_open(chare_runtime *runtime);

#endif /* CHI_RT_RUNTIME_H */
