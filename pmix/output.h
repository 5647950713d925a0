/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_OUTPUT_H
#define CHI_PMIX_OUTPUT_H

/*
 * output.h - what ranks print, passed on without tearing lines.
 *
 * A *stream* is one rank's standard output or error, a pipe that the launcher
 * reads. An *output* is where several streams go: the launcher's own standard
 * output or error. A stream hands whole lines to its output's queue; only a
 * line longer than CHI_STREAM_BYTES goes in pieces. An output that nobody
 * takes from fills its queue, and then its streams are read no more: ranks
 * block as they would on a slow terminal.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHI_STREAM_BYTES = 65536,  /* longest line that is never torn */
    CHI_OUTPUT_BYTES = 262144, /* what may wait in an output's queue */
};

struct chi_output {
    int fd;
    int error;    /* errno of a failed write; what comes later is dropped */
    char *bytes;  /* CHI_OUTPUT_BYTES of them */
    size_t begin; /* the queue lies between these two */
    size_t end;
};

struct chi_stream {
    struct chi_output *output;
    int fd; /* non-blocking; -1: closed */
    uint32_t rank;
    bool tagged; /* "[rank] " before each line */
    bool raw;    /* pass bytes on as they come, not line by line */
    bool ended;  /* no more will come */
    char *bytes; /* CHI_STREAM_BYTES of them; NULL before the first */
    size_t len;
};

/* False: no memory. */
bool chi_output_init(struct chi_output *output, int fd);
void chi_output_fini(struct chi_output *output);

static inline bool
chi_output_pending(const struct chi_output *output)
{
    return output->begin < output->end;
}

/* Queue a line of the launcher's own; cut when there is no room. */
void chi_output_add(struct chi_output *output, const char *bytes, size_t len);

/* Nobody reads any more: drop the queue, and what comes. */
void chi_output_give_up(struct chi_output *output);

/* Write some of the queue, without blocking when poll() said POLLOUT. */
void chi_output_write(struct chi_output *output);

/* True: the stream has room to read into; poll it. */
bool chi_stream_wants(const struct chi_stream *stream);

/* Read what is there and pass it on. The end of file closes the stream. */
void chi_stream_read(struct chi_stream *stream);

/* Pass on what could not be before, since the output was full. */
void chi_stream_pass(struct chi_stream *stream);

/* Nobody writes to it any more: read what is left, and close. */
void chi_stream_finish(struct chi_stream *stream);

/* All is passed on, and the memory is free again. */
bool chi_stream_done(const struct chi_stream *stream);

/* Close at once and forget what was read. Accepts a closed one. */
void chi_stream_close(struct chi_stream *stream);

#endif /* CHI_PMIX_OUTPUT_H */
