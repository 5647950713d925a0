/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch.c - noticing that a process of the job is gone.
 *
 * A watch has two links: to the next rank, which it connects, and from the
 * previous one, which it accepts. On a link travel, in each direction of the
 * one who connected, a hello (struct hello) and, from either side, at most one
 * more byte, BYE. A link that ends otherwise means that the process is gone;
 * so does the process descriptor beside a link in the node, even when a child
 * of the dead process still holds the socket open.
 *
 *     guest --hello ok--> link up --BYE--> link down
 *       |                    |
 *       | bad, late, closed  | end of stream, error, process gone
 *       v                    v
 *     dropped, counted     lost(), unless chi_watch_stop() was called
 *
 * Threads: after chi_watch_start() all but the atomics belongs to the
 * watcher's thread, until chi_watch_close() has joined it.
 */
#include "config.h"

#include "net/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "net/watch_socket.h"

#define HELLO_MAGIC 0x3130575645524843ull /* "CHREVW01" */

enum {
    BYE = 'B',
    GUESTS_MAX = 8, /* connections that have not said hello yet */
    THREAD_STACK_BYTES = 128 * 1024,
    PAUSE_MS = 100, /* after accept() failed for want of something */
};

static_assert(sizeof(struct chi_watch_place) <= CHI_WATCH_ADDRESS_BYTES_MAX,
              "the address fits in what the callers have room for");

/* What who connects says first. */
struct hello {
    uint64_t magic;
    uint64_t job_key;
    uint32_t rank;
    uint32_t reserved;
};

static_assert(sizeof(struct hello) == 24, "the hello has no padding");

struct link {
    int socket; /* -1: not up, or over */
    int process;
    uint32_t rank;
    bool over; /* said goodbye, or was reported */
};

struct guest {
    int socket; /* -1: a free place */
    bool local;
    size_t got;
    uint64_t deadline_ns;
    unsigned char hello[sizeof(struct hello)];
};

enum {
    POLL_ALARM,
    POLL_LOCAL,
    POLL_TCP,
    POLL_NEXT,
    POLL_NEXT_PROCESS,
    POLL_PREVIOUS,
    POLL_PREVIOUS_PROCESS,
    POLL_GUESTS,
    POLL_COUNT = POLL_GUESTS + GUESTS_MAX,
};

struct chi_watch {
    struct chi_watch_options options;
    struct chi_watch_place place;
    uint64_t job_key;
    int local; /* listening sockets; -1 once the previous rank is here */
    int tcp;
    int alarm; /* an eventfd: the thread shall look at 'closing' */
    bool paused;
    bool started;
    pthread_t thread;
    struct link next;
    struct link previous;
    struct guest guests[GUESTS_MAX];

    /* Both set by the owner and read by the thread; nothing else is read on
     * their strength, so relaxed suffices. */
    _Atomic bool stopping;
    _Atomic bool closing;
    /* Counted by the thread, read by the owner; relaxed, a mere number. */
    _Atomic uint64_t foreign_dropped;
};

static void
fd_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static void
foreign_count(struct chi_watch *watch)
{
    (void)atomic_fetch_add_explicit(&watch->foreign_dropped, 1,
                                    memory_order_relaxed);
}

/* ---- links */

static void
link_init(struct link *link, uint32_t rank)
{
    *link = (struct link){.socket = -1, .process = -1, .rank = rank};
}

static void
link_up(struct chi_watch *watch, struct link *link, int socket, bool local)
{
    chi_assert(link->socket < 0);
    link->socket = socket;
    if (local) {
        link->process = chi_watch_process_of(socket);
        if (link->process < 0 && errno == ESRCH) {
            /* Gone already; a child of it may hold the socket, so let the
             * socket end here. */
            (void)shutdown(socket, SHUT_RD);
        }
    } else {
        chi_watch_keep_alive(socket, watch->options.settings->lost_timeout_ns);
    }
}

static void
link_down(struct link *link)
{
    fd_close(&link->socket);
    fd_close(&link->process);
}

/* The rank at the end of 'link' is gone, in order or not. */
static void
link_over(struct chi_watch *watch, struct link *link, bool orderly)
{
    const uint32_t rank = link->rank;
    const bool known = link->over;

    link_down(link);
    /* Of two processes each is the other's next and previous. */
    watch->next.over = watch->next.over || watch->next.rank == rank;
    watch->previous.over =
        watch->previous.over || watch->previous.rank == rank;
    if (!known && !orderly &&
        !atomic_load_explicit(&watch->stopping, memory_order_relaxed)) {
        chi_log_info(watch->options.log, "the process of PE %u is gone", rank);
        watch->options.lost(watch->options.context, rank);
    }
}

/* Something happened on the link, or to the process at its other end. */
static void
link_check(struct chi_watch *watch, struct link *link, bool process_gone)
{
    bool orderly = false;
    bool ended = process_gone;

    /* What was said before the end is read first. */
    for (;;) {
        char bytes[16];
        const ssize_t got =
            recv(link->socket, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (got <= 0) {
            ended = true;
            break;
        }
        orderly = orderly || memchr(bytes, BYE, (size_t)got) != NULL;
    }
    if (orderly || ended) {
        link_over(watch, link, orderly);
    }
}

/* ---- guests */

static void
guest_drop(struct chi_watch *watch, struct guest *guest)
{
    /* Counted first: who sees the end may ask for the number. */
    foreign_count(watch);
    fd_close(&guest->socket);
    chi_log_info(watch->options.log,
                 "turned a stranger's connection away from the watch");
}

static void
guest_add(struct chi_watch *watch, int socket, bool local)
{
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        struct guest *guest = &watch->guests[i];

        if (guest->socket < 0) {
            *guest = (struct guest){
                .socket = socket,
                .local = local,
                .deadline_ns = chi_clock_now_ns(&chi_clock_real) +
                               watch->options.settings->lost_timeout_ns,
            };
            return;
        }
    }
    foreign_count(watch);
    (void)close(socket);
}

static bool
hello_ok(const struct chi_watch *watch, const struct guest *guest)
{
    struct hello hello;

    memcpy(&hello, guest->hello, sizeof(hello));
    return hello.magic == HELLO_MAGIC && hello.job_key == watch->job_key &&
           hello.rank == watch->previous.rank &&
           (!guest->local || chi_watch_same_user(guest->socket));
}

/* Read the hello; the one who may say it becomes the previous rank's link. */
static void
guest_check(struct chi_watch *watch, struct guest *guest)
{
    const ssize_t got = recv(guest->socket, guest->hello + guest->got,
                             sizeof(guest->hello) - guest->got, MSG_DONTWAIT);

    if (got < 0 &&
        (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        guest_drop(watch, guest);
        return;
    }
    guest->got += (size_t)got;
    if (guest->got < sizeof(guest->hello)) {
        return;
    }
    if (watch->previous.socket >= 0 || !hello_ok(watch, guest)) {
        guest_drop(watch, guest);
        return;
    }
    link_up(watch, &watch->previous, guest->socket, guest->local);
    guest->socket = -1;
    /* Nobody else is expected. */
    fd_close(&watch->local);
    fd_close(&watch->tcp);
}

static void
guests_expire(struct chi_watch *watch)
{
    const uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);

    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        if (watch->guests[i].socket >= 0 &&
            watch->guests[i].deadline_ns <= now_ns) {
            guest_drop(watch, &watch->guests[i]);
        }
    }
}

static void
guests_accept(struct chi_watch *watch, int listener, bool local)
{
    /* As many as there are places: the rest comes with the next turn. */
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        const int socket =
            accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (socket >= 0) {
            guest_add(watch, socket, local);
        } else {
            /* Without this a lack of descriptors would make the thread spin,
             * for the connection stays there. */
            watch->paused = errno != EAGAIN && errno != EWOULDBLOCK;
            break;
        }
    }
}

/* ---- the thread */

/* Milliseconds until the first guest's time is up; -1: there is none. */
static int
turn_timeout_ms(const struct chi_watch *watch)
{
    const uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);
    uint64_t first_ns = UINT64_MAX;

    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        const struct guest *guest = &watch->guests[i];

        if (guest->socket >= 0 && guest->deadline_ns < first_ns) {
            first_ns = guest->deadline_ns;
        }
    }
    if (watch->paused) {
        return PAUSE_MS;
    }
    if (first_ns == UINT64_MAX) {
        return -1;
    }
    return first_ns <= now_ns ? 0
                              : (int)((first_ns - now_ns) / CHI_NS_PER_MS) + 1;
}

static void
turn_prepare(const struct chi_watch *watch, struct pollfd *pollfds)
{
    pollfds[POLL_ALARM].fd = watch->alarm;
    pollfds[POLL_LOCAL].fd = watch->paused ? -1 : watch->local;
    pollfds[POLL_TCP].fd = watch->paused ? -1 : watch->tcp;
    pollfds[POLL_NEXT].fd = watch->next.socket;
    pollfds[POLL_NEXT_PROCESS].fd = watch->next.process;
    pollfds[POLL_PREVIOUS].fd = watch->previous.socket;
    pollfds[POLL_PREVIOUS_PROCESS].fd = watch->previous.process;
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        pollfds[POLL_GUESTS + i].fd = watch->guests[i].socket;
    }
    for (uint32_t i = 0; i < POLL_COUNT; i++) {
        pollfds[i].events = POLLIN;
        pollfds[i].revents = 0;
    }
}

/* Each item is looked at only if it still is what was polled. */
static void
turn_handle(struct chi_watch *watch, const struct pollfd *pollfds)
{
    if (pollfds[POLL_NEXT].revents != 0 ||
        pollfds[POLL_NEXT_PROCESS].revents != 0) {
        link_check(watch, &watch->next,
                   pollfds[POLL_NEXT_PROCESS].revents != 0);
    }
    if (pollfds[POLL_PREVIOUS].revents != 0 ||
        pollfds[POLL_PREVIOUS_PROCESS].revents != 0) {
        link_check(watch, &watch->previous,
                   pollfds[POLL_PREVIOUS_PROCESS].revents != 0);
    }
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        if (pollfds[POLL_GUESTS + i].revents != 0) {
            guest_check(watch, &watch->guests[i]);
        }
    }
    guests_expire(watch);
    watch->paused = false;
    if (pollfds[POLL_LOCAL].revents != 0 && watch->local >= 0) {
        guests_accept(watch, watch->local, true);
    }
    if (pollfds[POLL_TCP].revents != 0 && watch->tcp >= 0) {
        guests_accept(watch, watch->tcp, false);
    }
}

static void *
watch_main(void *argument)
{
    struct chi_watch *watch = argument;
    cpu_set_t all;

    /* The PE may be pinned, and busy: this thread must not wait for it. The
     * kernel leaves out what this process may not use. */
    memset(&all, 0xff, sizeof(all));
    (void)sched_setaffinity(0, sizeof(all), &all);

    while (!atomic_load_explicit(&watch->closing, memory_order_relaxed)) {
        struct pollfd pollfds[POLL_COUNT];

        turn_prepare(watch, pollfds);
        if (poll(pollfds, POLL_COUNT, turn_timeout_ms(watch)) >= 0) {
            turn_handle(watch, pollfds);
        }
    }
    return NULL;
}

static chare_status
thread_start(struct chi_watch *watch)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int why;

    /* The thread inherits the mask: signals are the program's affair. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    why = pthread_create(&watch->thread, &attributes, watch_main, watch);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why != 0) {
        chi_log_error(watch->options.log,
                      "no thread for watching the neighbours: %s; see the "
                      "limit of processes (ulimit -u)",
                      strerror(why));
        return CHARE_ERR_SYSTEM;
    }
    watch->started = true;
    return CHARE_OK;
}

/* ---- the owner's side */

static chare_status
sockets_open(struct chi_watch *watch)
{
    const struct chi_log *log = watch->options.log;
    chare_status status;

    if (getrandom(&watch->place.nonce, sizeof(watch->place.nonce), 0) !=
        (ssize_t)sizeof(watch->place.nonce)) {
        chi_log_error(log, "the kernel gives no random number: %s",
                      strerror(errno));
        return CHARE_ERR_SYSTEM;
    }
    watch->alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->alarm < 0) {
        chi_log_error(log,
                      "no eventfd: %s; see the limit of open files "
                      "(ulimit -n)",
                      strerror(errno));
        return CHARE_ERR_SYSTEM;
    }
    status = chi_watch_listen_local(log, watch->place.nonce, &watch->local);
    if (status != CHARE_OK) {
        return status;
    }
    status = chi_watch_listen_tcp(log, &watch->place.port, &watch->tcp);
    if (status != CHARE_OK) {
        return status;
    }
    chi_watch_places(watch->options.settings->ofi_interface, &watch->place);
    return CHARE_OK;
}

chare_status
chi_watch_open(const struct chi_watch_options *options,
               struct chi_watch **watch_out)
{
    struct chi_watch *watch = calloc(1, sizeof(*watch));
    chare_status status;

    if (watch == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    chi_assert(options->size > 0 && options->rank < options->size);
    chi_assert(options->lost != NULL);
    watch->options = *options;
    watch->local = -1;
    watch->tcp = -1;
    watch->alarm = -1;
    link_init(&watch->next, (options->rank + 1) % options->size);
    link_init(&watch->previous,
              (options->rank + options->size - 1) % options->size);
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        watch->guests[i].socket = -1;
    }
    /* One process alone has nobody to watch. */
    status = options->size > 1 ? sockets_open(watch) : CHARE_OK;
    if (status != CHARE_OK) {
        chi_watch_close(watch);
        return status;
    }
    *watch_out = watch;
    return CHARE_OK;
}

chare_status
chi_watch_address(const struct chi_watch *watch, void *out, size_t *len_inout)
{
    const size_t len = offsetof(struct chi_watch_place, at) +
                       watch->place.count * sizeof(watch->place.at[0]);

    if (*len_inout < len) {
        return CHARE_ERR_TOO_LARGE;
    }
    memcpy(out, &watch->place, len);
    *len_inout = len;
    return CHARE_OK;
}

static bool
place_read(const void *bytes, size_t len, struct chi_watch_place *out)
{
    const size_t fixed = offsetof(struct chi_watch_place, at);

    memset(out, 0, sizeof(*out));
    if (len < fixed || len > sizeof(*out)) {
        return false;
    }
    memcpy(out, bytes, len);
    return out->count <= CHI_WATCH_PLACES_MAX &&
           len == fixed + out->count * sizeof(out->at[0]);
}

static chare_status
next_connect(struct chi_watch *watch, bool same_node,
             const struct chi_watch_place *place)
{
    const struct hello hello = {
        .magic = HELLO_MAGIC,
        .job_key = watch->job_key,
        .rank = watch->options.rank,
    };
    const uint64_t timeout_ns =
        watch->options.settings->lost_timeout_ns + CHI_NS_PER_SEC;
    int socket = -1;
    int why = 0;
    chare_status status;

    status = same_node
                 ? chi_watch_connect_local(place, timeout_ns, &socket, &why)
                 : chi_watch_connect_tcp(place, timeout_ns, &socket, &why);
    if (status != CHARE_OK) {
        chi_log_error(
            watch->options.log, "cannot connect to PE %u to watch it: %s%s",
            watch->next.rank, strerror(why),
            same_node ? "" : "; CHARE_OFI_INTERFACE chooses the network");
        return status;
    }
    link_up(watch, &watch->next, socket, same_node);
    /* A fresh connection has room for this; if the other end is gone
     * already, the thread will see it. */
    (void)send(socket, &hello, sizeof(hello), MSG_NOSIGNAL | MSG_DONTWAIT);
    return CHARE_OK;
}

chare_status
chi_watch_start(struct chi_watch *watch, uint64_t job_key, bool same_node,
                const void *next_address, size_t len)
{
    struct chi_watch_place place;
    chare_status status;

    chi_assert(!watch->started);
    if (watch->options.size == 1) {
        return CHARE_OK;
    }
    if (!place_read(next_address, len, &place)) {
        chi_log_error(watch->options.log,
                      "the address of PE %u's watch makes no sense",
                      watch->next.rank);
        return CHARE_ERR_SYSTEM;
    }
    watch->job_key = job_key;
    status = next_connect(watch, same_node, &place);
    if (status != CHARE_OK) {
        return status;
    }
    return thread_start(watch);
}

void
chi_watch_stop(struct chi_watch *watch)
{
    atomic_store_explicit(&watch->stopping, true, memory_order_relaxed);
}

uint64_t
chi_watch_foreign_dropped(const struct chi_watch *watch)
{
    return atomic_load_explicit(&watch->foreign_dropped, memory_order_relaxed);
}

/* The previous rank may have connected and not been accepted yet; it is to
 * hear the goodbye too. Strangers may. */
static void
say_goodbye_at(int listener)
{
    for (uint32_t i = 0; i < GUESTS_MAX && listener >= 0; i++) {
        const int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (socket < 0) {
            break;
        }
        chi_watch_goodbye(socket, BYE);
    }
}

static void
say_goodbye(struct chi_watch *watch)
{
    const int sockets[] = {watch->next.socket, watch->previous.socket};

    for (uint32_t i = 0; i < 2; i++) {
        if (sockets[i] >= 0) {
            chi_watch_goodbye(sockets[i], BYE);
        }
    }
    watch->next.socket = -1;
    watch->previous.socket = -1;
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        if (watch->guests[i].socket >= 0) {
            chi_watch_goodbye(watch->guests[i].socket, BYE);
            watch->guests[i].socket = -1;
        }
    }
    say_goodbye_at(watch->local);
    say_goodbye_at(watch->tcp);
}

void
chi_watch_close(struct chi_watch *watch)
{
    const uint64_t one = 1;

    if (watch == NULL) {
        return;
    }
    if (watch->started) {
        chi_watch_stop(watch);
        atomic_store_explicit(&watch->closing, true, memory_order_relaxed);
        if (write(watch->alarm, &one, sizeof(one)) < 0) {
            /* Only a full counter refuses, and that is readable as well. */
            chi_assert(errno == EAGAIN);
        }
        (void)pthread_join(watch->thread, NULL);
        say_goodbye(watch);
    }
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        fd_close(&watch->guests[i].socket);
    }
    link_down(&watch->next);
    link_down(&watch->previous);
    fd_close(&watch->local);
    fd_close(&watch->tcp);
    fd_close(&watch->alarm);
    free(watch);
}
